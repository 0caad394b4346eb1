"""Where in a picture a layer looks: crops, padding and flips on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.positions import extent_of
from guidedcam_tf.networks.positions import lines_of
from guidedcam_tf.networks.remembering import remembered
from guidedcam_tf.networks.windows import Line
from guidedcam_tf.networks.windows import window

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network

Box = tuple[float, ...]
"""Top, left, bottom and right edge, as parts of a picture's height and width.

Of signals and volumes, where each spatial axis starts, then where each stops.
"""

NEGLIGIBLE = 0.02
"""Edges nearer to the picture's than this part of it are taken for these."""


@remembered
def box_of(network: Network, step: Step, size: tuple[int, ...]) -> Box | None:
    """Find which part of a picture a layer's map covers.

    Args:
        network: The network.
        step: The layer.
        size: Height and width of the pictures that the network gets.

    Returns:
        The part, whose edges may lie outside of the picture; `None` for the whole picture, and
        where it cannot be told.
    """
    slot, first = _end_of_preparation(network, step)
    lines = _moved_lines(network, slot, step, size)
    box = _prepared_box(network, slot, first, size)
    if lines is None:
        return box
    whole = (0.0,) * len(size) + (1.0,) * len(size)
    sides = list(zip((box or whole)[: len(size)], (box or whole)[len(size) :], strict=True))
    starts = [a + line[0] * (b - a) for line, (a, b) in zip(lines, sides, strict=True)]
    stops = [a + line[1] * (b - a) for line, (a, b) in zip(lines, sides, strict=True)]
    far = max(*map(abs, starts), *(abs(stop - 1) for stop in stops))
    return None if far < NEGLIGIBLE else (*starts, *stops)


def out_of_order(network: Network, step: Step) -> str:
    """The first layer on the way to a layer that puts positions in another order; empty for none.

    A flip is none: the map is turned back.
    """
    size, begin = some_size(network), network.graph.input
    if None not in (lines_of(network, begin, step, size) or ()):
        return ""
    for each in network.graph.needed(step.outputs[0]):
        if None in (lines_of(network, begin, each, size) or ()):
            return each.name
    return step.name


def _moved_lines(
    network: Network, slot: Slot, step: Step, size: tuple[int, ...]
) -> list[Line] | None:
    """Where a layer's map lies in what the layers begin with; `None` for all of it."""
    # Of pictures of any size, what is all of it at one of them is all of it at others.
    for each in (some_size(network), size):
        lines = [line for line in lines_of(network, slot, step, each) or () if line is not None]
        if len(lines) < len(size) or all(line == (0.0, 1.0) for line in lines):
            return None
    return lines


def some_size(network: Network) -> tuple[int, ...]:
    """The height and width of pictures that a network takes; where it takes any, one of them."""
    return tuple(network.some_shape(1)[1:-1])


def lies_elsewhere(network: Network, step: Step) -> bool:
    """Whether a layer has the pictures' own extent, and yet covers another part of them."""
    size = some_size(network)
    return extent_of(network, step, size) == size and box_of(network, step, size) is not None


@remembered
def _prepared_box(network: Network, slot: Slot, first: Step, size: tuple[int, ...]) -> Box | None:
    """Find which part of a picture the first layer with weights gets; see `part_shown`.

    Padding that the first layer's window takes away again does not count.

    Args:
        network: The network.
        slot: What that layer reads.
        first: That layer.
        size: Height and width of the pictures that the network gets.
    """

    def prepare(pictures: tf.Tensor) -> tf.Tensor:
        inputs = network.preprocess(pictures)
        return network.graph.tried({network.graph.input: inputs}, [slot])[0]

    taken = [window(first, axis - len(size)) for axis in range(len(size))]
    return part_shown(prepare, size, network.channels or 3, taken)


