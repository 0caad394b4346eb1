"""A saliency map in colour, laid over its picture."""

from __future__ import annotations

from typing import get_args

import cv2
import numpy as np

from guidedcam_tf.colour_maps import OPACITY
from guidedcam_tf.colour_maps import ColourMap
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown

COLOUR_MAPS: tuple[str, ...] = get_args(ColourMap)


def colour(saliency: np.ndarray, colour_map: str = "inferno") -> np.ndarray:
    """Turn a map `[H, W]` in `[0, 1]`, or of any axes, into uint8 RGB `[H, W, 3]`.

    Args:
        saliency: The map.
        colour_map: One of `COLOUR_MAPS`. All but two grow evenly brighter with the value; `"jet"`
            is the field's usual, `"turbo"` a smoother one of its kind.

    Raises:
        InputError: If there is no such colour map.
    """
    if colour_map not in COLOUR_MAPS:
        raise InputError(
            f"colour map {shown(colour_map)} is unknown; expected {', '.join(COLOUR_MAPS)}"
        )
    levels = np.round(np.clip(saliency, 0, 1) * 255).astype(np.uint8)
    table = getattr(cv2, f"COLORMAP_{colour_map.upper()}")
    flat = cv2.applyColorMap(levels.reshape(len(levels), -1), table)
    result: np.ndarray = cv2.cvtColor(flat, cv2.COLOR_BGR2RGB).reshape(*levels.shape, 3)
    return result


def overlay(
    picture: np.ndarray,
    saliency: np.ndarray,
    colour_map: str = "inferno",
    opacity: float = OPACITY,
) -> np.ndarray:
    """Lay a map over its picture: a colour as opaque as the map is high.

    Where the map is 0 the picture's pixels stay as they are.

    Args:
        picture: uint8 RGB `[H, W, 3]`, or `[D, H, W, 3]` of a volume.
        saliency: `[H, W]` in `[0, 1]`, or `[D, H, W]`.
        colour_map: See `colour`.
        opacity: How much of the result is the map's colour where the map is 1, in `[0, 1]`.

    Returns:
        uint8 RGB of the picture's shape.

    Raises:
        InputError: If there is no such colour map, or the opacity is outside of `[0, 1]`.
    """
    check_opacity(opacity)
    share = (opacity * np.clip(saliency, 0, 1))[..., None]
    result: np.ndarray = np.round(
        (1 - share) * picture + share * colour(saliency, colour_map)
    ).astype(np.uint8)
    return result


def in_grey(saliency: np.ndarray, percentile: float = 99.0) -> np.ndarray:
    """Draw a map by itself: black at 0, and white from its 99th percentile on.

    For maps of single pixels, such as gradients: few pixels are as high as the highest, and an
    overlay hardly shows the others. Smilkov et al. 2017 (arXiv 1706.03825) cut there.

    Args:
        saliency: `[H, W]` in `[0, 1]`.
        percentile: Above 0, at most 100, which is the map's maximum.

    Returns:
        uint8 RGB `[H, W, 3]`.

    Raises:
        InputError: If the percentile is another.
    """
    if not 0 < percentile <= 100:
        raise InputError(
            f"percentile must be above 0 and at most 100; received {shown(percentile)}"
        )
    white = np.percentile(saliency, percentile) or max(saliency.max(), np.finfo(np.float32).tiny)
    levels = np.round(np.clip(saliency / white, 0, 1) * 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=-1)


def check_opacity(opacity: float) -> None:
    """Raise `InputError` if an opacity is outside of `[0, 1]`."""
    if not 0 <= opacity <= 1:
        raise InputError(f"opacity must be between 0 and 1; received {shown(opacity)}")
