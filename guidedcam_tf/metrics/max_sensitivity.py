"""How much a map changes where the picture hardly does."""

from __future__ import annotations

import math
from typing import Annotated

import numpy as np
from pydantic import Field

from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.registry import metric


@metric(
    "max_sensitivity",
    "Max-sensitivity",
    higher_is_better=False,
    evidence=PictureMap,
    reference="Yeh et al. 2019, arXiv 1901.09392",
    range=(0.0, math.inf),
)
def max_sensitivity(
    evidence: PictureMap,
    *,
    radius: Annotated[float, Field(gt=0, le=255)] = 5.0,
    samples: Annotated[int, Field(ge=1)] = 10,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> float:
    """The largest ||H(x') - H(x)|| / ||H(x)|| of pictures x' around x.

    Each value of x' is uniform in x +- radius, in 0..255 and cut off there. NaN for a map that is
    zero everywhere.

    Args:
        evidence: The map, and what makes maps of other pictures.
        radius: In grey levels.
        samples: How many pictures are drawn.
        seed: The seed of the draws.
    """
    size = np.linalg.norm(evidence.saliency)
    if not size:
        return math.nan
    noise = np.random.default_rng(seed).uniform(-radius, radius, (samples, *evidence.picture.shape))
    around = np.clip(evidence.picture + noise, 0, 255).astype(np.float32)
    changes = evidence.maps(around) - evidence.saliency
    return float(np.linalg.norm(changes.reshape(samples, -1), axis=1).max() / size)
