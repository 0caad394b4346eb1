"""Reading targets for a network: from what is asked to class indices, or to a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.target_functions import ARGUMENT
from guidedcam_tf.networks.target_functions import TargetFunction
from guidedcam_tf.pipeline import Pipeline
from guidedcam_tf.targets.asked import Asked
from guidedcam_tf.targets.asked import Scene
from guidedcam_tf.targets.asked import Settled
from guidedcam_tf.targets.functions import Function
from guidedcam_tf.targets.units import Negative
from guidedcam_tf.targets.units import Unit
from guidedcam_tf.targets.words import read_words

Target = int | str | TargetFunction | Asked | Unit | Negative
Targets = Target | Sequence[Target] | Sequence[Sequence[int | str]] | np.ndarray | None

EXPECTED = (
    "an index, a class name, a wnid, 'top1', 'topK', a function of the output, or one of "
    "gcam.targets"
)


@dataclass(frozen=True)
class Resolved:
    """Targets of N pictures, T of each.

    Attributes:
        class_ids: Int32 `[N, T]`. -k is the k-th best class of the picture. Where the targets are
            no classes, these are counted.
        asked: The targets, where they are no classes.
        single: Whether one target of each picture was asked for, and not a list of them.
    """

    class_ids: np.ndarray
    asked: tuple[Asked, ...] = ()
    single: bool = False

    def pipeline(self, pipeline: Pipeline) -> Pipeline:
        """Return what explains the targets, from what explains the network.

        Raises:
            InputError: If the network has no output for them.
        """
        if not self.asked:
            return pipeline
        return pipeline.scored_by(type(self.asked[0]).question(self.asked, pipeline.network))

    def settle(
        self,
        pipeline: Pipeline,
        fitted: tf.Tensor,
        size: tuple[int, int],
        part: slice,
        values: dict[str, np.ndarray],
    ) -> Settled:
        """Find what the targets take of some pictures, and put it beside the pictures' values.

        Args:
            pipeline: What explains the network.
            fitted: The pictures at its size, `[n, H, W, C]`.
            size: Height and width of the pictures themselves.
            part: Which of all pictures they are.
            values: The values that the network itself takes of each picture, by name.

        Raises:
            InputError: If a target is not there in a picture.
        """
        if not self.asked:
            return Settled(values)
        scene = Scene(pipeline, fitted, size, part, len(self.class_ids))
        with WithValues(values):
            found = type(self.asked[0]).settle(self.asked, scene)
        own = {ARGUMENT.format(name): value for name, value in found.values.items()}
        return replace(found, values={**values, **own})

    @property
    def files(self) -> list[Path]:
        """The files that say what the targets are."""
        return [file for target in self.asked if (file := target.file) is not None]

    @property
    def words(self) -> list[str] | None:
        """The targets as texts that mean the same; `None` where one has none, or is a class."""
        words = [target.words for target in self.asked]
        return [each for each in words if each is not None] if words and all(words) else None


def resolve(
    targets: Any, network: Network, pictures: int | None = None, argument: str = "targets"
) -> Resolved:
    """Read targets for a network.

    Args:
        targets: One target; for one picture, a list of its targets. For several pictures, a list of
            one target for each, or of T targets for each (`[N, T]`); or a list of targets that are
            no classes, all of which are explained in each picture. `None` is each picture's best
            class.
        network: The network, whose class names are looked up.
        pictures: How many pictures there are; by default one, whose targets are listed.
        argument: What the caller calls the targets, for messages.

    Raises:
        InputError: If a target is unknown, ambiguous or out of range, or if their number does not
            fit the pictures.

    Example:
        >>> from guidedcam_tf.networks import open_network
        >>> network = open_network("mobilenetv2", weights=None)
        >>> resolve(["tabby", "top2"], network).class_ids
        array([[281,  -1,  -2]], dtype=int32)
        >>> resolve(["tabby", 5, "top1"], network, pictures=3).class_ids
        array([[281],
               [  5],
               [ -1]], dtype=int32)
    """
    count = 1 if pictures is None else pictures
    targets = _read(targets, network)
    if asked := _asked(targets, argument):
        places = np.tile(np.arange(len(asked), dtype=np.int32), (count, 1))
        return Resolved(places, asked, single=_is_one(targets))
    targets = "top1" if targets is None and pictures is not None else targets
    classes = network.classes
    if _is_one(targets):
        ids = _ids(classes, targets)
        return Resolved(np.array([ids] * count, np.int32), single=len(ids) == 1)
    listed = _listed(targets, argument)
    if pictures is not None:
        return _of_pictures(classes, listed, pictures, argument)
    ids = [each for target in listed for each in _ids(classes, target)]
    return Resolved(np.array([ids], np.int32))


def _of_pictures(classes: ClassNames, listed: list[Any], pictures: int, argument: str) -> Resolved:
    if len(listed) != pictures:
        raise InputError(
            f"{argument} must be one for all pictures, or a list with one entry for each of the "
            f"{pictures}; received {len(listed)}"
        )
    single = all(_is_one(entry) for entry in listed)
    _refuse_labels(listed, len(classes.names), argument)
    entries = [[entry] if _is_one(entry) else list(entry) for entry in listed]
    rows = [[each for target in entry for each in _ids(classes, target)] for entry in entries]
    widths = sorted({len(row) for row in rows})
    if len(widths) > 1 or widths == [0]:
        raise InputError(
            f"{argument} must be as many for each picture, and at least one; received "
            f"{' and '.join(map(str, widths))}"
        )
    return Resolved(np.array(rows, np.int32), single=single and widths == [1])


def _refuse_labels(listed: list[Any], classes: int, argument: str) -> None:
    """Refuse labels as Keras has them for its losses: one-hot, which would be `classes` targets.

    Those of two classes are floats, `[N, 1]` or `[N]`.
    """
    shapes = {np.shape(entry) for entry in listed}
    if shapes in ({()}, {(1,)}):
        labels = np.asarray(listed)
        if labels.dtype.kind == "f" and np.isin(labels, np.arange(classes)).all():
            raise InputError(
                f"{argument} look like labels in floats, {labels.shape}; expected class indices: "
                "give labels.astype(int).ravel()"
            )
    if shapes != {(classes,)}:
        return
    rows = np.stack(listed)
    one_hot = np.isin(rows, (0, 1)).all() and ((rows == 1).sum(axis=1) == 1).all()
    if one_hot and (classes > 2 or len(np.unique(rows, axis=0)) > 1):
        raise InputError(
            f"{argument} look like one-hot labels {rows.shape}; expected class indices: give "
            "labels.argmax(axis=1)"
        )


def _read(targets: Any, network: Network) -> Any:
    """Return targets with those in words, and those that are a class by another name, read."""
    if isinstance(targets, (list, tuple)):
        return [_read(target, network) for target in targets]
    if isinstance(targets, str) and not _names_a_class(targets, network):
        targets = read_words(targets)
    if isinstance(targets, (Unit, Negative)):
        return targets.class_id(network)
    return Function(targets) if callable(targets) else targets


def _names_a_class(text: str, network: Network) -> bool:
    return network.has_classes and text in network.classes.names


def _asked(targets: Any, argument: str) -> tuple[Asked, ...]:
    listed = targets if isinstance(targets, list) else [targets]
    asked = tuple(target for target in listed if isinstance(target, Asked))
    if asked and (len(asked) != len(listed) or len({type(target) for target in asked}) > 1):
        kinds = sorted(
            {type(t).__name__.lower() if isinstance(t, Asked) else "class" for t in listed}
        )
        raise InputError(
            f"{argument} must be all of one kind: classes, functions of the output, regions or "
            f"boxes; received {' and '.join(kinds)}"
        )
    return asked


def _is_one(target: Any) -> bool:
    return isinstance(target, (str, bytes)) or (np.ndim(target) == 0 and not _is_list(target))


def _is_list(targets: Any) -> bool:
    return isinstance(targets, (list, tuple, range))


def _listed(targets: Any, argument: str) -> list[Any]:
    if not _is_list(targets) and not hasattr(targets, "__array__"):
        raise InputError(
            f"{argument} must be {EXPECTED}, or a list of them; received {shown(targets)}"
        )
    listed = list(targets if _is_list(targets) else np.asarray(targets))
    if not listed:
        raise InputError(f"{argument} is empty; expected at least one")
    return listed


def _ids(classes: ClassNames, target: Any) -> list[int]:
    if hasattr(target, "__array__") and np.ndim(target) == 0:
        target = np.asarray(target).item()
    if isinstance(target, int) and not isinstance(target, bool):
        return [classes.check(target)]
    if not isinstance(target, str):
        whole = isinstance(target, float) and target.is_integer()
        way_out = f": an index is a whole number, int({target})" if whole else ""
        raise InputError(f"target must be {EXPECTED}; received {shown(target)}{way_out}")
    return classes.ids(target)
