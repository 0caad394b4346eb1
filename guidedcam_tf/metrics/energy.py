"""The energy-based pointing game: how much of the map lies on the object?"""

from __future__ import annotations

import math

import numpy as np

from guidedcam_tf.metrics.checks import check_maps
from guidedcam_tf.metrics.checks import check_mask
from guidedcam_tf.metrics.evidence import ObjectMap
from guidedcam_tf.metrics.registry import metric


def energy_pointing_game(saliency: np.ndarray, truth: np.ndarray) -> float:
    """Return sum of H on the object / sum of H, in `[0, 1]`.

    Score-CAM's authors give it one box and leave out pictures that the object fills to more than a
    half; that choice of pictures is the caller's.

    Args:
        saliency: One map H, `[H, W]` in `[0, 1]`.
        truth: The object's pixels, bool or 0 and 1, `[H, W]`: `box_mask` of its boxes, or its mask.

    Returns:
        The share; NaN, to be skipped, where the map is zero everywhere or there is no object.

    Raises:
        InputError: If an array has another form.

    Source: Wang et al., "Score-CAM", CVPR workshops 2020.
    """
    saliency = np.clip(check_maps(saliency, unit=True, single=True), 0, 1)
    truth = check_mask(truth, saliency.shape, "truth")
    total = saliency.sum(dtype=float)
    if not total or not truth.any():
        return math.nan
    return float((saliency * truth).sum(dtype=float) / total)


@metric(
    "energy_pointing_game",
    "Energy Pointing Game",
    higher_is_better=True,
    evidence=ObjectMap,
    needs="truth",
    reference="Wang et al. 2020, arXiv 1910.01279",
)
def _of_object(evidence: ObjectMap) -> float:
    return energy_pointing_game(evidence.saliency, evidence.truth)
