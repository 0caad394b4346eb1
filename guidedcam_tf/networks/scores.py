"""What is explained where it is not a class: numbers that a function makes of the outputs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

from guidedcam_tf.errors import InputError

Score = Callable[[tf.Tensor], tf.Tensor]
"""Turns a network's output before a final softmax or sigmoid, float32 `[N, ...]`, into `[N]`."""


def score_name(score: Score) -> str:
    """What a score is called in results: the function's name."""
    return getattr(score, "__name__", type(score).__name__)


def score_all(scores: Sequence[Score], outputs: tf.Tensor) -> tf.Tensor:
    """Return the scores of a network's outputs `[N, ...]`, float32 `[N, len(scores)]`.

    Raises:
        InputError: If a function does not give one number for each picture.
    """
    columns = []
    for score in scores:
        value = tf.cast(tf.convert_to_tensor(score(tf.cast(outputs, tf.float32))), tf.float32)
        if value.shape.rank == 2 and value.shape[1] == 1:
            value = value[:, 0]
        if value.shape.rank != 1:
            raise InputError(
                f"target {score_name(score)!r} must give one number for each picture, shape [N]; "
                f"from outputs {tuple(outputs.shape)} it gave {tuple(value.shape)}"
            )
        columns.append(value)
    return tf.stack(columns, axis=1)
