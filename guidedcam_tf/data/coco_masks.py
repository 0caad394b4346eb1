"""COCO's masks: polygons and run lengths, through pycocotools."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError

_ROUNDING = 2
"""How many pixels a mask's edge is from its box's at most, where they are of one form."""


def check_pycocotools() -> None:
    """Raise `InputError` where pycocotools is not installed."""
    try:
        import pycocotools.mask  # noqa: F401
    except ImportError as error:
        raise InputError(
            "COCO's masks need pycocotools: pip install 'guidedcam-tf[coco]', or masks=False"
        ) from error


def packed(numbers: Any) -> np.ndarray | None:
    """Return a list of finite numbers as an array, anything else as `None`."""
    try:
        array = np.array(numbers, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None
    return array if array.ndim == 1 and np.isfinite(array).all() else None


def decode(segmentation: Any, shape: tuple[int, int]) -> np.ndarray:
    """Turn one annotation's mask into pixels.

    pycocotools does not check what it is given, and can write where there is no picture; so what
    could make it do that is refused here.

    Args:
        segmentation: `{"size": [H, W], "counts": ...}` with run lengths, an array or COCO's
            compressed text; or a list of polygons, arrays of x and y in turn. See `packed`.
        shape: Height and width of the picture.

    Returns:
        Bool `[H, W]`.

    Raises:
        ValueError: If it is neither, or does not fit the picture.
    """
    from pycocotools import mask as masks

    height, width = shape
    if isinstance(segmentation, dict):
        counts = segmentation.get("counts")
        if isinstance(counts, str):
            counts = _decompressed(counts)
        if list(shape) != segmentation.get("size") or not isinstance(counts, np.ndarray):
            raise ValueError(f"run lengths of size {segmentation.get('size')} and {counts!r:.60}")
        if (counts < 0).any() or counts.sum() != height * width:
            raise ValueError("run lengths do not fill the picture")
        rle = {"size": [height, width], "counts": counts}
        unpacked: np.ndarray = masks.decode(masks.frPyObjects(rle, height, width)).astype(bool)
        return unpacked
    if not isinstance(segmentation, list) or not segmentation:
        raise ValueError("no polygon and no run lengths")
    for polygon in segmentation:
        if polygon is None or len(polygon) < 6 or len(polygon) % 2:
            raise ValueError("a polygon is not three or more pairs of numbers")
        # The length of its outline decides what pycocotools allocates.
        if not (np.abs(polygon.reshape(-1, 2)) <= [2 * width, 2 * height]).all():
            raise ValueError("a polygon is far outside the picture")
    if max(polygon.max() for polygon in segmentation) <= 1:
        raise ValueError("polygons are in parts of the picture; expected pixels")
    result: np.ndarray = masks.decode(
        masks.merge(masks.frPyObjects(segmentation, height, width))
    ).astype(bool)
    return result


def of_entry(entry: Mapping[str, Any], shape: tuple[int, int]) -> np.ndarray:
    """Turn one annotation's mask into pixels; its box, where it has one, confirms it.

    Args:
        entry: Its `segmentation`, see `decode`, and its `bbox`, four numbers.
        shape: Height and width of the picture.

    Raises:
        ValueError: As `decode`; if most of the mask is outside of the box, or shows that the box is
            written as corners. A box that is larger may be of an object that is partly hidden.
    """
    mask = decode(entry.get("segmentation"), shape)
    if (bbox := packed(entry.get("bbox"))) is not None:
        _confirm(mask, bbox)
    return mask


def _confirm(mask: np.ndarray, bbox: np.ndarray) -> None:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not rows.size:
        return
    extent = np.array([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    left, top, width, height = bbox
    box = np.array([left, top, left + width, top + height])
    start, end = np.floor(box[:2]).astype(int).clip(0), np.ceil(box[2:]).astype(int)
    if 2 * mask[start[1] : end[1], start[0] : end[0]].sum() < mask.sum():
        raise ValueError(f"a mask in {extent.tolist()} lies outside of its bbox {bbox.tolist()}")
    if np.abs(extent - bbox).max() <= _ROUNDING < np.abs(extent - box).max():
        raise ValueError(
            f"bbox {bbox.tolist()} are the corners of its mask; expected x, y, width, height"
        )


def _decompressed(text: str) -> np.ndarray:
    """Read COCO's compressed run lengths.

    A character holds five bits of a number, the lowest first, and a sixth that says that more
    follow; numbers are signed, and from the fourth on differences from the last but one.
    """
    counts: list[int] = []
    number = shift = 0
    for character in text:
        bits = ord(character) - 48
        if not 0 <= bits < 64 or shift > 30:
            raise ValueError("compressed run lengths are damaged")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            if bits & 16:
                number -= 1 << shift
            counts.append(number + (counts[-2] if len(counts) > 2 else 0))
            number = shift = 0
    if shift:
        raise ValueError("compressed run lengths end in the middle of a number")
    return np.array(counts, np.float64)
