"""Min-max normalising of each map by itself."""

import tensorflow as tf

FLAT = 1e-6
"""A map whose range is below this part of its largest magnitude is flat: the rest is rounding."""


def min_max(maps: tf.Tensor, dimensions: int = 2) -> tf.Tensor:
    """Stretch each map to `[0, 1]`.

    Args:
        maps: Float32 `[..., h, w]`. Each `[h, w]` map is normalised by itself.
        dimensions: How many of the last axes a map has.

    Returns:
        Float32 of the same shape. A flat map, which points nowhere, becomes zero everywhere.
    """
    axes = list(range(-dimensions, 0))
    lowest = tf.reduce_min(maps, axis=axes, keepdims=True)
    shifted = maps - lowest
    extent = tf.reduce_max(shifted, axis=axes, keepdims=True)
    largest = tf.reduce_max(tf.abs(maps), axis=axes, keepdims=True)
    return tf.where(extent > FLAT * largest, tf.math.divide_no_nan(shifted, extent), 0.0)
