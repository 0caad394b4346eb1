"""How few pixels carry a map."""

from __future__ import annotations

import math

import numpy as np

from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.registry import metric


@metric(
    "sparseness",
    "Sparseness (Gini)",
    higher_is_better=True,
    evidence=PictureMap,
    reference="Chalasani et al. 2020, arXiv 1810.06583",
)
def sparseness(evidence: PictureMap) -> float:
    """The Gini index of the map's values: 0 where all are equal, 1 - 1/n where one pixel has all.

    With the n values in ascending order h_1 <= ... <= h_n, it is
    sum (2 i - n - 1) h_i / (n sum h). NaN for a map that is zero everywhere.
    """
    values = np.sort(evidence.saliency, axis=None).astype(float)
    total, count = values.sum(), values.size
    if not total:
        return math.nan
    return float(((2 * np.arange(1, count + 1) - count - 1) * values).sum() / (count * total))
