"""COCO's masks: polygons and run lengths, through pycocotools."""

from __future__ import annotations

from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError


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
    result: np.ndarray = masks.decode(
        masks.merge(masks.frPyObjects(segmentation, height, width))
    ).astype(bool)
    return result


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
