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

EPSILON = 1e-12
"""The least denominator of drop and gain."""

ROUNDING = 1e-5
"""How far a softmax in float32 may leave `[0, 1]`."""


def saliency_inputs(inputs: np.ndarray, masks: np.ndarray, fill: ArrayLike = 0.0) -> np.ndarray:
    """Keep what a mask holds: M * inputs + (1 - M) * fill.

    Args:
        inputs: Preprocessed pictures, floats `[..., H, W, C]`.
        masks: Bool, or numbers in `[0, 1]`, `[..., H, W]`. Leading axes are broadcast: masks
            `[N, M, H, W]` go with inputs `[N, 1, H, W, C]`.
        fill: What covers the rest: a number, a colour `[C]` or pictures `[..., H, W, C]`, in the
            preprocessed space. There 0 is the mean colour; for black give what preprocessing makes
            of a black picture.

    Returns:
        Pictures of the inputs' dtype, `[..., H, W, C]`.

    Raises:
        InputError: If the inputs are not floats, the shapes do not fit, or a mask is out of range.
    """
    inputs, masks = np.asarray(inputs), np.asarray(masks)
    if not np.issubdtype(inputs.dtype, np.floating):
        raise InputError(f"inputs must be floats, preprocessed; received {inputs.dtype}")
    if inputs.ndim < 3 or masks.ndim < 2 or inputs.shape[-3:-1] != masks.shape[-2:]:
        raise InputError(
            "inputs must have shape [..., H, W, C] and masks [..., H, W]; "
            f"received {inputs.shape} and {masks.shape}"
        )
    cover = np.asarray(fill, inputs.dtype)
    if masks.dtype == bool:
        return np.where(masks[..., None], inputs, cover)
    if not (masks.min(initial=0) >= 0 and masks.max(initial=1) <= 1):
        raise InputError("masks must be bool or in [0, 1]; received other values")
    weights = masks[..., None].astype(inputs.dtype, copy=False)
    return weights * inputs + (1 - weights) * cover


def context_inputs(inputs: np.ndarray, masks: np.ndarray, fill: ArrayLike = 0.0) -> np.ndarray:
    """Keep what a mask leaves: (1 - M) * inputs + M * fill; arguments as in `saliency_inputs`."""
    masks = np.asarray(masks)
    return saliency_inputs(inputs, ~masks if masks.dtype == bool else 1 - masks, fill)


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
    return np.maximum(whole - part, 0) / np.maximum(whole, EPSILON)


def increase(clean: ArrayLike, masked: ArrayLike) -> np.ndarray:
    """1[O > Y], 0.0 or 1.0: whether a part has the higher probability; arguments as in `drop`."""
    whole, part = _probabilities(clean, "clean"), _probabilities(masked, "masked")
    return (part > whole).astype(float)


def gain(clean: ArrayLike, masked: ArrayLike) -> np.ndarray:
    """max(0, O - Y) / (1 - Y), in `[0, 1]`, for the Average Gain; arguments as in `drop`.

    Where 1 - Y is below `EPSILON`, that is the denominator.
    """
    whole, part = _probabilities(clean, "clean"), _probabilities(masked, "masked")
    return np.maximum(part - whole, 0) / np.maximum(1 - whole, EPSILON)


def zone_scores(clean: ArrayLike, saliency: ArrayLike, context: ArrayLike) -> dict[str, np.ndarray]:
    """All zone metrics of the same pairs, by their names in the registry.

    Args:
        clean: Y, probabilities on the whole pictures.
        saliency: Probabilities on the saliency images.
        context: Probabilities on the context images.
    """
    return {
        "saliency_increase": increase(clean, saliency),
        "context_drop": drop(clean, context),
        "saliency_drop": drop(clean, saliency),
        "context_increase": increase(clean, context),
        "saliency_gain": gain(clean, saliency),
    }


def _probabilities(values: ArrayLike, name: str) -> np.ndarray:
    array = np.asarray(values, float)
    if not ((array >= -ROUNDING) & (array <= 1 + ROUNDING)).all():
        raise InputError(f"{name} must hold probabilities in [0, 1]; received other values")
    return np.clip(array, 0, 1)
