"""Where the positions of a layer's map lie, followed through what moves them on the way."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tensorflow as tf
from keras.src.layers.pooling.base_pooling import BasePooling
from keras.src.ops.nn import AveragePool
from keras.src.ops.nn import MaxPool

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network

Line = tuple[float, float]
"""The outer edges of the first and of the last position along an axis, in parts of the whole."""

POOLING = (BasePooling, AveragePool, MaxPool)
EXACT = 2**24
"""Up to which number float32 has all whole ones."""

OUTLIERS = 0.25
"""Which part of a map may lie off its line, as what a reflecting padding adds."""


@lru_cache(maxsize=64)
def lines_of(
    network: Network, begin: Slot, step: Step, size: tuple[int, ...]
) -> tuple[Line | None, ...] | None:
    """Find where the positions of a layer's map lie in what the layers begin with.

    What mixes positions, such as a convolution, is taken to leave them where they are, and its map
    to cover what the one before covers. What moves values as they are (crops, padding, flips,
    exchanged axes, windows) is run on numbered elements.

    Args:
        network: The network.
        begin: The tensor that the first layer with weights reads.
        step: The layer.
        size: Height and width of the pictures.

    Returns:
        One line an axis, mirrored where its first edge is the larger one, and `None` for an axis
        along which the positions are not in order; `None` in place of all where nothing on the way
        moves anything, or it cannot be followed.
    """
    needed = set(network.graph.needed(step.outputs[0]))
    steps = [each for each in network.graph.picture_steps if each in needed]
    if not any(_may_move(each) for each in steps):
        return None
    followed = _Followed(_shapes(network, size), begin, size)
    for each in steps:
        followed.add(each)
    return followed.lines(step.outputs[0])


@lru_cache(maxsize=16)
def _shapes(network: Network, size: tuple[int, ...]) -> Mapping[Slot, tuple[int, ...]]:
    """The shapes of tensors for one picture of a size."""
    graph = network.graph
    shape = (1, *size, network.channels or 3)
    slots = [step.outputs[0] for step in graph.picture_steps]
    shapes: list[Any] = [(1, *step.shape[1:]) for step in graph.picture_steps]
    if any(None in each for each in shapes):
        values = {graph.input: network.preprocess(tf.zeros(shape))}
        shapes = [tuple(tensor.shape) for tensor in graph.tried(values, slots)]
    return {graph.input: shape, **dict(zip(slots, shapes, strict=True))}


def _may_move(step: Step) -> bool:
    """Whether a step may put the values of one tensor elsewhere, as they are."""
    known = step.is_trained or step.is_activation or isinstance(step.layer, POOLING)
    stays = step.traits & (Trait.ELEMENTWISE | Trait.HAS_AXIS)
    return not (known or stays) and len(step.inputs) == 1


class _Followed:
    """Where the elements of tensors lie, step by step.

    That is `[..., C, axes]` for a tensor `[..., C]`, with one channel where all are alike and NaN
    for nowhere; of maps in order, their lines.
    """

    def __init__(
        self, shapes: Mapping[Slot, tuple[int, ...]], begin: Slot, size: tuple[int, ...]
    ) -> None:
        self._shapes, self._axes = dict(shapes), len(size)
        maps = [shape[1:-1] for shape in shapes.values() if len(shape) == len(size) + 2]
        sides = zip(*(extents for extents in maps if set(extents) != {1}), strict=True)
        self._cell = [1 / min(side) for side in sides]
        self._places: dict[Slot, Any] = {begin: ((0.0, 1.0),) * len(size)}

    def add(self, step: Step) -> None:
        """Follow a step."""
        given = [slot for slot in step.inputs if slot in self._places]
        if step.outputs[0] in self._places or not given:
            return
        found = self._moved(step, given[0]) if _may_move(step) else None
        found = self._mixed(step, given) if found is None else found
        if found is not None:
            self._places[step.outputs[0]] = found

    def lines(self, slot: Slot) -> tuple[Line | None, ...] | None:
        """The lines that a map lies on, `None` for an axis along which it is not in order.

        Strided slices are off by half a position, as strided convolutions are taken not to be.
        """
        extents = self._shapes[slot][1:-1]
        if slot not in self._places or len(extents) != self._axes:
            return None
        lines = _in_order(self._places[slot], self._cell)
        return tuple(line and _rounded(line, n) for line, n in zip(lines, extents, strict=True))

    def _elements(self, places: Any, shape: Sequence[int]) -> np.ndarray:
        """Places of all elements of a tensor of some shape."""
        if isinstance(places, tuple):
            sides = zip(places, shape[1:-1], strict=True)
            middles = [a + (np.arange(n) + 0.5) * (b - a) / n for (a, b), n in sides]
            places = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1)[None, ..., None, :]
        return np.broadcast_to(places, (*shape, self._axes))

    def _as_lines(self, places: np.ndarray) -> Any:
        """Places in the form in which they are kept."""
        if places.ndim == self._axes + 3 and len(places) == 1:
            lines = _in_order(places, self._cell)
            if None not in lines:
                return lines
        return places

    def _moved(self, step: Step, slot: Slot) -> Any:
        """Where elements lie that are, one by one, what the step got; `None` for other ones.

        What leaves the channels alone is tried with one of them.
        """
        whole, places = self._shapes[slot], self._places[slot]
        output = self._shapes[step.outputs[0]]
        if isinstance(places, tuple) and whole[-1] == output[-1]:
            picked = self._picked(step, slot, (*whole[:-1], 1))
            if picked is not None and picked.shape == (*output[:-1], 1):
                return self._placed(picked, places, (*whole[:-1], 1))
        picked = self._picked(step, slot, whole)
        if picked is None:
            return None
        self._shapes[step.outputs[0]] = picked.shape
        return self._placed(picked, places, whole)

    def _picked(self, step: Step, slot: Slot, shape: Sequence[int]) -> np.ndarray | None:
        """Which elements of a tensor come out where, from 1 on; 0 where zeros come out."""
        count = int(np.prod(shape))
        if count >= EXACT:
            return None
        numbers = np.arange(1, count + 1, dtype=np.float32).reshape(shape)
        try:
            with tf.init_scope(), inference():
                (found,) = step.run({slot: tf.constant(numbers)})
                seen = np.asarray(tf.cast(found, tf.float32))
        except Exception:  # What a user's layer raises on values that it does not expect.
            return None
        picked = np.nan_to_num(seen, nan=-1.0).astype(np.int64)
        is_picked = (picked == seen).all() and picked.min() >= 0 and picked.max() <= count
        return picked if is_picked and seen.ndim > 1 else None

    def _placed(self, picked: np.ndarray, places: Any, shape: Sequence[int]) -> Any:
        nowhere = np.full([1, self._axes], np.nan)
        table = self._elements(places, shape).reshape(-1, self._axes)
        return self._as_lines(np.concatenate([nowhere, table])[picked])

    def _mixed(self, step: Step, given: Sequence[Slot]) -> Any:
        """Where elements lie that are computed of several; `None` where that is not known."""
        spread = [slot for slot in given if set(self._shapes[slot][1:-1]) - {1}]
        output = step.outputs[0]
        if len(spread) != 1:
            return self._merged(spread, self._shapes[output])
        (slot,) = spread
        places, before = self._places[slot], self._shapes[slot]
        shape = self._shapes[output] = (before[0], *self._shapes[output][1:])
        if isinstance(places, tuple):
            if len(shape) != len(before):
                return None
            extents = enumerate(before[1:-1], -self._axes)
            return tuple(
                _without_window(line, window(step, axis), extent)
                for line, (axis, extent) in zip(places, extents, strict=True)
            )
        positions = _of_positions(places)[..., None, :]
        if before[:-1] == shape[:-1]:
            return positions
        if len(shape) != len(before) or len(shape) != self._axes + 2:
            return None
        for axis, (old, new) in enumerate(zip(before[1:-1], shape[1:-1], strict=True), 1):
            nearest = (2 * np.arange(new) + 1) * old // (2 * new)
            positions = positions.take(nearest, axis)
        return positions

    def _merged(self, spread: Sequence[Slot], shape: Sequence[int]) -> Any:
        """Where elements lie that are of several tensors, if these cover the same."""
        if not spread or any(self._shapes[slot][:-1] != shape[:-1] for slot in spread):
            return None
        first = self._places[spread[0]]
        if isinstance(first, tuple) and all(self._places[slot] == first for slot in spread):
            return first
        elements = [
            _of_positions(self._elements(self._places[slot], self._shapes[slot])) for slot in spread
        ]
        apart = np.ptp(np.nan_to_num(np.stack(elements)), axis=0)
        if (apart > np.array(self._cell) + 1e-6).any():
            return None
        return self._as_lines(np.mean(elements, axis=0)[..., None, :])


def _in_order(places: Any, cell: Sequence[float]) -> tuple[Line | None, ...]:
    """The lines of a map's positions, `None` for an axis along which they are not in order."""
    if isinstance(places, tuple):
        return places
    positions = _of_positions(places)[0]
    return tuple(
        _line(np.moveaxis(positions[..., axis], axis, 0), coarsest)
        for axis, coarsest in enumerate(cell)
    )


