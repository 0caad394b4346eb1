"""Where in a picture a layer looks: crops and padding before the first learned layer."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network

Box = tuple[float, float, float, float]
"""Top, left, bottom and right edge, as parts of a picture's height and width."""

NEGLIGIBLE = 0.02
"""Edges nearer to the picture's than this part of it are taken for these."""


@lru_cache(maxsize=64)
def box_of(network: Network, step: Step, size: tuple[int, int]) -> Box | None:
    """Find which part of a picture a layer's map covers, by showing the network coordinates.

    What prepares pictures before the first layer with weights (preprocessing, crops, padding,
    slices) gets pictures whose values are their rows and columns. Padding that the first layer's
    window takes away again does not count.

    Args:
        network: The network.
        step: The layer.
        size: Height and width of the pictures that the network gets.

    Returns:
        The part, whose edges may lie outside of the picture; `None` for the whole picture, and
        where what prepares pictures does more than move and scale values.
    """
    slot, first = _end_of_preparation(network, step)
    height, width = size
    rows, columns = np.linspace(0, 255, height), np.linspace(0, 255, width)
    probes = np.zeros([4, height, width, network.channels or 3], np.float32)
    probes[1], probes[2], probes[3] = rows[:, None, None], columns[:, None], 255.0
    try:
        with tf.init_scope(), inference():
            inputs = network.preprocess(probes)
            (seen,) = network.graph.tried({network.graph.input: inputs}, [slot])
    except Exception:  # What prepares pictures may take no such ones.
        return None
    seen = np.asarray(tf.cast(seen, tf.float32))
    if seen.ndim != 4:
        return None
    gain = (seen[3] - seen[0]).mean(axis=-1)
    known = np.abs(gain) > 1e-3 * np.abs(gain).max()
    scale = np.where(known, gain, 1.0)
    found = [(seen[i] - seen[0]).mean(axis=-1) / scale for i in (1, 2)]
    vertical = _edges(found[0], known, height, first, 0)
    horizontal = _edges(found[1].T, known.T, width, first, 1)
    if vertical is None or horizontal is None:
        return None
    box = (vertical[0], horizontal[0], vertical[1], horizontal[1])
    return None if np.abs(np.subtract(box, (0, 0, 1, 1))).max() < NEGLIGIBLE else box


def _end_of_preparation(network: Network, step: Step) -> tuple[Slot, Step]:
    """The tensor that the first layer with weights on the way to a step reads, and that layer."""
    graph = network.graph
    on_the_way = set(graph.needed(step.outputs[0]))
    reached = {graph.input}
    for each in graph.picture_steps:
        if each not in on_the_way:
            continue
        reads = [slot for slot in each.inputs if slot in reached]
        if getattr(each.layer, "weights", None) and Trait.PREPARES not in each.traits:
            return reads[0], each
        reached.update(each.outputs)
    return step.outputs[0], step


def _edges(
    places: np.ndarray, known: np.ndarray, extent: int, first: Step, axis: int
) -> tuple[float, float] | None:
    """The edges of what the rows of a map cover, from the part of the picture that each shows."""
    rows = np.flatnonzero(known.any(axis=1))
    if len(rows) < 2:
        return None
    weights = known[rows].sum(axis=1)
    middles = (places * known)[rows].sum(axis=1) / weights * (extent - 1) + 0.5
    # Where a crop is resized, the outermost rows show the same place as the next ones.
    step = np.median(np.diff(middles) / np.diff(rows))
    half = len(rows) // 2
    straight = middles[half] + step * (rows - rows[half])
    spread = np.where(known[rows], places[rows] * (extent - 1) + 0.5 - straight[:, None], 0.0)
    if np.abs(spread).max() > max(1.0, 0.01 * extent) or abs(step) < 1e-6:
        return None
    start = middles[half] - step * (rows[half] + 0.5)
    stop = start + step * len(places)
    taken = _window(first, axis) * step
    if start < 0 and step > 0:
        start = min(0.0, start + taken)
    if stop > extent and step > 0:
        stop = max(float(extent), stop - taken)
    return start / extent, stop / extent


def _window(step: Step, axis: int) -> float:
    """How many positions a layer's window takes away at each side."""
    layer: Any = step.layer
    if getattr(layer, "padding", "") != "valid":
        return 0.0
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or (1, 1)
    dilation = getattr(layer, "dilation_rate", (1, 1))
    return (size[axis] - 1) * dilation[axis] / 2


def lay(
    finish: Callable[[tuple[int, int]], tf.Tensor], box: Box | None, size: tuple[int, int]
) -> tf.Tensor:
    """Lay maps over the part of a picture that they cover; the rest is zero.

    Args:
        finish: Gives the maps, `[M, h, w]`, at a height and width.
        box: The part; `None` for the whole picture.
        size: The picture's height and width.

    Returns:
        `[M, *size]`.
    """
    if box is None:
        return finish(size)
    spans = []
    for start, stop, extent in zip(box[:2], box[2:], size, strict=True):
        low, high = sorted((round(start * extent), round(stop * extent)))
        spans.append((low, max(high, low + 1), extent))
    maps = finish((spans[0][1] - spans[0][0], spans[1][1] - spans[1][0]))
    mirrored = [axis + 1 for axis in (0, 1) if box[axis] > box[axis + 2]]
    maps = tf.reverse(maps, mirrored) if mirrored else maps
    (top, _, height), (left, _, width) = spans
    maps = maps[:, max(0, -top) : height - top, max(0, -left) : width - left]
    room = [[max(0, low), max(0, extent - high)] for low, high, extent in spans]
    return tf.pad(maps, [[0, 0], *room])
