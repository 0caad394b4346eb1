"""How many pixels a map is spread over."""

from __future__ import annotations

import math

import numpy as np

from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.registry import metric


@metric(
    "complexity",
    "Complexity (entropy)",
    higher_is_better=False,
    evidence=PictureMap,
    reference="Bhatt et al. 2020, arXiv 2005.00631",
    range=(0.0, math.inf),
)
def complexity(evidence: PictureMap) -> float:
    """The entropy -sum p ln p of the map's shares p = h / sum h, in nats.

    0 where one pixel has all, ln n where n pixels have the same. NaN for a map that is zero
    everywhere.
    """
    values = evidence.saliency.astype(float).ravel()
    shares = values[values > 0] / values.sum() if values.any() else values[:0]
    return float(-(shares * np.log(shares)).sum()) + 0.0 if shares.size else math.nan
