"""Boxes as the package writes them, made from VOC's and COCO's.

A box is (x_min, y_min, x_max, y_max) in pixels from 0 with its end left out, so that its width is
x_max - x_min.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from guidedcam_tf.errors import InputError

Box = tuple[float, float, float, float]

SLACK = 0.5
"""How many pixels a box may reach over the picture's edge: rounding, which is cut off."""


def from_voc(corners: Sequence[float], shape: tuple[int, int], first: int = 1) -> Box:
    """Turn VOC's (xmin, ymin, xmax, ymax), which includes its last pixels, into a box.

    Args:
        corners: Four numbers.
        shape: Height and width of the picture.
        first: The number of the first pixel, 1 for VOC itself, 0 for many tools.

    Raises:
        InputError: If the box is empty, is not finite or leaves the picture, or if its numbers are
            parts of the picture.
    """
    left, top, right, bottom = corners
    return _inside(
        (left - first, top - first, right + 1 - first, bottom + 1 - first), corners, shape
    )


def from_coco(corner_and_size: Sequence[float], shape: tuple[int, int]) -> Box:
    """Turn COCO's (x, y, width, height) into a box; see `from_voc`."""
    left, top, width, height = corner_and_size
    return _inside((left, top, left + width, top + height), corner_and_size, shape)


def from_corners(corners: Sequence[float], shape: tuple[int, int]) -> Box:
    """Check a box in the package's own form; see `from_voc`."""
    left, top, right, bottom = corners
    return _inside((left, top, right, bottom), corners, shape)


def _inside(box: Box, written: Sequence[float], shape: tuple[int, int]) -> Box:
    height, width = shape
    numbers = ", ".join(f"{number:g}" for number in written)
    are_parts = min(written) >= 0 and max(written) <= 1
    if are_parts and (any(number % 1 for number in written) or tuple(written) == (0, 0, 1, 1)):
        raise InputError(
            f"box {numbers} is in parts of the picture; expected pixels: multiply by its width, "
            f"{width}, and height, {height}"
        )
    limits = np.array([width, height, width, height])
    cut = np.clip(box, 0, limits)
    if not (np.abs(cut - box) <= SLACK).all() or not (cut[:2] < cut[2:]).all():
        raise InputError(
            f"box {numbers} is empty or leaves the picture of {width} x {height} pixels"
        )
    return float(cut[0]), float(cut[1]), float(cut[2]), float(cut[3])
