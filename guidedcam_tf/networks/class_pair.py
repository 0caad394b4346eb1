"""The two classes of a network with one unit."""

from __future__ import annotations

import keras
import tensorflow as tf


class ClassPair(keras.layers.Layer):
    """Scores `[N, 1]` to `[-score, score]`: of the class that a unit speaks against, and for."""

    def call(self, scores: tf.Tensor) -> tf.Tensor:
        """Return `[N, 2]`."""
        # Not a concatenation, whose gradient OpenVINO lacks.
        return tf.matmul(scores, tf.constant([[-1, 1]], scores.dtype))
