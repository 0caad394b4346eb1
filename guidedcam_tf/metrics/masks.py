"""From a saliency map to the mask M that says which pixels are its saliency zone.

H is a map in `[0, 1]`, as `Explainer.maps` returns it. Leading axes are maps apart from each
other. Ties and flat maps are defined for every rule:

- A pixel on a threshold belongs to the mask: M = 1[H >= threshold].
- Where a mask takes a given number of pixels, equal pixels are taken in reading order, row by row.
- A flat map, which has one value everywhere, points nowhere. The rules that are relative to the
  map (`otsu_mask`, `mean_mask`, `max_fraction_mask`, `top_mask`, `area_matched_masks`) give it an
  empty mask; `threshold_mask` and `soft_mask` look at each pixel alone. A map that is zero
  everywhere has an empty mask by all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal
from typing import get_args

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.metrics.checks import check_fraction
from guidedcam_tf.metrics.checks import check_maps

AREAS = (0.1, 0.2, 0.3, 0.5)
"""The shares of the picture that the area-matched metrics keep."""

OTSU_BINS = 256

MaskKind = Literal["threshold", "otsu", "mean", "mean+std", "max_fraction", "top", "soft"]


def soft_mask(maps: np.ndarray) -> np.ndarray:
    """M = H: the map itself weighs the pixels (Chattopadhyay et al. 2018).

    Args:
        maps: `[..., H, W]` in `[0, 1]`.

    Returns:
        Float32 `[..., H, W]` in `[0, 1]`.
    """
    result: np.ndarray = np.clip(check_maps(maps, unit=True), 0, 1).astype(np.float32, copy=False)
    return result


def threshold_mask(maps: np.ndarray, threshold: float = 0.5) -> np.ndarray:
    """M = 1[H >= threshold], bool `[..., H, W]`, with the threshold in `(0, 1]`."""
    return check_maps(maps, unit=True) >= check_fraction(threshold, "threshold")


def otsu_mask(maps: np.ndarray) -> np.ndarray:
    """The brighter of the two classes with the largest variance between them (Otsu 1979).

    As in scikit-image, the classes are found on a histogram of 256 bins over the map's own range,
    and the threshold is the centre of the darker class's last bin. Bool `[..., H, W]`.
    """
    maps = check_maps(maps)
    flat = maps.reshape(-1, maps.shape[-2] * maps.shape[-1])
    low = flat.min(axis=1, keepdims=True)
    extent = np.ptp(flat, axis=1, keepdims=True)
    scaled = (flat - low) / np.where(extent > 0, extent, 1) * OTSU_BINS
    bins = np.minimum(scaled, OTSU_BINS - 1).astype(np.intp)
    bins += OTSU_BINS * np.arange(len(flat))[:, None]
    counts = np.bincount(bins.ravel(), minlength=OTSU_BINS * len(flat)).reshape(-1, OTSU_BINS)
    total = flat.shape[1]
    below = counts.cumsum(axis=1)
    moment = (counts * np.arange(OTSU_BINS)).cumsum(axis=1)
    # w0 w1 (mu0 - mu1)^2 with both means written out, so that the numbers stay integers.
    difference = (moment * total - moment[:, -1:] * below).astype(float)
    between = difference**2 / np.maximum(below * (total - below), 1)
    cut = low + extent * ((between.argmax(axis=1)[:, None] + 0.5) / OTSU_BINS)
    return _at_least(maps, cut.reshape(*maps.shape[:-2], 1, 1))


def mean_mask(maps: np.ndarray, deviations: float = 0.0) -> np.ndarray:
    """M = 1[H >= mean + deviations * standard deviation] of the map, bool `[..., H, W]`.

    `deviations=1` is Relevance-CAM's rule; where few pixels are low its mask can be empty.
    """
    maps = check_maps(maps)
    cut = maps.mean(axis=(-2, -1), dtype=float, keepdims=True)
    if deviations:
        cut += deviations * maps.std(axis=(-2, -1), dtype=float, keepdims=True)
    return _at_least(maps, cut)


def max_fraction_mask(maps: np.ndarray, fraction: float = 0.15) -> np.ndarray:
    """M = 1[H >= fraction * max H] of the map, bool `[..., H, W]`.

    Grad-CAM's localisation takes 0.15, CAM's 0.2.
    """
    maps = check_maps(maps, unit=True)
    return _at_least(
        maps, check_fraction(fraction, "fraction") * maps.max(axis=(-2, -1), keepdims=True)
    )


def top_mask(maps: np.ndarray, fraction: float = 0.5) -> np.ndarray:
    """The given share of the pixels that ranks highest; see `area_matched_masks`."""
    return area_matched_masks(maps, (fraction,))[..., 0, :, :]


def area_matched_masks(maps: np.ndarray, fractions: Sequence[float] = AREAS) -> np.ndarray:
    """Masks that keep the same number of pixels of every map, whatever its values.

    Only the pixels' order counts, so maps that are strictly increasing functions of each other
    have the same masks. A mask keeps fraction * H * W pixels, rounded, half up, and at least one.
    A larger fraction's mask contains a smaller one's. Where a map has fewer non-zero pixels than
    the mask keeps, the rest is filled from its zeros in reading order.

    Args:
        maps: `[..., H, W]`.
        fractions: Q shares of the pixels, each in `(0, 1]`.

    Returns:
        Bool `[..., Q, H, W]`.

    Raises:
        InputError: If a map is not finite, or a fraction is out of its range.
    """
    maps = check_maps(maps)
    height, width = maps.shape[-2:]
    pixels = height * width
    flat = maps.reshape(-1, 1, pixels)
    if np.ndim(fractions) != 1 or not len(fractions):
        raise InputError(
            f"fractions must be a list of one or more shares; received {shown(fractions)}"
        )
    kept = [
        max(1, int(check_fraction(fraction, "fraction") * pixels + 0.5)) for fraction in fractions
    ]
    last = [pixels - count for count in kept]
    cut = np.stack([np.partition(flat, rank)[..., rank] for rank in last], axis=-2)
    masks = flat > cut
    missing = np.array(kept) - np.count_nonzero(masks, axis=-1)
    for row, column in np.ndindex(missing.shape):
        ties = np.flatnonzero(flat[row, 0] == cut[row, column])
        masks[row, column, ties[: missing[row, column]]] = True
    masks &= flat.min(axis=-1, keepdims=True) < flat.max(axis=-1, keepdims=True)
    return masks.reshape(*maps.shape[:-2], len(kept), height, width)


def _at_least(maps: np.ndarray, cut: np.ndarray) -> np.ndarray:
    flat = maps.min(axis=(-2, -1), keepdims=True) == maps.max(axis=(-2, -1), keepdims=True)
    result: np.ndarray = (maps >= cut) & ~flat
    return result


@dataclass(frozen=True)
class MaskRule:
    """A rule by its name and its number, for a configuration; `str` of it goes beside a result.

    Attributes:
        kind: `"threshold"`, `"otsu"`, `"mean"`, `"mean+std"`, `"max_fraction"`, `"top"` or
            `"soft"`.
        value: The threshold (by default 0.5), the fraction of the maximum (0.15) or the share of
            the pixels (0.5); the other kinds have none.

    Raises:
        InputError: If the kind is unknown, or the value is out of `(0, 1]` or has no use.
    """

    kind: MaskKind = "threshold"
    value: float | None = None

    def __post_init__(self) -> None:
        """Fill in the default value and check it."""
        if self.kind not in get_args(MaskKind):
            expected = ", ".join(get_args(MaskKind))
            raise InputError(f"mask kind {self.kind!r} is not known; expected one of {expected}")
        default = {"threshold": 0.5, "max_fraction": 0.15, "top": 0.5}.get(self.kind)
        if default is None and self.value is not None:
            raise InputError(
                f"mask kind {self.kind!r} takes no value; received {shown(self.value)}"
            )
        if default is not None:
            value = default if self.value is None else check_fraction(self.value, "mask value")
            object.__setattr__(self, "value", value)

    def __call__(self, maps: np.ndarray) -> np.ndarray:
        """Return the masks of maps `[..., H, W]`: bool, or float32 for `"soft"`."""
        if self.kind in ("mean", "mean+std"):
            return mean_mask(maps, 1.0 if self.kind == "mean+std" else 0.0)
        rules = {
            "threshold": threshold_mask,
            "otsu": otsu_mask,
            "max_fraction": max_fraction_mask,
            "top": top_mask,
            "soft": soft_mask,
        }
        return rules[self.kind](maps, *([] if self.value is None else [self.value]))

    def __str__(self) -> str:
        """The kind and, where it has one, the value: `"threshold 0.5"`."""
        return self.kind if self.value is None else f"{self.kind} {self.value:g}"
