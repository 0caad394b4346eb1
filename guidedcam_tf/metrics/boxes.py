"""The pixels of an object's boxes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_array


def box_mask(
    boxes: ArrayLike, shape: tuple[int, int], difficult: Sequence[bool] | None = None
) -> np.ndarray:
    """Return the union of a class's boxes in a picture.

    A box is (x_min, y_min, x_max, y_max) with its end left out: it holds the columns
    x_min <= x < x_max and the rows y_min <= y < y_max, counted from 0. A VOC box, which counts
    from 1 and includes its end, is (xmin - 1, ymin - 1, xmax, ymax); a COCO box is
    (x, y, x + width, y + height). A pixel that a box covers in part belongs to it, and what is
    outside the picture is cut off.

    Args:
        boxes: Numbers `[B, 4]`; B may be 0.
        shape: Height and width of the picture.
        difficult: VOC's flag of each box. Where all are set the mask is empty, so that the pair is
            skipped; otherwise the flagged boxes count like the others (as in TorchRay).

    Returns:
        Bool `[H, W]`.

    Raises:
        InputError: If boxes or flags have another form, or a box ends before it begins.
    """
    corners = as_array(boxes, "boxes")
    if not corners.size:
        corners = np.zeros((0, 4))
    is_numbers = corners.dtype.kind in "iuf" and np.isfinite(corners).all()
    if corners.ndim != 2 or corners.shape[1] != 4 or not is_numbers:
        raise InputError(
            f"boxes must be finite numbers [B, 4]; received {corners.dtype} of shape "
            f"{corners.shape}"
        )
    if len(shape) != 2:
        raise InputError(f"shape must be the picture's height and width; received {shown(shape)}")
    if (corners[:, :2] > corners[:, 2:]).any():
        raise InputError("boxes must be (x_min, y_min, x_max, y_max); received a reversed one")
    if difficult is not None and len(difficult) != len(corners):
        raise InputError(
            f"difficult must have one flag a box, {len(corners)}; received {len(difficult)}"
        )
    mask = np.zeros(shape, bool)
    if difficult is not None and all(difficult):
        return mask
    height, width = shape
    inside = np.clip(corners, 0, [width, height, width, height])
    starts, ends = np.floor(inside[:, :2]).astype(int), np.ceil(inside[:, 2:]).astype(int)
    for (left, top), (right, bottom) in zip(starts, ends, strict=True):
        mask[top:bottom, left:right] = True
    return mask
