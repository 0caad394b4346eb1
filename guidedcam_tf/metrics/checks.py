"""What the metrics ask of their arrays, and the errors where they do not get it."""

from __future__ import annotations

from numbers import Real

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_array

ROUNDING = 1e-6
"""How far rounding may take a value out of `[0, 1]`."""


def check_maps(maps: np.ndarray, *, unit: bool = False, single: bool = False) -> np.ndarray:
    """Return saliency maps as a contiguous array `[..., H, W]` of floats.

    Args:
        maps: Finite numbers `[..., H, W]`.
        unit: Whether they have to be in `[0, 1]`.
        single: Whether it has to be one map, `[H, W]`.

    Raises:
        InputError: If the shape, a value or the range is another.
    """
    array = np.ascontiguousarray(as_array(maps, "saliency"))
    if array.dtype.kind not in "biuf":
        raise InputError(f"saliency must be real numbers; received {array.dtype}")
    if array.ndim < 2 or not array.size or (single and array.ndim != 2):
        expected = "[H, W]" if single else "[..., H, W]"
        raise InputError(f"saliency must have shape {expected}; received {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32)
    low, high = array.min(), array.max()
    if not np.isfinite(low) or not np.isfinite(high):
        raise InputError("saliency must be finite; received NaN or infinity")
    if unit and (low < -ROUNDING or high > 1 + ROUNDING):
        raise InputError(f"saliency must be in [0, 1]; received values from {low} to {high}")
    return array


def check_mask(mask: np.ndarray, shape: tuple[int, ...], name: str) -> np.ndarray:
    """Return a mask of one picture as booleans of the map's shape `[H, W]`.

    Raises:
        InputError: If its shape is another, or if it has values other than 0 and 1.
    """
    array = np.asarray(mask)
    if array.shape != shape:
        raise InputError(f"{name} must have the map's shape {shape}; received {array.shape}")
    if array.dtype != bool:
        if not np.isin(array, (0, 1)).all():
            raise InputError(f"{name} must hold only 0 and 1; received other values")
        array = array.astype(bool)
    return array


def check_fraction(value: float, name: str) -> float:
    """Return a number in `(0, 1]`.

    Raises:
        InputError: If it is none.
    """
    if not (isinstance(value, Real) and 0 < value <= 1):
        raise InputError(f"{name} must be above 0 and at most 1; received {shown(value)}")
    return float(value)
