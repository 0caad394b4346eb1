"""ROAD: what the network says of pictures whose pixels were removed so that it cannot see where."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from guidedcam_tf.metrics.curves import pixel_order
from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.registry import metric

NEIGHBOURS = {
    (rows, columns): 1 / 12 if rows and columns else 1 / 6
    for rows in (-1, 0, 1)
    for columns in (-1, 0, 1)
    if rows or columns
}
"""The weight of each neighbour by its offset: 1/6 at the edges, 1/12 at the corners."""

Percentiles = Annotated[
    tuple[Annotated[int, Field(gt=0, lt=100)], ...], Field(min_length=1, strict=False)
]


@metric(
    "road",
    "ROAD",
    higher_is_better=True,
    evidence=PictureMap,
    reference="Rong et al. 2022, arXiv 2202.00449",
    range=(-1.0, 1.0),
)
def road(
    evidence: PictureMap,
    *,
    percentiles: Percentiles = (10, 20, 30, 40, 50, 60, 70, 80, 90),
    noise: Annotated[float, Field(ge=0)] = 0.01,
    seed: Annotated[int, Field(ge=0)] = 0,
) -> float:
    """(LeRF - MoRF) / 2: how much more the least relevant pixels may go than the most relevant.

    MoRF is the mean probability of the class after the most relevant pixels, at each percentile,
    were removed, LeRF likewise for the least relevant. Removed pixels are filled by `imputed`.

    Args:
        evidence: The map, the picture, and what classifies other pictures.
        percentiles: Shares of the pixels that are removed.
        noise: The noise of the filling, as a share of the picture's standard deviation.
        seed: The seed of the noise.
    """
    order = pixel_order(evidence.saliency)
    generator = np.random.default_rng(seed)
    scale = noise * float(evidence.inputs.std())
    means = []
    for ranked in (order[::-1], order):
        pictures = []
        for percentile in percentiles:
            removed = np.zeros(order.size, bool)
            removed[ranked[: round(order.size * percentile / 100)]] = True
            filled = imputed(evidence.inputs, removed.reshape(evidence.saliency.shape))
            drawn = (
                generator.normal(0, scale, filled.shape)
                * removed.reshape(filled.shape[:2])[..., None]
            )
            pictures.append((filled + drawn).astype(np.float32))
        means.append(float(evidence.probabilities(np.stack(pictures)).mean(dtype=float)))
    return (means[0] - means[1]) / 2


def imputed(picture: np.ndarray, removed: np.ndarray) -> np.ndarray:
    """Fill removed pixels so that each is the weighted mean of its eight neighbours.

    Weights are those of `NEIGHBOURS`, made to sum to 1 at the border of the picture. All removed
    pixels are solved for at once, so a hole takes on its surroundings smoothly.

    Args:
        picture: Floats `[H, W, C]`.
        removed: Bool `[H, W]`, not all True.

    Returns:
        Float64 `[H, W, C]`.
    """
    height, width, channels = picture.shape
    places = np.argwhere(removed)
    number = np.full(removed.shape, -1)
    number[removed] = np.arange(len(places))
    rows: list[np.ndarray] = []
    columns: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    known = np.zeros((len(places), channels))
    total = np.zeros(len(places))
    for offset, weight in NEIGHBOURS.items():
        near = places + offset
        inside = ((near >= 0) & (near < (height, width))).all(axis=1)
        total += weight * inside
        at = near[inside, 0], near[inside, 1]
        equation, hole = np.flatnonzero(inside), number[at]
        rows.append(equation[hole >= 0])
        columns.append(hole[hole >= 0])
        weights.append(np.full((hole >= 0).sum(), -weight))
        known[equation[hole < 0]] += weight * picture[at][hole < 0]
    return _solved(picture, removed, (rows, columns, weights), known, total)


def _solved(
    picture: np.ndarray,
    removed: np.ndarray,
    entries: tuple[Sequence[np.ndarray], Sequence[np.ndarray], Sequence[np.ndarray]],
    known: np.ndarray,
    total: np.ndarray,
) -> np.ndarray:
    """Solve total_i x_i - sum of weights x_j over removed neighbours = known_i."""
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import splu

    count = len(total)
    rows, columns, weights = (np.concatenate(part) for part in entries)
    diagonal = np.arange(count)
    matrix = coo_matrix(
        (
            np.concatenate([total, weights]),
            (np.concatenate([diagonal, rows]), np.concatenate([diagonal, columns])),
        ),
        shape=(count, count),
    )
    filled = picture.astype(float)
    if count:
        # The matrix is symmetric, and its diagonal dominates.
        solver = splu(
            matrix.tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        filled[removed] = solver.solve(known)
    return filled
