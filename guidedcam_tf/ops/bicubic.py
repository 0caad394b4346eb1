"""Bicubic resizing of pictures as PyTorch and OpenCV do it."""

import tensorflow as tf

SHARPNESS = -0.75
"""The a of Keys' kernel in PyTorch and OpenCV; `tf.image.resize` has -0.5."""


def resize_bicubic(images: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Resize pictures with half-pixel centres; beyond the edge, the edge's pixels are repeated.

    This is the convention of PyTorch's `interpolate` with `align_corners=False` and of OpenCV's
    `INTER_CUBIC`: without smoothing before shrinking. Values may overshoot those of the picture.

    Args:
        images: Float32 `[N, H, W, C]`, of any range.
        size: Height and width of the result, in pixels.

    Returns:
        Float32 `[N, *size, C]`.
    """
    rows = _cubic_weights(tf.shape(images)[1], size[0])
    columns = _cubic_weights(tf.shape(images)[2], size[1])
    return tf.einsum("ih,nhwc,jw->nijc", rows, images, columns)


def _cubic_weights(length: tf.Tensor, size: int | tf.Tensor) -> tf.Tensor:
    """The matrix `[size, length]` that resizes an axis, by Keys' kernel (IEEE TASSP 29, 1981)."""
    scale = tf.cast(length, tf.float32) / tf.cast(size, tf.float32)
    positions = (tf.range(size, dtype=tf.float32) + 0.5) * scale - 0.5
    sources = tf.floor(positions)[:, None] + tf.range(-1.0, 3.0)
    x, a = tf.abs(positions[:, None] - sources), SHARPNESS
    near = ((a + 2) * x - (a + 3)) * x**2 + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    clamped = tf.clip_by_value(tf.cast(sources, tf.int32), 0, length - 1)
    weights = tf.where(x <= 1, near, far)[..., None] * tf.one_hot(clamped, length)
    return tf.reduce_sum(weights, axis=1)
