"""Which part of a picture is left of it, found out by trying."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.windows import Line

Box = tuple[float, ...]
"""Top, left, bottom and right edge, as parts of a picture's height and width.

Of signals and volumes, where each spatial axis starts, then where each stops.
"""

NEGLIGIBLE = 0.02
"""Edges nearer to the picture's than this part of it are taken for these."""

PICTURES, AT_ONCE = 64, 16

SMOOTHNESS = 64
"""Values are alike over this part of an axis, for averages that make it smaller."""

ALIKE = 0.6
"""From what correlation on a row is taken for one of the picture's."""

IN_ORDER = 0.75
"""How many of the rows have to lie on a line; others may be mirrored at an edge."""

Shown = tuple[Line | None, ...] | None
"""A line for each axis, `None` for one whose rows are not in order; `None` where it is not told."""


def box_around(lines: Sequence[Line]) -> Box | None:
    """The part of a picture between the edges on each axis; `None` for all of it."""
    if all(abs(start) < NEGLIGIBLE and abs(stop - 1) < NEGLIGIBLE for start, stop in lines):
        return None
    return (*(start for start, _ in lines), *(stop for _, stop in lines))


def lines_shown(
    prepare: Callable[[tf.Tensor], tf.Tensor],
    size: tuple[int, ...],
    channels: int,
) -> Shown:
    """Find where the rows and columns of what is made of pictures lie in these.

    Each row and each column of random pictures has a value of its own, in each picture another. So
    what follows a row's values over the pictures is that row, whatever is done to the values of all
    pixels, such as standardising each picture.

    Args:
        prepare: What is done to pictures, `[N, H, W, C]`.
        size: Their height and width.
        channels: How many channels they have.
    """
    generator, axes = np.random.default_rng(0), range(len(size))
    codes = [_codes(generator, extent) for extent in size]
    means: list[list[np.ndarray]] = []
    try:
        with tf.init_scope(), inference():
            for start in range(0, PICTURES, AT_ONCE):
                some = [code[start : start + AT_ONCE] for code in codes]
                seen = tf.cast(prepare(tf.constant(_pictures(some, channels))), tf.float32)
                if len(seen.shape) != len(size) + 2:
                    return None
                others = [[each for each in range(1, len(size) + 2) if each != a + 1] for a in axes]
                means.append([tf.reduce_mean(seen, axis=rest).numpy() for rest in others])
    except Exception:  # What prepares pictures may take no such ones.
        return None
    found: list[Line | None] = []
    for axis in axes:
        alike = [_correlation(np.concatenate([m[axis] for m in means]), code) for code in codes]
        known = [each.max(axis=1) >= ALIKE for each in alike]
        if any(known[other].sum() > known[axis].sum() for other in axes):
            found.append(None)
            continue
        rows = np.flatnonzero(known[axis])
        if len(rows) < 2:
            return None
        found.append(_line(rows, _places(alike[axis][rows]), alike[axis].shape))
    return tuple(found)


def _codes(generator: np.random.Generator, extent: int) -> np.ndarray:
    """Values of each place of an axis in each picture, in -1..1, `[PICTURES, extent]`."""
    places, width = np.arange(extent), extent / SMOOTHNESS
    near = np.exp(-0.5 * ((places[:, None] - places) / max(width, 0.1)) ** 2)
    codes = generator.uniform(-1, 1, [PICTURES, extent]) @ near
    return np.asarray(codes / np.abs(codes).max())


def _pictures(codes: Sequence[np.ndarray], channels: int) -> np.ndarray:
    """Pictures in 0..255 whose pixels are sums of their row's and their column's values."""
    axes = len(codes)
    total = sum(
        code.reshape([len(code), *(code.shape[1] if at == axis else 1 for at in range(axes))])
        for axis, code in enumerate(codes)
    )
    pictures = np.repeat(127.5 + 120 / axes * np.asarray(total)[..., None], channels, axis=-1)
    return pictures.astype(np.float32)


def _correlation(means: np.ndarray, codes: np.ndarray) -> np.ndarray:
    """How alike each row `[PICTURES, n]` is to each place `[PICTURES, extent]`, `[n, extent]`."""
    centred = [values - values.mean(axis=0) for values in (means, codes)]
    norms = [np.linalg.norm(values, axis=0) for values in centred]
    # Rounding of rows that show nothing of the picture, such as padding, is like none.
    scales = [np.where(norm > 1e-3 * norm.max(), norm, np.inf) for norm in norms]
    return np.asarray(np.abs((centred[0] / scales[0]).T @ (centred[1] / scales[1])))


def _places(alike: np.ndarray) -> np.ndarray:
    """Where each row is most alike, between places too."""
    best = alike.argmax(axis=1)
    inner = np.clip(best, 1, max(1, alike.shape[1] - 2))
    if alike.shape[1] < 3:
        return best.astype(float)
    before, at, after = (
        np.take_along_axis(alike, (inner + shift)[:, None], 1)[:, 0] for shift in (-1, 0, 1)
    )
    bend = before - 2 * at + after
    shift = np.where(bend < 0, 0.5 * (before - after) / np.where(bend < 0, bend, 1.0), 0.0)
    return np.where(inner == best, best + np.clip(shift, -0.5, 0.5), best)


def _line(rows: np.ndarray, places: np.ndarray, extents: tuple[int, ...]) -> Line | None:
    """The edges of what a map's rows cover, in parts of the picture; `None` if out of order."""
    length, extent = extents
    # Where a crop is resized, the outermost rows show the same place as the next ones.
    inner = slice(len(rows) // 4, len(rows) - len(rows) // 4)
    step, offset = np.polyfit(rows[inner], places[inner] + 0.5, 1)
    off = np.abs(places + 0.5 - offset - step * rows)
    if np.mean(off <= max(1.0, 0.01 * extent)) < IN_ORDER or abs(step) < 1e-6:
        return None
    start = offset - step / 2
    return float(start / extent), float((start + step * length) / extent)
