"""The outputs of a detector: which of them holds what, and how they become scores and boxes."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.outputs import MAKERS
from guidedcam_tf.networks.target_functions import Outputs

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network

NAMED = {
    "objectness": re.compile("objectness|obj(ect)?(_|$)|centerness", re.IGNORECASE),
    "boxes": re.compile("box|loc|regress|offset|delta", re.IGNORECASE),
}
"""What outputs that hold no classes are usually called."""

SMALLEST = 1e-7
"""How near to 0 and 1 a probability comes whose logarithm is taken."""


@dataclass(frozen=True)
class Heads:
    """Which output of a detector holds what.

    Attributes:
        scores: The name of the output with classes; `""` for the only one there is.
        objectness: That with the objectness, if there is one.
        boxes: That with the boxes, if there is one.
        makers: What turns the scores and the objectness into probabilities: `"softmax"`,
            `"sigmoid"`, or `""` where they are that.
    """

    scores: str
    objectness: str | None = None
    boxes: str | None = None
    makers: tuple[str, str] = ("sigmoid", "sigmoid")

    def scores_of(self, outputs: Outputs) -> tuple[tf.Tensor, tf.Tensor | None]:
        """Return the classes' scores `[N, B, C]`, and the objectness `[N, B]` if there is one.

        With an objectness, the former are probabilities' logarithms.
        """
        scores = outputs if self.scores == "" else outputs[self.scores]
        by_box = _by_box(tf.convert_to_tensor(scores))
        if self.objectness is None:
            return by_box, None
        flat = tf.convert_to_tensor(outputs[self.objectness])
        objectness = tf.reshape(flat, [tf.shape(flat)[0], -1])
        return _logarithm(by_box, self.makers[0]), _logarithm(objectness, self.makers[1])

    def ranked(self, scores: np.ndarray) -> np.ndarray:
        """What boxes are compared by, of scores `[N, B, C]`: one logit of softmax is no measure."""
        if self.objectness is None and self.makers[0] == "softmax":
            return np.asarray(_logarithm(tf.constant(scores), "softmax"))
        return scores

    def product(self, scores: tf.Tensor, objectness: tf.Tensor) -> tf.Tensor:
        """The logit of the product of two probabilities, whose logarithms are given."""
        logarithm = tf.minimum(scores + objectness, -SMALLEST)
        return logarithm - tf.math.log(-tf.math.expm1(logarithm))

    def confidence(self, scores: np.ndarray, objectness: np.ndarray | None) -> np.ndarray:
        """What boxes are ranked by, `[N, B]`: the score of each one's best class."""
        best: np.ndarray = scores.max(axis=-1)
        return best if objectness is None else best + objectness


def find_heads(
    network: Network, scores: str | None, objectness: str | None, boxes: str | None
) -> Heads:
    """Find out which output holds what: as told, and else by name and shape.

    Raises:
        InputError: If there is no such output, or if it is not plain which one holds the classes.
    """
    graph = network.graph
    if not graph.ends:
        for name, given in (("scores", scores), ("objectness", objectness), ("boxes", boxes)):
            if given is not None:
                raise InputError(
                    f"{name}={shown(given)} names one of several outputs; {network.name!r} was "
                    "opened with one: open it without output="
                )
        if len(graph.output_shape) != 3:
            raise InputError(
                "target box needs the scores of each box, [N, boxes, classes]; model "
                f"{network.name!r} gives {graph.output_shape}; a segmentation has regions, "
                "'class 7 in mask.png', a classifier its classes"
            )
        return Heads("", makers=(graph.score_activation, ""))
    shapes = {name: _shape(network, name) for name in graph.ends}
    for given in (scores, objectness, boxes):
        if given is not None and given not in shapes:
            raise InputError(
                f"model {network.name!r} has no output {shown(given)}; expected one of "
                f"{', '.join(shapes)}"
            )
    left = [name for name in shapes if name not in (scores, objectness, boxes)]
    boxes = boxes or _only(
        [name for name in left if NAMED["boxes"].search(name) and shapes[name][-1] == 4]
    )
    left = [name for name in left if name != boxes]
    objectness = objectness or _only(
        [
            name
            for name in left
            if NAMED["objectness"].search(name)
            and (len(shapes[name]) == 2 or shapes[name][-1] == 1)
        ]
    )
    left = [name for name in left if name != objectness and len(shapes[name]) in (3, 4)]
    found = scores or _only(left)
    if found is None:
        listing = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise InputError(
            f"it is not plain which output of {network.name!r} holds the classes of each box, "
            f"[N, boxes, classes]: {listing}; give scores=, and objectness= and boxes= if there are"
        )
    there = "" if objectness is None else _maker(network, objectness)
    return Heads(found, objectness, boxes, (_maker(network, found), there))


