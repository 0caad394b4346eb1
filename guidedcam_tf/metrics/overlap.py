"""Dice, IoU and Grad-CAM++'s localisation ratio: how well does a mask cover the object?"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated
from typing import Any

import numpy as np
from pydantic import Field

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.metrics.checks import check_maps
from guidedcam_tf.metrics.checks import check_mask
from guidedcam_tf.metrics.evidence import ObjectMap
from guidedcam_tf.metrics.registry import F
from guidedcam_tf.metrics.registry import metric

_PAPER = "Fahim et al. 2022, Sensors 22(17) 6516"


@dataclass(frozen=True)
class Overlap:
    """The sizes of a prediction P, a truth G and their intersection.

    Attributes:
        intersection: |P and G|, or sum of H * G for a soft prediction, in pixels.
        predicted: |P|, or sum of H.
        truth: |G|.
    """

    intersection: float
    predicted: float
    truth: float

    @property
    def dice(self) -> float:
        """2 |P and G| / (|P| + |G|), in `[0, 1]`; 1 where both are empty, 0 where one is."""
        sizes = self.predicted + self.truth
        return 2 * self.intersection / sizes if sizes else 1.0

    @property
    def iou(self) -> float:
        """|P and G| / |P or G| = dice / (2 - dice), in `[0, 1]`; 1 where both are empty."""
        union = self.predicted + self.truth - self.intersection
        return self.intersection / union if union else 1.0


def overlap(
    prediction: np.ndarray, truth: np.ndarray, *, void: np.ndarray | None = None
) -> Overlap:
    """Compare a mask, hard or soft, with an object's mask.

    Args:
        prediction: A hard mask, bool `[H, W]` (see `masks`), or a map in `[0, 1]` for soft Dice and
            IoU, where an element counts as much as its value.
        truth: The object's pixels, bool or 0 and 1, `[H, W]`.
        void: Pixels that belong to neither and are left out, `[H, W]`: VOC's 255.

    Raises:
        InputError: If an array has another form.

    Source: Fahim et al., Sensors 22(17) 6516, 2022. Dice 1945, Jaccard 1912.
    """
    if np.asarray(prediction).dtype != bool:
        prediction = np.clip(check_maps(prediction, unit=True, single=True), 0, 1)
    elif np.ndim(prediction) != 2:
        raise InputError(f"prediction must have shape [H, W]; received {np.shape(prediction)}")
    counted = check_mask(truth, prediction.shape, "truth")
    if void is not None:
        known = ~check_mask(void, prediction.shape, "void")
        prediction, counted = prediction * known, counted & known
    return Overlap(
        float((prediction * counted).sum(dtype=float)),
        float(prediction.sum(dtype=float)),
        float(counted.sum()),
    )


def localization_ratio(saliency: np.ndarray, truth: np.ndarray, threshold: float = 0.5) -> float:
    """Loc(threshold) = area inside the box / (area of the box + area outside it), in `[0, 1]`.

    Areas are of P = 1[H > threshold], so this is the IoU of P and the box. The comparison is
    strict, for all pixels would pass the least of the paper's thresholds, 0, 0.25 and 0.5.

    Args:
        saliency: One map H, `[H, W]` in `[0, 1]`.
        truth: The pixels of the box or boxes, bool or 0 and 1, `[H, W]`; see `box_mask`.
        threshold: In `[0, 1)`.

    Returns:
        The ratio; 0 for a map that is zero everywhere, NaN, to be skipped, where there is no box.

    Raises:
        InputError: If an array has another form, or the threshold is out of range.

    Source: Chattopadhyay et al., "Grad-CAM++", WACV 2018.
    """
    if not 0 <= threshold < 1:
        raise InputError(f"threshold must be at least 0 and below 1; received {shown(threshold)}")
    areas = overlap(check_maps(saliency, unit=True, single=True) > threshold, truth)
    return areas.iou if areas.truth else math.nan


def _metric(name: str, title: str, **said: Any) -> Callable[[F], F]:
    return metric(name, title, higher_is_better=True, evidence=ObjectMap, **said)


@_metric("dice", "Dice", needs="mask", reference=_PAPER)
def dice(evidence: ObjectMap) -> float:
    """Dice of the map's mask and the object's."""
    return overlap(evidence.predicted, evidence.mask, void=evidence.void).dice


@_metric("iou", "IoU", needs="mask", reference=_PAPER)
def iou(evidence: ObjectMap) -> float:
    """IoU of the map's mask and the object's."""
    return overlap(evidence.predicted, evidence.mask, void=evidence.void).iou


@_metric("soft_dice", "Soft Dice", needs="mask", reference=_PAPER)
def soft_dice(evidence: ObjectMap) -> float:
    """Dice of the map itself and the object's mask."""
    return overlap(evidence.saliency, evidence.mask, void=evidence.void).dice


@_metric("soft_iou", "Soft IoU", needs="mask", reference=_PAPER)
def soft_iou(evidence: ObjectMap) -> float:
    """IoU of the map itself and the object's mask."""
    return overlap(evidence.saliency, evidence.mask, void=evidence.void).iou


@_metric(
    "localization_ratio",
    "Localisation ratio",
    needs="truth",
    reference="Chattopadhyay et al. 2018, arXiv 1710.11063",
)
def _localization_ratio(
    evidence: ObjectMap, *, threshold: Annotated[float, Field(ge=0, lt=1)] = 0.5
) -> float:
    return localization_ratio(evidence.saliency, evidence.truth, threshold)