def part_shown(
    prepare: Callable[[tf.Tensor], tf.Tensor],
    size: tuple[int, ...],
    channels: int,
    taken: Sequence[float],
) -> Box | None:
    """Find which part of a picture is left of it, by showing coordinates.

    What prepares pictures (preprocessing, crops, padding, slices) gets pictures whose values are
    their rows, and such whose values are their columns.

    Args:
        prepare: What prepares pictures, `[N, H, W, C]`.
        size: Their height and width.
        channels: How many channels they have.
        taken: How many positions of padding are taken away again on each side, by axis.

    Returns:
        The part; `None` for the whole picture, and where what prepares pictures does more than
        move and scale values.
    """
    axes = range(len(size))
    probes = np.zeros([len(size) + 2, *size, channels], np.float32)
    for axis in axes:
        ramp = np.linspace(0, 255, size[axis])
        probes[axis + 1] = ramp.reshape([-1, *[1] * (len(size) - axis)])
    probes[-1] = 255.0
    try:
        with tf.init_scope(), inference():
            seen = prepare(tf.constant(probes))
    except Exception:  # What prepares pictures may take no such ones.
        return None
    seen = np.asarray(tf.cast(seen, tf.float32))
    if seen.ndim != probes.ndim:
        return None
    gain = (seen[-1] - seen[0]).mean(axis=-1)
    known = np.abs(gain) > 1e-3 * np.abs(gain).max()
    scale = np.where(known, gain, 1.0)
    edges = []
    for axis in axes:
        found = (seen[axis + 1] - seen[0]).mean(axis=-1) / scale
        edges.append(_edges(_lines(found, axis), _lines(known, axis), size[axis], taken[axis]))
    if any(pair is None for pair in edges):
        return None
    starts, stops = zip(*edges, strict=True)
    far = max(max(abs(start) for start in starts), max(abs(stop - 1) for stop in stops))
    return None if far < NEGLIGIBLE else (*starts, *stops)


def _lines(values: np.ndarray, axis: int) -> np.ndarray:
    """Values along one axis, `[length, all others]`."""
    return np.moveaxis(values, axis, 0).reshape(values.shape[axis], -1)


def _end_of_preparation(network: Network, step: Step) -> tuple[Slot, Step]:
    """The tensor that the first layer with weights on the way to a step reads, and that layer."""
    graph = network.graph
    on_the_way = set(graph.needed(step.outputs[0]))
    reached = {graph.input}
    for each in graph.picture_steps:
        if each not in on_the_way:
            continue
        reads = [slot for slot in each.inputs if slot in reached]
        if each.is_trained:
            return reads[0], each
        reached.update(each.outputs)
    return step.outputs[0], step


def _edges(
    places: np.ndarray, known: np.ndarray, extent: int, taken: float
) -> tuple[float, float] | None:
    """The edges of what the rows of a map cover, from the part of the picture that each shows."""
    rows = np.flatnonzero(known.any(axis=1))
    if len(rows) < 2:
        return None
    weights = known[rows].sum(axis=1)
    middles = (places * known)[rows].sum(axis=1) / weights * (extent - 1) + 0.5
    # Where a crop is resized, the outermost rows may show the same place as the next ones, and
    # others too where the nearest place is taken.
    inner = slice(len(rows) // 4, len(rows) - len(rows) // 4)
    step, offset = np.polyfit(rows[inner], middles[inner], 1)
    straight = offset + step * rows
    spread = np.where(known[rows], places[rows] * (extent - 1) + 0.5 - straight[:, None], 0.0)
    if np.abs(spread).max() > max(1.0, 0.01 * extent) or abs(step) < 1e-6:
        return None
    start = offset - step / 2
    stop = start + step * len(places)
    if start < 0 and step > 0:
        start = min(0.0, start + taken * step)
    if stop > extent and step > 0:
        stop = max(float(extent), stop - taken * step)
    return start / extent, stop / extent


def largest_part(size: Sequence[int], shape: Sequence[Any]) -> tuple[list[int], list[int]]:
    """The largest centred part of a size that has another's shape: its starts, and its sides."""
    scale = min(has / side for has, side in zip(size, shape, strict=True))
    inner = [max(1, min(has, round(side * scale))) for has, side in zip(size, shape, strict=True)]
    return [(has - side) // 2 for has, side in zip(size, inner, strict=True)], inner


def lay(
    finish: Callable[[tuple[int, ...]], tf.Tensor], box: Box | None, size: tuple[int, ...]
) -> tf.Tensor:
    """Lay maps over the part of a picture that they cover; the rest is zero.

    Args:
        finish: Gives the maps, `[M, h, w]`, at a height and width, or at the size of a signal or
            volume.
        box: The part; `None` for the whole picture.
        size: The picture's height and width.

    Returns:
        `[M, *size]`.
    """
    if box is None:
        return finish(size)
    axes, spans = range(len(size)), []
    for start, stop, extent in zip(box[: len(size)], box[len(size) :], size, strict=True):
        low, high = sorted((round(start * extent), round(stop * extent)))
        spans.append((low, max(high, low + 1), extent))
    maps = finish(tuple(high - low for low, high, _ in spans))
    mirrored = [axis + 1 for axis in axes if box[axis] > box[axis + len(size)]]
    maps = tf.reverse(maps, mirrored) if mirrored else maps
    seen = [slice(None), *(slice(max(0, -low), extent - low) for low, _, extent in spans)]
    maps = maps[tuple(seen)]
    room = [[max(0, low), max(0, extent - high)] for low, high, extent in spans]
    return tf.pad(maps, [[0, 0], *room])