def _line(places: np.ndarray, cell: float) -> Line | None:
    """The line of positions along their first axis, `[n, ...]`."""
    count = len(places)
    at = places.reshape(count, -1)
    rows = np.flatnonzero(~np.isnan(at).all(axis=1))
    if len(rows) < 2:
        return (0.0, 1.0) if count < 2 else None
    middles, half = np.nanmedian(at[rows], axis=1), len(rows) // 2
    slope = np.median((middles[half:] - middles[:-half]) / (rows[half:] - rows[:-half]))
    start = np.median(middles - slope * (rows + 0.5))
    off = np.abs(at - (start + slope * (np.arange(count) + 0.5))[:, None])
    is_off = off[~np.isnan(off)] > 1.5 * max(cell, abs(slope))
    if is_off.mean() > OUTLIERS or abs(slope) * count < cell:
        return None
    return float(start), float(start + slope * count)


def _rounded(line: Line, extent: int) -> Line:
    """A line with the whole's edges where it is off by half a position or less."""
    near = [round(edge) if abs(edge - round(edge)) <= 0.51 / extent else edge for edge in line]
    return float(near[0]), float(near[1])


def _of_positions(places: np.ndarray) -> np.ndarray:
    """The mean over the channels, `[..., axes]`."""
    known = ~np.isnan(places)
    total = np.where(known, places, 0.0).sum(axis=-2)
    with np.errstate(invalid="ignore"):
        found: np.ndarray = total / known.sum(axis=-2)
    return found


def _without_window(line: Line, taken: float, extent: int) -> Line:
    """A line without what a window takes away of what lies outside."""
    start, stop = line
    step = (stop - start) / extent
    if step > 0 and start < 0:
        start = min(0.0, start + taken * step)
    if step > 0 and stop > 1:
        stop = max(1.0, stop - taken * step)
    return start, stop


def window(step: Step, axis: int) -> float:
    """How many positions a layer's window takes away at each side of an axis, from the last."""
    layer: Any = step.layer
    if getattr(layer, "padding", "") != "valid":
        return 0.0
    size = getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", None) or (1,)
    if len(size) < -axis:
        return 0.0
    dilation = getattr(layer, "dilation_rate", (1,) * len(size))
    return (size[axis] - 1) * dilation[axis] / 2
