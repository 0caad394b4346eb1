"""A saliency map in colour, laid over its picture."""

from __future__ import annotations

import cv2
import numpy as np

from guidedcam_tf.errors import InputError

_OPENCV_MAPS: dict[str, int] = {"inferno": cv2.COLORMAP_INFERNO, "jet": cv2.COLORMAP_JET}

FAINTEST, STRONGEST = 0.3, 0.75
"""How much of an overlay is the map's colour where the map is 0, and where it is 1."""


def colour(saliency: np.ndarray, colour_map: str = "inferno") -> np.ndarray:
    """Turn a map `[H, W]` in `[0, 1]` into uint8 RGB `[H, W, 3]`.

    `"inferno"` grows evenly brighter with the value; `"jet"` is the field's usual. Another name
    raises `InputError`.
    """
    if colour_map not in _OPENCV_MAPS:
        raise InputError(
            f"colour map {colour_map!r} is not known; expected {', '.join(_OPENCV_MAPS)}"
        )
    levels = np.round(np.clip(saliency, 0, 1) * 255).astype(np.uint8)
    return cv2.cvtColor(cv2.applyColorMap(levels, _OPENCV_MAPS[colour_map]), cv2.COLOR_BGR2RGB)


def overlay(picture: np.ndarray, saliency: np.ndarray, colour_map: str = "inferno") -> np.ndarray:
    """Lay a map over its picture so that what is salient glows and the rest stays recognisable.

    Args:
        picture: uint8 RGB `[H, W, 3]`.
        saliency: `[H, W]` in `[0, 1]`.
        colour_map: See `colour`.

    Returns:
        uint8 RGB `[H, W, 3]`.
    """
    opacity = (FAINTEST + (STRONGEST - FAINTEST) * np.clip(saliency, 0, 1))[..., None]
    mixed = (1 - opacity) * picture + opacity * colour(saliency, colour_map)
    return np.round(mixed).astype(np.uint8)
