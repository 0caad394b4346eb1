"""Gaussian smoothing of maps at their own resolution."""

import tensorflow as tf


def gaussian_smooth(maps: tf.Tensor, *, size: int, sigma: float) -> tf.Tensor:
    """Convolve each map with a Gaussian window.

    The edge is mirrored, so that a constant map stays what it is and a peak at the border does not
    fade.

    Args:
        maps: Float32 `[N, ...spatial]`, with sides of at least `size // 2`.
        size: Odd width of the window, in cells of the map.
        sigma: Standard deviation, in cells of the map.

    Returns:
        Float32 `[N, ...spatial]`.
    """
    radius = size // 2
    offsets = tf.range(-radius, radius + 1, dtype=tf.float32)
    window = tf.exp(-0.5 * tf.square(offsets / sigma))
    window /= tf.reduce_sum(window)
    dimensions = len(maps.shape) - 1
    padded = tf.pad(maps, [[0, 0]] + [[radius, radius]] * dimensions, mode="SYMMETRIC")
    kernel = window
    for _ in range(dimensions - 1):
        kernel = kernel[..., None] * window
    return tf.nn.convolution(padded[..., None], kernel[..., None, None], padding="VALID")[..., 0]
