"""A layer that keeps what passes through it."""

import keras
import tensorflow as tf


class Record(keras.layers.Layer):
    """The identity; `pictures` are the arrays that went through, `traces` counts Python calls."""

    def __init__(self, **options):
        super().__init__(**options)
        self.pictures = []
        self.traces = 0

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, inputs.dtype)

    def call(self, inputs):
        self.traces += 1
        recorded = tf.numpy_function(self._keep, [inputs], tf.int64)
        with tf.control_dependencies([recorded]):
            return tf.identity(inputs)

    def _keep(self, batch):
        self.pictures.extend(batch)
        return len(batch)
