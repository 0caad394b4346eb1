"""What is explained where it is not a class: numbers that a function makes of the outputs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from guidedcam_tf.errors import InputError

TargetFunction = Callable[[tf.Tensor], tf.Tensor]
"""Turns a network's output before a final softmax or sigmoid, float32 `[N, ...]`, into `[N]`."""


def function_name(function: TargetFunction) -> str:
    """What a function is called in results."""
    return getattr(function, "__name__", type(function).__name__)


def apply_all(functions: Sequence[TargetFunction], outputs: tf.Tensor) -> tf.Tensor:
    """Return the functions of a network's outputs `[N, ...]`, float32 `[N, len(functions)]`.

    Raises:
        InputError: If a function does not give one number for each picture.
    """
    columns = []
    for function in functions:
        value = _value(function, tf.cast(outputs, tf.float32))
        if value.shape.rank == 2 and value.shape[1] == 1:
            value = value[:, 0]
        if value.shape.rank != 1:
            raise InputError(
                f"target {function_name(function)!r} must give one number for each picture, shape "
                f"[N]; from outputs {tuple(outputs.shape)} it gave {tuple(value.shape)}"
            )
        columns.append(value)
    return tf.stack(columns, axis=1)


def _value(function: TargetFunction, outputs: tf.Tensor) -> tf.Tensor:
    try:
        return tf.cast(tf.convert_to_tensor(function(outputs)), tf.float32)
    except InputError:
        raise
    except Exception as error:  # What a user's own function raises on a tensor.
        reason = (str(error).strip().splitlines() or [""])[0]
        raise InputError(
            f"target {function_name(function)!r} raised {type(error).__name__}: {reason}. It gets "
            f"a float32 tensor {tuple(outputs.shape)}, and must return one number for each picture "
            "in TensorFlow operations"
        ) from error
