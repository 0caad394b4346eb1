"""Gaussian smoothing of maps at their own resolution."""

import tensorflow as tf


def gaussian_smooth(maps: tf.Tensor, *, size: int, sigma: float) -> tf.Tensor:
    """Convolve each map with a Gaussian window.

    The edge is mirrored, so that a constant map stays what it is and a peak at the border does not
    fade.

    Args:
        maps: Float32 `[N, h, w]`, with h and w at least `size // 2`.
        size: Odd width of the window, in cells of the map.
        sigma: Standard deviation, in cells of the map.

    Returns:
        Float32 `[N, h, w]`.
    """
    radius = size // 2
    offsets = tf.range(-radius, radius + 1, dtype=tf.float32)
    window = tf.exp(-0.5 * tf.square(offsets / sigma))
    window /= tf.reduce_sum(window)
    padded = tf.pad(maps, [[0, 0], [radius, radius], [radius, radius]], mode="SYMMETRIC")
    kernel = (window[:, None] * window[None, :])[:, :, None, None]
    return tf.nn.conv2d(padded[..., None], kernel, strides=1, padding="VALID")[..., 0]
