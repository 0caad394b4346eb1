"""Refusing what is no array of numbers, and scores and maps that are not finite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown

if TYPE_CHECKING:
    import tensorflow as tf


def as_array(given: Any, what: str, hint: str = "") -> np.ndarray:
    """Return what was given as an array.

    Args:
        given: An array, a tensor, or a list.
        what: What it is, for the message.
        hint: What to do, for the message.

    Raises:
        InputError: If it makes no array, such as rows of different lengths.
    """
    try:
        return np.asarray(given)
    except Exception as error:  # What an object's own `__array__` raises.
        raise InputError(
            f"{what} must be an array, or a list whose parts have one shape; received a "
            f"{type(given).__name__} that makes none{hint}"
        ) from error


def as_values(given: Any, dtype: tf.DType, what: str) -> np.ndarray:
    """Return the values of an input as an array of its dtype, none of them changed by that.

    Raises:
        InputError: If they are not of that kind, NaN, or lost by the dtype, as 0.5 is by int32.
    """
    array, kind = as_array(given, what), dtype.as_numpy_dtype
    if kind is object:  # Of strings.
        return array.astype(object)
    try:
        with np.errstate(all="ignore"):
            cast = array.real.astype(kind)
        kept = np.isfinite(cast) == np.isfinite(array) if dtype.is_floating else cast == array
        if np.isrealobj(array) and np.all(kept) and not np.isnan(array).any():
            return cast
    except (TypeError, ValueError, OverflowError):
        pass
    raise InputError(
        f"{what} must be numbers that fit its dtype, {dtype.name}, without NaN; received "
        f"{shown(given)}"
    )


def check_finite(
    scores: np.ndarray, maps: Mapping[str, np.ndarray], network: str, layer: str, method: str
) -> None:
    """Raise `InputError` if scores `[N, classes]` or maps by name are NaN or infinite."""
    of_picture = np.isfinite(scores).all(axis=-1)
    if not of_picture.all():
        raise InputError(
            f"{network} gives scores that are NaN or infinite for {(~of_picture).sum()} of "
            f"{len(of_picture)} pictures, so there is nothing to explain: look for NaN in its "
            "weights, or for an overflow in float16"
        )
    for name, found in maps.items():
        if not np.isfinite(found).all():
            raise InputError(
                f"the {name} map of {method} at {layer!r} of {network} is NaN or infinite: the "
                "layer's values or gradients overflow; choose another layer or method"
            )
