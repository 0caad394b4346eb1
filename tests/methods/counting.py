"""A layer that counts what passes through it."""

import keras
import tensorflow as tf


class CountRows(keras.layers.Layer):
    """The identity; `rows` counts the pictures that went through, `traces` the Python calls."""

    def __init__(self, **options):
        super().__init__(**options)
        self.rows = 0
        self.traces = 0

    def compute_output_shape(self, input_shape):
        return input_shape

    def call(self, inputs):
        self.traces += 1
        recorded = tf.numpy_function(self._record, [tf.shape(inputs)[0]], tf.int32)
        with tf.control_dependencies([recorded]):
            return tf.identity(inputs)

    def _record(self, count):
        self.rows += int(count)
        return count
