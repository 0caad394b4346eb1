"""What each metric is called, which way is better, and what it needs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import Literal

from guidedcam_tf.errors import InputError

Need = Literal[
    "saliency_inputs",
    "context_inputs",
    "insertion_inputs",
    "deletion_inputs",
    "object",
    "segmentation",
]


@dataclass(frozen=True)
class Metric:
    """A number for a picture and a class; a table has its mean over pairs.

    Attributes:
        name: What the registry, a configuration and a row call it.
        title: What a table calls it.
        higher_is_better: Which way is better.
        needs: What a pair has to bring beside the map: predictions on masked pictures
            (`"saliency_inputs"`, `"context_inputs"`, `"insertion_inputs"`, `"deletion_inputs"`),
            the object's box or mask (`"object"`), or its mask (`"segmentation"`).
        reference: Where it comes from.
        range: The least and the largest value.
    """

    name: str
    title: str
    higher_is_better: bool
    needs: tuple[Need, ...]
    reference: str
    range: tuple[float, float] = (0.0, 1.0)

    @property
    def arrow(self) -> str:
        """An arrow up where higher is better, else down."""
        return "↑" if self.higher_is_better else "↓"


_GRADCAMPP = "Chattopadhyay et al. 2018, arXiv 1710.11063"
_PAPER = "Fahim et al. 2022, Sensors 22(17) 6516"
_POINTING = "Zhang et al. 2016, arXiv 1608.00507"
_RISE = "Petsiuk et al. 2018, arXiv 1806.07421"
_SCORECAM = "Wang et al. 2020, arXiv 1910.01279"
_OPTICAM = "Zhang et al. 2023, arXiv 2301.07002"

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "saliency_increase",
            "Increase for saliency zone",
            True,
            ("saliency_inputs",),
            _GRADCAMPP,
        ),
        Metric("context_drop", "Drop for context zone", True, ("context_inputs",), _PAPER),
        Metric("pointing_game", "Pointing Game", True, ("object",), _POINTING),
        Metric("dice", "Dice", True, ("segmentation",), _PAPER),
        Metric("iou", "IoU", True, ("segmentation",), _PAPER),
        Metric("saliency_drop", "Drop for saliency zone", False, ("saliency_inputs",), _GRADCAMPP),
        Metric("context_increase", "Increase for context zone", False, ("context_inputs",), _PAPER),
        Metric("insertion", "Insertion AUC", True, ("insertion_inputs",), _RISE),
        Metric("deletion", "Deletion AUC", False, ("deletion_inputs",), _RISE),
        Metric("saliency_gain", "Average Gain", True, ("saliency_inputs",), _OPTICAM),
        Metric("energy_pointing_game", "Energy Pointing Game", True, ("object",), _SCORECAM),
        Metric("localization_ratio", "Localisation ratio", True, ("object",), _GRADCAMPP),
        Metric("soft_dice", "Soft Dice", True, ("segmentation",), _PAPER),
        Metric("soft_iou", "Soft IoU", True, ("segmentation",), _PAPER),
    )
}
"""Every metric by its name: the paper's seven in the order of its Table 1, then the others."""


def get_metric(name: str) -> Metric:
    """Return a metric by its name.

    Raises:
        InputError: If there is none; the message offers the nearest.
    """
    if name not in METRICS:
        nearest = difflib.get_close_matches(str(name), METRICS, n=3, cutoff=0.3)
        raise InputError(
            f"metric {name!r} is not known; nearest: {', '.join(nearest) or 'none'}; "
            f"expected one of {', '.join(METRICS)}"
        )
    return METRICS[name]
