"""The pointing game: is the map's highest point on the object?"""

from __future__ import annotations

import math
from numbers import Real

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.metrics.checks import check_maps
from guidedcam_tf.metrics.checks import check_mask
from guidedcam_tf.metrics.evidence import ObjectMap
from guidedcam_tf.metrics.registry import metric

TOLERANCE = 15.0
"""TorchRay's radius, in pixels of the picture at its own size."""


def peak(saliency: np.ndarray) -> tuple[int, int] | None:
    """Return row and column of a map's first maximum in reading order; `None` for a flat map."""
    saliency = check_maps(saliency, single=True)
    first = int(saliency.argmax())
    row, column = divmod(first, saliency.shape[1])
    return None if saliency.min() == saliency[row, column] else (row, column)


def pointing_game(
    saliency: np.ndarray, truth: np.ndarray, *, tolerance: float = TOLERANCE
) -> float:
    """Return 1.0 for a hit and 0.0 for a miss.

    A hit has a pixel of the object closer to the peak than the tolerance:
    dx^2 + dy^2 < tolerance^2. The peak's own pixel always counts, so a tolerance of 0 or 1 asks for
    the peak itself to be on the object. A flat map misses. Map and truth are at the size that the
    tolerance is meant for, the picture's own.

    Args:
        saliency: One map, `[H, W]`.
        truth: The object's pixels, bool or 0 and 1, `[H, W]`: its mask, or `box_mask` of its boxes.
        tolerance: Radius in pixels, at least 0.

    Returns:
        1.0 or 0.0; NaN, to be skipped, where there is no object.

    Raises:
        InputError: If an array has another form, or the tolerance is negative.

    Source: Zhang et al., "Top-down Neural Attention by Excitation Backprop", 2016, arXiv
    1608.00507, with TorchRay's choices.
    """
    spot = peak(saliency)
    truth = check_mask(truth, np.shape(saliency), "truth")
    if not (isinstance(tolerance, Real) and 0 <= tolerance < math.inf):
        raise InputError(f"tolerance must be at least 0 and finite; received {shown(tolerance)}")
    if not truth.any():
        return math.nan
    if spot is None:
        return 0.0
    radius = min(max(float(tolerance), 1.0), sum(truth.shape))
    reach = math.ceil(radius)
    top, left = max(spot[0] - reach, 0), max(spot[1] - reach, 0)
    window = truth[top : spot[0] + reach + 1, left : spot[1] + reach + 1]
    rows, columns = np.nonzero(window)
    distances = (rows + top - spot[0]) ** 2 + (columns + left - spot[1]) ** 2
    return float((distances < radius**2).any())


@metric(
    "pointing_game",
    "Pointing Game",
    higher_is_better=True,
    evidence=ObjectMap,
    needs="truth",
    reference="Zhang et al. 2016, arXiv 1608.00507",
)
def _of_object(evidence: ObjectMap) -> float:
    return pointing_game(evidence.saliency, evidence.truth, tolerance=evidence.tolerance)
