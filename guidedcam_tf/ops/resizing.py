"""Resizing of maps: with half-pixel centres, and from corner to corner."""

from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

Interpolation = Literal["bilinear", "bicubic"]


def resize(
    tensors: tf.Tensor, size: Sequence[int] | tf.Tensor, method: Interpolation = "bilinear"
) -> tf.Tensor:
    """Resize signals, pictures or volumes, as `resize_maps` does maps.

    Args:
        tensors: Numbers `[N, ...spatial, C]`, with one to three spatial axes.
        size: How long each of these becomes.
        method: The interpolation.

    Returns:
        Float32 `[N, *size, C]`.
    """
    axes = len(tensors.shape) - 2
    if axes == 2:
        return tf.image.resize(tensors, size, method=method)
    if axes == 1:
        return tf.image.resize(tensors[:, :, None], [size[0], 1], method=method)[:, :, 0]
    count, depth, *sides = tf.unstack(tf.shape(tensors))
    slices = resize(tf.reshape(tensors, [count * depth, *sides]), size[1:], method)
    columns = tf.reshape(slices, [count, depth, size[1] * size[2], sides[-1]])
    resized = tf.image.resize(columns, [size[0], size[1] * size[2]], method=method)
    return tf.reshape(resized, [count, size[0], size[1], size[2], sides[-1]])


def resize_maps(
    maps: tf.Tensor, size: Sequence[int] | tf.Tensor, method: Interpolation = "bilinear"
) -> tf.Tensor:
    """Resize maps so that the corners of the grid, not the centres of its cells, stay put.

    This is the convention of OpenCV's `INTER_LINEAR`, of `tf.image.resize` and of PyTorch with
    `align_corners=False`. The bicubic kernel is Keys' with a = -0.5.

    Args:
        maps: Float32 `[N, ...spatial]`, with one to three spatial axes.
        size: How long each of these becomes; of pictures, height and width in pixels.
        method: The interpolation. Bicubic overshoots, so its result is clipped at 0 from below.

    Returns:
        Float32 `[N, *size]`.
    """
    resized = resize(maps[..., None], size, method)[..., 0]
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
