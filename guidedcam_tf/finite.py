"""Refusing scores and maps that are no finite numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from guidedcam_tf.errors import InputError


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
