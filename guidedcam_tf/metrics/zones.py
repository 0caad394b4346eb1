"""Drop and increase: what the network still sees in the saliency zone, and in the rest.

A mask M cuts a picture in two: the saliency image keeps M, the context image keeps 1 - M. With
Y the softmax probability of the class on the whole picture and O the one on a part of it, the
saliency zone should hold Y up and the context zone should not. The class is fixed once, from the
whole picture.

Pairs are kept whatever Y is. Where Y is below `EPSILON` the drop's denominator is `EPSILON`; count
those pairs. A map that is zero everywhere has the fill as its saliency image and the whole picture
as its context image, and counts as such.

Source: Chattopadhyay et al., "Grad-CAM++", WACV 2018; the context zone: Fahim et al.,
Sensors 22(17) 6516, 2022; gain: Zhang et al., "Opti-CAM", arXiv 2301.07002.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from guidedcam_tf.errors import InputError
from guidedcam_tf.metrics.evidence import MaskedPredictions
from guidedcam_tf.metrics.registry import metric

_GRADCAMPP = "Chattopadhyay et al. 2018, arXiv 1710.11063"
_PAPER = "Fahim et al. 2022, Sensors 22(17) 6516"

EPSILON = 1e-12
"""The least denominator of drop and gain."""

ROUNDING = 1e-5
"""How far a softmax in float32 may leave `[0, 1]`."""


def drop(clean: ArrayLike, masked: ArrayLike) -> np.ndarray:
    """max(0, Y - O) / Y, in `[0, 1]`: the share of the probability that a part loses.

    Args:
        clean: Y, probabilities of the class on whole pictures, any shape.
        masked: O, its probabilities on the parts, of a shape that broadcasts with it.

    Returns:
        Float64 of the broadcast shape; the mean over pictures is the Average Drop.

    Raises:
        InputError: If a value is no probability.
    """
    whole, part = _probabilities(clean, "clean"), _probabilities(masked, "masked")
    result: np.ndarray = np.maximum(whole - part, 0) / np.maximum(whole, EPSILON)
    return result


def increase(clean: ArrayLike, masked: ArrayLike) -> np.ndarray:
    """1[O > Y], 0.0 or 1.0: whether a part has the higher probability; arguments as in `drop`."""
    whole, part = _probabilities(clean, "clean"), _probabilities(masked, "masked")
    return (part > whole).astype(float)


def gain(clean: ArrayLike, masked: ArrayLike) -> np.ndarray:
    """max(0, O - Y) / (1 - Y), in `[0, 1]`, for the Average Gain; arguments as in `drop`.

    Where 1 - Y is below `EPSILON`, that is the denominator.
    """
    whole, part = _probabilities(clean, "clean"), _probabilities(masked, "masked")
    result: np.ndarray = np.maximum(part - whole, 0) / np.maximum(1 - whole, EPSILON)
    return result


@metric(
    "saliency_increase",
    "Increase for saliency zone",
    higher_is_better=True,
    evidence=MaskedPredictions,
    reference=_GRADCAMPP,
)
def saliency_increase(evidence: MaskedPredictions) -> np.ndarray:
    """1[O > Y] on the saliency image."""
    return increase(evidence.clean, evidence.saliency)


@metric(
    "saliency_drop",
    "Drop for saliency zone",
    higher_is_better=False,
    evidence=MaskedPredictions,
    reference=_GRADCAMPP,
)
def saliency_drop(evidence: MaskedPredictions) -> np.ndarray:
    """max(0, Y - O) / Y on the saliency image."""
    return drop(evidence.clean, evidence.saliency)


@metric(
    "context_increase",
    "Increase for context zone",
    higher_is_better=False,
    evidence=MaskedPredictions,
    reference=_PAPER,
)
def context_increase(evidence: MaskedPredictions) -> np.ndarray:
    """1[O > Y] on the context image."""
    return increase(evidence.clean, evidence.context)


@metric(
    "context_drop",
    "Drop for context zone",
    higher_is_better=True,
    evidence=MaskedPredictions,
    reference=_PAPER,
)
def context_drop(evidence: MaskedPredictions) -> np.ndarray:
    """max(0, Y - O) / Y on the context image."""
    return drop(evidence.clean, evidence.context)


@metric(
    "saliency_gain",
    "Average Gain",
    higher_is_better=True,
    evidence=MaskedPredictions,
    reference="Zhang et al. 2023, arXiv 2301.07002",
)
def saliency_gain(evidence: MaskedPredictions) -> np.ndarray:
    """max(0, O - Y) / (1 - Y) on the saliency image."""
    return gain(evidence.clean, evidence.saliency)


def _probabilities(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, float)
    if not ((array >= -ROUNDING) & (array <= 1 + ROUNDING)).all():
        raise InputError(f"{name} must hold probabilities in [0, 1]; received other values")
    result: np.ndarray = np.clip(array, 0, 1)
    return result
