"""Targets of a detection: the score of one box of one picture."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.detection import Heads
from guidedcam_tf.networks.detection import corners_of
from guidedcam_tf.networks.detection import find_heads
from guidedcam_tf.networks.target_functions import Outputs
from guidedcam_tf.targets.asked import Asked
from guidedcam_tf.targets.asked import Scene
from guidedcam_tf.targets.asked import Settled
from guidedcam_tf.targets.asked import find_class
from guidedcam_tf.targets.asked import listed

Decode = Callable[[dict[str, tf.Tensor], tf.Tensor], Any]
"""From outputs by name and pictures of the network's size to corners of boxes, `[N, B, 4]`."""


@dataclass(frozen=True)
class BoxScores:
    """The question of boxes: the score of one class of one box."""

    heads: Heads
    names: tuple[str, ...] = ("box",)
    arguments: tuple[tuple[str, tf.TensorSpec], ...] = (
        ("boxes", tf.TensorSpec([None, None], tf.int32)),
        ("classes", tf.TensorSpec([None, None], tf.int32)),
    )

    def __call__(self, outputs: Outputs, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return float32 `[N, T]` for `"boxes"` and `"classes"`, int32 `[N, T]`."""
        scores, objectness = self.heads.scores_of(outputs)
        of_box = tf.gather(scores, given["boxes"], axis=1, batch_dims=1)
        found = tf.gather(of_box, given["classes"], axis=2, batch_dims=2)
        if objectness is None:
            return found
        return self.heads.product(
            found, tf.gather(objectness, given["boxes"], axis=1, batch_dims=1)
        )


@dataclass(frozen=True, eq=False)
class Box(Asked):
    """The score of one box; see `box`."""

    index: Any
    class_id: Any = None
    nms: float | None = None
    decode: Decode | None = None
    heads: tuple[str | None, str | None, str | None] = (None, None, None)

    @classmethod
    def question(cls, targets: Sequence[Box], network: Network) -> BoxScores:
        """See `Asked.question`."""
        asked = {target.heads for target in targets}
        if len(asked) > 1:
            raise InputError("targets that are boxes must have the same scores= and objectness=")
        return BoxScores(find_heads(network, *asked.pop()))

    @classmethod
    def settle(cls, targets: Sequence[Box], scene: Scene) -> Settled:
        """See `Asked.settle`."""
        heads = cls.question(targets, scene.network).heads
        found, there = heads.scores_of(scene.outputs.get("", scene.outputs))
        scores, objectness = found.numpy(), None if there is None else there.numpy()
        boxes = np.stack([t._boxes(scene, heads, scores, objectness) for t in targets], axis=1)
        of_box = np.take_along_axis(scores, boxes[..., None], axis=1)
        pairs = [target._classes(scene, of_box[:, at]) for at, target in enumerate(targets)]
        classes = np.stack(pairs, axis=1)
        names = scene.network.names_of(scores.shape[-1]).names
        called = [
            [
                f"{target._called} {number}: {names[class_id]}"
                for target, number, class_id in zip(targets, numbers, row, strict=True)
            ]
            for numbers, row in zip(cls._numbers(targets, scene), classes, strict=True)
        ]
        values = {"boxes": boxes.astype(np.int32), "classes": classes.astype(np.int32)}
        return Settled(values, cls._numbers(targets, scene), called)

    @property
    def words(self) -> str | None:
        """See `Asked.words`."""
        simple = self.decode is None and not any(self.heads) and self.nms in (None, DETECTION_IOU)
        if not simple or np.ndim(self.index) or np.ndim(self.class_id):
            return None
        return f"{self._called} {self.index}" + (
            "" if self.class_id is None else f" of {self.class_id}"
        )

    @property
    def _called(self) -> str:
        return "box" if self.nms is None else "detection"

    @classmethod
    def _numbers(cls, targets: Sequence[Box], scene: Scene) -> np.ndarray:
        given = [scene.of_each(target.index, "index of a box") for target in targets]
        return np.stack(given, axis=1)

    def _boxes(
        self, scene: Scene, heads: Heads, scores: np.ndarray, objectness: np.ndarray | None
    ) -> np.ndarray:
        """Which boxes of the output are asked for, int `[n]`."""
        numbers = scene.of_each(self.index, "index of a box")
        kept = None
        if self.nms is not None:
            corners = corners_of(scene.network, heads, scene.outputs, scene.fitted, self.decode)
            own = self._classes_or_best(scene, heads.ranked(scores))
            ranks = heads.confidence(own, objectness)
            most = int(numbers.max()) + 1
            kept = [
                _kept(each, rank, most, self.nms) for each, rank in zip(corners, ranks, strict=True)
            ]
        found = []
        for place, number in enumerate(numbers):
            count = scores.shape[1] if kept is None else len(kept[place])
            if not 0 <= number < count:
                after = "" if kept is None else f" left at nms={self.nms:g}"
                raise InputError(
                    f"{self._called} {number} is out of range: picture {scene.part.start + place} "
                    f"has {count} boxes{after}, 0 to {count - 1}"
                )
            found.append(number if kept is None else kept[place][number])
        return np.array(found, int)

    def _classes_or_best(self, scene: Scene, scores: np.ndarray) -> np.ndarray:
        """The scores that boxes are ranked by: of the class asked for, if any, `[n, B, C or 1]`."""
        if self.class_id is None:
            return scores
        classes = self._classes(scene, scores[:, 0])
        return np.take_along_axis(scores, classes[:, None, None], axis=2)

    def _classes(self, scene: Scene, scores: np.ndarray) -> np.ndarray:
        """The class that is asked for of each box, int `[n]`, from its scores `[n, C]`."""
        if self.class_id is None:
            best: np.ndarray = scores.argmax(axis=-1)
            return best
        given = scene.of_each(listed(self.class_id), "class_id of a box")
        return np.array([find_class(scene.network, scores.shape[-1], each) for each in given])


def _kept(corners: np.ndarray, ranks: np.ndarray, most: int, overlap: float) -> np.ndarray:
    """Which boxes `[B, 4]` non-maximum suppression leaves, the best first.

    As in KerasHub, a box without a positive coordinate is none: it lies outside of the picture.
    """
    inside = np.flatnonzero((corners > 0).any(axis=-1))
    left = tf.image.non_max_suppression(
        corners[inside].astype(np.float32), ranks[inside], most, iou_threshold=overlap
    )
    found: np.ndarray = inside[left.numpy()]
    return found


DETECTION_IOU = 0.5
"""The overlap above which a text's `detection` takes two boxes for one."""


def box(
    index: Any,
    class_id: Any = None,
    *,
    nms: float | None = None,
    decode: Decode | None = None,
    scores: str | None = None,
    objectness: str | None = None,
    boxes: str | None = None,
) -> Box:
    """The score of one box, as a target of a detector.

    The network gives scores for each of B boxes, `[N, B, C]` (or for each position,
    `[N, h, w, C]`), alone or with boxes `[N, B, 4]` and an objectness `[N, B]` as further outputs;
    it is then opened without `output=`. The score is the class's logit; with an objectness, the
    logit of the class's probability times the objectness. Any number of boxes and classes share
    what is compiled.

    Args:
        index: Which box, from 0: in the order of the output; with `nms`, of those that are left,
            the best first. Or one for each picture.
        class_id: The class, an index or a name; or one for each picture. By default the box's best.
        nms: Count the boxes that non-maximum suppression leaves, whatever their class, where two
            that overlap by more than this (intersection over union) are one.
        decode: For `nms`: from the outputs by name and the pictures at the network's size to the
            boxes' corners (two of one corner, two of the other), `[N, B, 4]`. By default those of
            the output, or, of a RetinaNet of KerasHub, what it decodes itself.
        scores: The output with the classes' scores, where that is not plain.
        objectness: The output that says whether there is an object at all.
        boxes: The output with the boxes.

    Example:
        >>> third, of_each_picture = box(3, "dog"), box([10, 200, 300], nms=0.5)
    """
    numbers = np.asarray(index)
    if numbers.ndim > 1 or numbers.dtype.kind not in "iu":
        raise InputError(
            "index of a box must be a number from 0, or one for each picture; "
            f"received {shown(index)}"
        )
    if nms is not None and not (isinstance(nms, Real) and 0 < nms <= 1):
        raise InputError(f"nms must be an overlap in 0..1; received {shown(nms)}")
    return Box(numbers.tolist(), class_id, nms, decode, (scores, objectness, boxes))
