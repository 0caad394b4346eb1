"""Square patches that are moved over a picture, from edge to edge."""

from __future__ import annotations

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.masking import MaskOf
from guidedcam_tf.methods.masking import weighted_masks

Pixels = Annotated[
    Annotated[int, Field(ge=1)] | None, "a whole number of at least 1 pixels, or None"
]
PATCHES = 7
"""How many patches side by side the shorter side of a picture holds, unless a size is given."""

SIZE = "the patch's side in pixels; None for a seventh of the picture's shorter side"
STRIDE = "pixels from patch to patch; None for half of `size`"


def patch_masks(
    name: str, size: int | None, stride: int | None, height: int, width: int
) -> tuple[int, MaskOf]:
    """Return how many places a patch has, and what makes masks that are 0 in it, row by row.

    Args:
        name: The method that asks, for errors.
        size: The patch's side, or None for a seventh of the shorter side.
        stride: From patch to patch, or None for half of the size.
        height: The picture's.
        width: The picture's.

    Raises:
        InputError: If the patch is larger than the picture, or leaves gaps.
    """
    size = size or max(1, round(min(height, width) / PATCHES))
    stride = stride or max(1, size // 2)
    if size > min(height, width):
        raise InputError(
            f"{name}: size must be at most {min(height, width)}, the shorter side of a "
            f"picture of {height} x {width}; received {size}"
        )
    if stride > size:
        raise InputError(
            f"{name}: stride must be at most size, {size}, so that every pixel is covered; "
            f"received {stride}"
        )
    tops, lefts = (_starts(side, size, stride) for side in (height, width))

    def mask_of(numbers: tf.Tensor) -> tf.Tensor:
        rows = _inside(tf.gather(tops, numbers // len(lefts)), size, height)
        columns = _inside(tf.gather(lefts, numbers % len(lefts)), size, width)
        return 1.0 - rows[:, :, None] * columns[:, None, :]

    return len(tops) * len(lefts), mask_of


def mean_over_patches(mask_of: MaskOf, values: tf.Tensor) -> tf.Tensor:
    """The mean value of the patches that cover each pixel, `[N, T, H, W]` for `[N, T, masks]`."""

    def patch_of(numbers: tf.Tensor) -> tf.Tensor:
        return 1.0 - mask_of(numbers)

    return weighted_masks(patch_of, values) / weighted_masks(patch_of, tf.ones_like(values[:1, :1]))


def _starts(side: int, size: int, stride: int) -> list[int]:
    """Where patches begin along a side; the last one ends at the edge."""
    last = side - size
    return [*range(0, last, stride), last]


def _inside(starts: tf.Tensor, size: int, side: int) -> tf.Tensor:
    """1 from each start on for `size` pixels, else 0, float32 `[B, side]`."""
    offsets = tf.range(side)[None] - starts[:, None]
    return tf.cast((offsets >= 0) & (offsets < size), tf.float32)
