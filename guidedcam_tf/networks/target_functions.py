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
        value = tf.cast(tf.convert_to_tensor(function(tf.cast(outputs, tf.float32))), tf.float32)
        if value.shape.rank == 2 and value.shape[1] == 1:
            value = value[:, 0]
        if value.shape.rank != 1:
            raise InputError(
                f"target {function_name(function)!r} must give one number for each picture, shape "
                f"[N]; from outputs {tuple(outputs.shape)} it gave {tuple(value.shape)}"
            )
        columns.append(value)
    return tf.stack(columns, axis=1)
