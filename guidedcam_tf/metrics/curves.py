"""Insertion and deletion: the class's probability as the most salient pixels come or go.

Deletion begins with the picture and replaces its pixels, the most salient first, by a substrate;
insertion begins with a blurred picture and brings the pixels back in the same order. A good map
makes the probability fall fast (a small area under the curve) and rise fast (a large one).

The network stays outside: `score` takes pictures `[B, H, W, C]` and returns the softmax
probabilities `[B]` of the class, which is fixed from the whole picture.

Source: Petsiuk et al., "RISE", BMVC 2018, with the choices of its `evaluation.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.metrics.blur import blurred
from guidedcam_tf.metrics.checks import check_maps
from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.registry import metric

STEP = 224
"""RISE's pixels a step for single pictures, one row of 224."""

STEPS = 28
"""How many steps RISE makes for data sets: 8 rows of 224 at a time."""

_RISE = "Petsiuk et al. 2018, arXiv 1806.07421"

Step = Annotated[int, Field(ge=1)] | None
Substrate = Literal["blur", "mean"]

Score = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Curve:
    """A probability at each share of changed pixels, both ends included.

    Attributes:
        fractions: Shares of the pixels that are changed, from 0 to 1, float64 `[n + 1]`.
        scores: The class's probabilities, float64 `[n + 1]`.
    """

    fractions: np.ndarray
    scores: np.ndarray

    @property
    def auc(self) -> float:
        """The area under the curve with the steps taken as equal; see `auc`."""
        return float(auc(self.scores))


def deletion(
    inputs: np.ndarray,
    saliency: np.ndarray,
    score: Score,
    *,
    substrate: ArrayLike = 0.0,
    step: int = STEP,
    batch_size: int = 32,
) -> Curve:
    """Replace the picture's pixels by the substrate, the most salient first.

    The first score is that of the picture, the last that of the substrate. A flat map has the
    order of reading.

    Args:
        inputs: One preprocessed picture, floats `[H, W, C]`.
        saliency: Its map, `[H, W]`. Only the order of its values counts.
        score: From pictures `[B, H, W, C]` to probabilities `[B]`.
        substrate: A number, a colour `[C]` or a picture `[H, W, C]`, preprocessed; 0 is the mean
            colour.
        step: Pixels a step. There are ceil(H * W / step) steps; the last may be smaller.
        batch_size: The most pictures given to `score` at a time.

    Raises:
        InputError: If an argument has another form.
    """
    blocks = curve_inputs(inputs, substrate, saliency, step, batch_size)
    return _curve(blocks, score, saliency, step)


def insertion(
    inputs: np.ndarray,
    saliency: np.ndarray,
    score: Score,
    *,
    substrate: ArrayLike | None = None,
    step: int = STEP,
    batch_size: int = 32,
) -> Curve:
    """Bring the picture's pixels into the substrate, the most salient first.

    The first score is that of the substrate, by default `blurred(inputs)`, the last that of the
    picture. Arguments and errors are those of `deletion`.
    """
    start = blurred(inputs) if substrate is None else substrate
    blocks = curve_inputs(start, inputs, saliency, step, batch_size)
    return _curve(blocks, score, saliency, step)


def pixel_order(saliency: np.ndarray) -> np.ndarray:
    """Return a map's pixels by descending saliency, equal ones in reading order; int `[H * W]`."""
    return np.argsort(-check_maps(saliency, single=True).ravel(), kind="stable")


def curve_counts(pixels: int, step: int = STEP) -> np.ndarray:
    """Return how many pixels are changed at each point of a curve: 0, step, ..., all of them.

    Raises:
        InputError: If the step is not at least 1.
    """
    if step < 1:
        raise InputError(f"step must be at least 1; received {shown(step)}")
    return np.minimum(np.arange(0, pixels + step, step), pixels)


