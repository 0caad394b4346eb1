"""ADCC: coherency, complexity and average drop in one number."""

from __future__ import annotations

import numpy as np

from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.registry import metric
from guidedcam_tf.metrics.zones import drop


@metric(
    "adcc",
    "ADCC",
    higher_is_better=True,
    evidence=PictureMap,
    reference="Poppi et al. 2021, arXiv 2104.10252",
)
def adcc(evidence: PictureMap) -> float:
    """The harmonic mean of coherency, 1 - complexity and 1 - drop, in `[0, 1]`.

    With the picture masked by its own map, H * x: coherency is (r + 1) / 2 for the correlation r of
    the map with the masked picture's map, complexity is the map's mean, and drop is
    max(0, Y - O) / Y of the class. 0 where one of the three is 0, or where a map is flat.
    """
    weights = evidence.saliency[..., None]
    inputs = weights * evidence.inputs + (1 - weights) * evidence.cover_inputs
    masked = weights * evidence.picture + (1 - weights) * evidence.cover
    again = evidence.maps(masked[None].astype(np.float32))[0]
    parts = np.array(
        [
            coherency(evidence.saliency, again),
            1 - evidence.saliency.mean(dtype=float),
            1 - drop(evidence.clean, evidence.probabilities(inputs[None])[0]),
        ]
    )
    return float(3 / (1 / parts).sum()) if (parts > 0).all() else 0.0


def coherency(first: np.ndarray, second: np.ndarray) -> float:
    """(r + 1) / 2 for the correlation r of two maps; 0 where one of them is flat."""
    if np.ptp(first) == 0 or np.ptp(second) == 0:
        return 0.0
    return float((np.corrcoef(first.ravel(), second.ravel())[0, 1] + 1) / 2)
