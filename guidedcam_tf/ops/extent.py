"""The spatial axes of a tensor: all between the batch and the channels."""

from __future__ import annotations

import tensorflow as tf

LETTERS = "hwd"
"""What einsum equations call the spatial axes."""


def spatial_axes(tensor: tf.Tensor) -> list[int]:
    """The spatial axes of `[N, ...spatial, K]`: `[1, 2]` of a picture's feature maps."""
    return list(range(1, len(tensor.shape) - 1))


def spatial_letters(tensor: tf.Tensor) -> str:
    """What an einsum equation calls the spatial axes of `[N, ...spatial, K]`: `"hw"`."""
    return LETTERS[: len(tensor.shape) - 2]