def curve_inputs(
    start: ArrayLike,
    finish: ArrayLike,
    saliency: np.ndarray,
    step: int = STEP,
    batch_size: int = 32,
) -> Iterator[np.ndarray]:
    """Yield the pictures of a curve in order, in blocks that one after the other fit in memory.

    At each point the pixels that were most salient come from `finish` and the rest from `start`.

    Args:
        start: The first picture, `[H, W, C]`, or what broadcasts to it.
        finish: The last picture, likewise. One of both has all three axes.
        saliency: The map, `[H, W]`.
        step: Pixels a step.
        batch_size: The most pictures in a block.

    Yields:
        Pictures `[B, H, W, C]`, at all n + 1 points together.

    Raises:
        InputError: If an argument has another form.
    """
    first, last = np.asarray(start), np.asarray(finish)
    picture = first if first.ndim == 3 else last
    if picture.shape[:2] != np.shape(saliency) or not np.issubdtype(picture.dtype, np.floating):
        raise InputError(
            f"the picture must be floats [H, W, C] with the map's H and W, {np.shape(saliency)}; "
            f"received {picture.dtype} {picture.shape}"
        )
    for other in (first, last):
        if other.shape not in ((), picture.shape[2:], picture.shape):
            raise InputError(
                f"substrate must be a number, a colour [{picture.shape[2]}] or a picture of shape "
                f"{picture.shape}; received shape {other.shape}"
            )
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; received {shown(batch_size)}")
    first, last = first.astype(picture.dtype), last.astype(picture.dtype)
    order = pixel_order(saliency)
    rank = np.empty_like(order)
    rank[order] = np.arange(order.size)
    rank = rank.reshape(*picture.shape[:2], 1)
    counts = curve_counts(order.size, step)
    for block in range(0, len(counts), batch_size):
        changed = rank < counts[block : block + batch_size, None, None, None]
        yield np.where(changed, last, first)


def auc(scores: ArrayLike, fractions: ArrayLike | None = None) -> np.ndarray:
    """Return the area under curves by the trapezoid rule.

    With equal steps it is RISE's (sum s - (s_0 + s_n) / 2) / n. It is linear, so the mean area of
    many curves is the area of their mean curve.

    Args:
        scores: `[..., n + 1]`, n at least 1.
        fractions: Where the scores are, from 0 to 1, `[n + 1]`; `None` for equal steps.

    Returns:
        Float64 `[...]`.

    Raises:
        InputError: If there are fewer than two scores, or not as many fractions that rise from 0 to
            1.
    """
    values = np.asarray(scores, float)
    if values.ndim < 1 or values.shape[-1] < 2:
        raise InputError(f"scores must have shape [..., n + 1], n >= 1; received {values.shape}")
    points = np.linspace(0, 1, values.shape[-1]) if fractions is None else np.asarray(fractions)
    if points.shape != values.shape[-1:]:
        raise InputError(f"fractions must have shape {values.shape[-1:]}; received {points.shape}")
    if points[0] != 0 or points[-1] != 1 or (np.diff(points) < 0).any():
        raise InputError(f"fractions must rise from 0 to 1; received {shown(fractions)}")
    result: np.ndarray = (np.diff(points) * (values[..., 1:] + values[..., :-1])).sum(axis=-1) / 2
    return result


def _curve(blocks: Iterator[np.ndarray], score: Score, saliency: np.ndarray, step: int) -> Curve:
    parts = []
    for block in blocks:
        scores = np.asarray(score(block), float)
        if scores.shape != (len(block),) or not np.isfinite(scores).all():
            raise InputError(
                f"score must return {len(block)} finite numbers, one a picture; "
                f"received shape {scores.shape}"
            )
        parts.append(scores)
    pixels = np.size(saliency)
    return Curve(curve_counts(pixels, step) / pixels, np.concatenate(parts))


@metric(
    "insertion",
    "Insertion AUC",
    higher_is_better=True,
    evidence=PictureMap,
    reference=_RISE,
)
def _insertion(evidence: PictureMap, *, start: Substrate = "blur", step: Step = None) -> float:
    return _area(insertion, evidence, start, step)


@metric(
    "deletion",
    "Deletion AUC",
    higher_is_better=False,
    evidence=PictureMap,
    reference=_RISE,
)
def _deletion(evidence: PictureMap, *, end: Substrate = "mean", step: Step = None) -> float:
    return _area(deletion, evidence, end, step)


def _area(
    curve: Callable[..., Curve], evidence: PictureMap, substrate: Substrate, step: int | None
) -> float:
    inputs, saliency = evidence.inputs, evidence.saliency
    cover = blurred(inputs) if substrate == "blur" else evidence.cover_inputs
    step = step or math.ceil(saliency.size / STEPS)
    return curve(inputs, saliency, evidence.probabilities, substrate=cover, step=step).auc