def corners_of(
    network: Network,
    heads: Heads,
    outputs: Mapping[str, np.ndarray],
    fitted: tf.Tensor,
    decode: Callable[[dict[str, tf.Tensor], tf.Tensor], Any] | None,
) -> np.ndarray:
    """The boxes' corners, `[N, B, 4]`.

    Raises:
        InputError: If there are none.
    """
    if decode is None and hasattr(network.model, "anchor_generator"):
        decode = _retinanet(network.model)
    if decode is not None:
        tensors = {name: tf.constant(value) for name, value in outputs.items()}
        corners = np.asarray(decode(tensors, network.model_inputs(fitted)), np.float32)
        if corners.ndim != 3 or corners.shape[::2] != (len(fitted), 4):
            raise InputError(
                "decode= must return the boxes' corners, [N, B, 4] for N pictures; received shape "
                f"{corners.shape}"
            )
    elif heads.boxes is not None:
        corners = outputs[heads.boxes].reshape(len(fitted), -1, 4)
    else:
        raise InputError(
            "nms= needs the boxes: give boxes= with the output that holds them, or decode= with a "
            "function that makes them of the outputs"
        )
    sides = corners[..., 2:] - corners[..., :2]
    if corners.shape[-1] != 4 or not (sides >= 0).all():
        raise InputError(
            f"boxes must be two corners each, [N, B, 4], the smaller numbers first; those of "
            f"{'decode=' if decode else heads.boxes} are not, {(sides < 0).any(-1).mean():.0%} of "
            "them: give decode= with a function that makes corners of the outputs"
        )
    return corners


def _only(names: list[str]) -> str | None:
    return names[0] if len(names) == 1 else None


def _shape(network: Network, name: str) -> tuple[int | None, ...]:
    step = network.graph.source(network.graph.ends[name])
    return () if step is None else step.shape


def _by_box(scores: tf.Tensor) -> tf.Tensor:
    """Scores by box, `[N, B, C]`, also of those by position, `[N, h, w, C]`."""
    shape = tf.shape(scores)
    return tf.reshape(scores, [shape[0], -1, scores.shape[-1] or shape[-1]])


def _maker(network: Network, name: str) -> str:
    """What turns an output's scores into probabilities: as in the model, and by their values."""
    graph = network.graph
    if graph.activations.get(name):
        return graph.activations[name]
    (found,) = graph.tried({graph.input: network.noise()}, [graph.ends[name]])
    values = np.asarray(tf.cast(found, tf.float32))
    return "" if values.min() >= 0 and values.max() <= 1 else "sigmoid"


def _logarithm(scores: tf.Tensor, maker: str) -> tf.Tensor:
    """The logarithm of the probability that scores stand for."""
    if maker == "sigmoid":
        return -tf.nn.softplus(-scores)
    if maker == "softmax":
        return MAKERS["log_softmax"](scores)
    return tf.math.log(tf.clip_by_value(scores, SMALLEST, 1.0))


def _retinanet(model: Any) -> Callable[[dict[str, tf.Tensor], tf.Tensor], Any]:
    """How a RetinaNet of KerasHub makes boxes of its outputs, before it suppresses any."""

    def decode(outputs: dict[str, tf.Tensor], pictures: tf.Tensor) -> Any:
        anchors = tf.concat(list(model.anchor_generator(pictures).values()), axis=0)
        return keras.utils.bounding_boxes.decode_deltas_to_boxes(
            anchors=anchors,
            boxes_delta=outputs["bbox_regression"],
            encoded_format="center_xywh",
            anchor_format=model.anchor_generator.bounding_box_format,
            box_format="yxyx",
            image_shape=tuple(pictures.shape[1:]),
        )

    return decode
