"""Targets that are functions of the outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_array
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.target_functions import Functions
from guidedcam_tf.networks.target_functions import TargetFunction
from guidedcam_tf.networks.target_functions import function_name
from guidedcam_tf.targets.asked import Asked
from guidedcam_tf.targets.asked import Scene
from guidedcam_tf.targets.asked import Settled


@dataclass(frozen=True, eq=False)
class Function(Asked):
    """A function of the outputs, with what it takes of each picture.

    Attributes:
        function: From the outputs, and its arguments by name, to one number for each picture.
        arguments: `[N, ...]` for N pictures each, by name.
    """

    function: TargetFunction
    arguments: dict[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def question(cls, targets: Sequence[Function], network: Network) -> Functions:
        """See `Asked.question`."""
        arguments = tuple(
            (name, tf.TensorSpec([None] * value.ndim, value.dtype))
            for name, value in _arguments(targets).items()
        )
        return Functions(tuple(target.function for target in targets), arguments)

    @classmethod
    def settle(cls, targets: Sequence[Function], scene: Scene) -> Settled:
        """See `Asked.settle`."""
        arguments = _arguments(targets)
        for name, value in arguments.items():
            if len(value) != scene.pictures:
                raise InputError(
                    f"argument {name.partition('.')[2]!r} of a target must have one value for each "
                    f"of the {scene.pictures} pictures; received {value.shape}"
                )
        count = len(scene.fitted)
        return Settled(
            {name: value[scene.part] for name, value in arguments.items()},
            np.tile(np.arange(len(targets)), (count, 1)),
            [[function_name(target.function) for target in targets]] * count,
        )

    @property
    def words(self) -> None:
        """A function has no words."""
        return None


def function(function: TargetFunction, **arguments: Any) -> Function:
    """A function of the outputs as a target, with arguments that differ by picture.

    A function without arguments is a target as it is. What is compiled serves all values of the
    arguments.

    Args:
        function: Gets the outputs before a final softmax or sigmoid, float32 `[N, ...]`, of a model
            with several outputs (and without `output=`) all of them in a dict by name; and the
            arguments by name. It returns one number for each picture, `[N]`, in TensorFlow
            operations.
        **arguments: Arrays `[N, ...]` for N pictures, cut into batches as the pictures are.

    Raises:
        InputError: If an argument is no array of numbers with one value for each picture.

    Examples:
        >>> def of_box(outputs, box):
        ...     return tf.gather(outputs["scores"][:, :, 1], box, batch_dims=1)
        >>> target = function(of_box, box=[10, 200, 300])
    """
    if not callable(function):
        raise InputError(f"function must be a function of the outputs; received {shown(function)}")
    found = {}
    for name, value in arguments.items():
        array = as_array(value, f"argument {name!r}")
        if array.ndim < 1 or array.dtype.kind not in "biuf":
            raise InputError(
                f"argument {name!r} must have one value for each picture, [N, ...], in numbers; "
                f"received {shown(value)}"
            )
        wide = {np.dtype(np.float64): np.float32, np.dtype(np.int64): np.int32}
        found[name] = array.astype(wide.get(array.dtype, array.dtype))
    return Function(function, found)


def _arguments(targets: Sequence[Function]) -> dict[str, np.ndarray]:
    return {
        f"{place}.{name}": value
        for place, target in enumerate(targets)
        for name, value in target.arguments.items()
    }
