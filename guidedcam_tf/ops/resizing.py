"""Resizing of maps: with half-pixel centres, and from corner to corner."""

from typing import Literal

import tensorflow as tf

Interpolation = Literal["bilinear", "bicubic"]


def resize_maps(
    maps: tf.Tensor, size: tuple[int, int] | tf.Tensor, method: Interpolation = "bilinear"
) -> tf.Tensor:
    """Resize maps so that the corners of the grid, not the centres of its cells, stay put.

    This is the convention of OpenCV's `INTER_LINEAR`, of `tf.image.resize` and of PyTorch with
    `align_corners=False`. The bicubic kernel is Keys' with a = -0.5.

    Args:
        maps: Float32 `[N, h, w]`.
        size: Height and width of the result, in pixels.
        method: The interpolation. Bicubic overshoots, so its result is clipped at 0 from below.

    Returns:
        Float32 `[N, *size]`.
    """
    resized = tf.image.resize(maps[..., None], size, method=method)[..., 0]
    return tf.maximum(resized, 0.0) if method == "bicubic" else resized


def resize_maps_to_corners(maps: tf.Tensor, size: tuple[int, int] | tf.Tensor) -> tf.Tensor:
    """Resize maps bilinearly so that the centres of the corner cells stay in the corners.

    This is the convention of PyTorch with `align_corners=True`.

    Args:
        maps: Float32 `[N, h, w]`.
        size: Height and width of the result, in pixels.

    Returns:
        Float32 `[N, *size]`.
    """
    return tf.raw_ops.ResizeBilinear(images=maps[..., None], size=size, align_corners=True)[..., 0]
