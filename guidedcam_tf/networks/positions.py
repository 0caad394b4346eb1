"""Where the positions of a layer's map lie, followed through what moves them on the way."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import TARGET
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.remembering import remembered
from guidedcam_tf.networks.windows import Line
from guidedcam_tf.networks.windows import seen_through

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network

_layers, _ops = keras.layers, keras.src.ops.numpy
MOVES = (
    *(_layers.Cropping1D, _layers.Cropping2D, _layers.Cropping3D),
    *(_layers.ZeroPadding1D, _layers.ZeroPadding2D, _layers.ZeroPadding3D),
    *(_layers.Permute, _layers.Reshape),
    *(_ops.Flip, _ops.GetItem, _ops.Moveaxis, _ops.Pad, _ops.Reshape, _ops.Roll),
    *(_ops.Rot90, _ops.Squeeze, _ops.Swapaxes, _ops.Transpose, _ops.ExpandDims),
)
"""What puts the values of a tensor elsewhere, as they are."""

LARGEST = 2**22
"""How many elements are numbered; float32 has all whole numbers up to four times as many."""


@remembered
def lines_of(
    network: Network,
    begin: Slot,
    step: Step,
    size: tuple[int, ...],
    lines: tuple[Line, ...] | None = None,
) -> tuple[Line | None, ...] | None:
    """Find where the positions of a layer's map lie in a tensor before it.

    What mixes positions, such as a convolution, is taken to leave them where they are, and its map
    to cover what the one before covers. `MOVES`, and layers of a user's own without weights, are
    run on numbered elements.

    Args:
        network: The network.
        begin: The tensor to follow from.
        step: The layer.
        size: Height and width of the pictures.
        lines: Where that tensor lies itself; by default it is the whole.

    Returns:
        One line an axis, mirrored where its first edge is the larger one, and `None` for an axis
        along which the positions are not in order; `None` in place of all where nothing on the way
        moves anything, or it cannot be followed.
    """
    needed = set(network.graph.needed(step.outputs[0]))
    steps = [each for each in network.graph.picture_steps if each in needed]
    if lines is None and not any(may_move(each) or _is_own(each) for each in steps):
        return None
    followed = _followed(network, begin, size, lines or ((0.0, 1.0),) * len(size))
    for each in steps:
        followed.add(each)
    return followed.lines(step.outputs[0])


@remembered
def _followed(
    network: Network, begin: Slot, size: tuple[int, ...], lines: tuple[Line, ...]
) -> _Followed:
    """What was followed so far of a network, for one layer or another."""
    return _Followed(_shapes(network, size), begin, lines)


def extent_of(network: Network, step: Step, size: tuple[int, ...]) -> tuple[int, ...]:
    """The height and width of a layer's output, for pictures of a size."""
    return _shapes(network, size).get(step.outputs[0], ())[1:-1]


@remembered
def _shapes(network: Network, size: tuple[int, ...]) -> Mapping[Slot, tuple[int, ...]]:
    """The shapes of tensors for one picture of a size."""
    graph = network.graph
    shape = (1, *size, network.channels or 3)
    steps = [step for step in graph.picture_steps if step.name != TARGET]
    slots = [step.outputs[0] for step in steps]
    shapes: list[Any] = [(1, *step.shape[1:]) for step in steps]
    if any(None in each for each in shapes):
        with tf.init_scope():
            values = {graph.input: network.preprocess(tf.zeros(shape))}
            shapes = [tuple(tensor.shape) for tensor in graph.tried(values, slots)]
    return {graph.input: shape, **dict(zip(slots, shapes, strict=True))}


def may_move(step: Step) -> bool:
    """Whether a step puts the values of one tensor elsewhere; a mirroring `pad` adds others."""
    layer: Any = step.layer
    is_one = isinstance(layer, MOVES) and len(step.inputs) == 1
    return is_one and getattr(layer, "mode", "constant") == "constant"


def _is_own(step: Step) -> bool:
    """Whether a step is code of a user's own without weights, that may move what it is given."""
    kind = type(step.layer)
    is_own = kind is _layers.Lambda or kind.__module__.split(".")[0] not in ("keras", "builtins")
    return is_own and len(step.inputs) == 1 and not step.is_trained


class _Followed:
    """Where the elements of tensors lie, step by step.

    That is `[..., C, axes]` for a tensor `[..., C]`, with one channel where all are alike and NaN
    for nowhere; of maps in order, their lines.
    """

    def __init__(
        self, shapes: Mapping[Slot, tuple[int, ...]], begin: Slot, lines: tuple[Line, ...]
    ) -> None:
        self._shapes, self._axes = dict(shapes), len(lines)
        self._places: dict[Slot, Any] = {begin: lines}

    def add(self, step: Step) -> None:
        """Follow a step."""
        given = [slot for slot in step.inputs if slot in self._places]
        if step.outputs[0] in self._places or not given:
            return
        found = self._moved(step, given[0]) if may_move(step) or _is_own(step) else None
        found = self._mixed(step, given) if found is None else found
        if found is not None:
            self._places[step.outputs[0]] = found

    def lines(self, slot: Slot) -> tuple[Line | None, ...] | None:
        """The lines that a map lies on, `None` for an axis along which it is not in order."""
        if slot not in self._places or len(self._shapes[slot]) != self._axes + 2:
            return None
        return _in_order(self._places[slot])

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
            lines = _in_order(places)
            if None not in lines:
                return lines
        return places

    def _moved(self, step: Step, slot: Slot) -> Any:
        """Where elements lie that are, one by one, what the step got; `None` for other ones.

        What leaves the channels alone is tried with one of them; own code may not.
        """
        whole, places = self._shapes[slot], self._places[slot]
        output = self._shapes[step.outputs[0]]
        if isinstance(places, tuple) and whole[-1] == output[-1] and not _is_own(step):
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
        if count > LARGEST:
            return None
        numbers = np.arange(1, count + 1, dtype=np.float32)
        seen = self._run(step, slot, numbers.reshape(shape))
        is_number = (seen == np.floor(seen)) & (seen >= 0) & (seen <= count)
        if seen.ndim < 2 or not is_number.all() or not seen.any():
            return None
        picked = seen.astype(np.int64)
        # What rounds, clips or compares numbers gives others where they come the other way round.
        again = self._run(step, slot, numbers[::-1].reshape(shape))
        return picked if np.array_equal(again, np.append(0, numbers[::-1])[picked]) else None

    def _run(self, step: Step, slot: Slot, values: np.ndarray) -> np.ndarray:
        """What a step makes of a tensor; NaN where it takes no such values."""
        try:
            with tf.init_scope(), inference():
                (found,) = step.run({slot: tf.constant(values)})
                return np.asarray(tf.cast(found, tf.float32))
        except Exception:  # What a user's layer raises on values that it does not expect.
            return np.array(np.nan)

    def _placed(self, picked: np.ndarray, places: Any, shape: Sequence[int]) -> Any:
        nowhere = np.full([1, self._axes], np.nan)
        table = self._elements(places, shape).reshape(-1, self._axes)
        return self._as_lines(np.concatenate([nowhere, table])[picked])

    def _mixed(self, step: Step, given: Sequence[Slot]) -> Any:
        """Where elements lie that are computed of several; `None` where that is not known."""
        output = step.outputs[0]
        spread = [slot for slot in given if not self._is_gate(slot, output)]
        if len(spread) != 1:
            return self._merged(spread, self._shapes[output])
        (slot,) = spread
        places, before = self._places[slot], self._shapes[slot]
        shape = self._shapes[output] = (before[0], *self._shapes[output][1:])
        if len(shape) != len(before):
            return None
        if isinstance(places, tuple):
            extents = enumerate(before[1:-1], -self._axes)
            return tuple(
                seen_through(step, axis, line, extent)
                for line, (axis, extent) in zip(places, extents, strict=True)
            )
        if before == shape:
            return places
        positions = _of_positions(places)[..., None, :]
        if before[:-1] == shape[:-1]:
            return positions
        is_map = getattr(step.layer, "data_format", "") == "channels_last" and shape[0] == 1
        if not is_map or positions.ndim != self._axes + 3:
            return None
        for axis, (old, new) in enumerate(zip(before[1:-1], shape[1:-1], strict=True), 1):
            nearest = (2 * np.arange(new) + 1) * old // (2 * new)
            positions = positions.take(nearest, axis)
        return positions

    def _is_gate(self, slot: Slot, output: Slot) -> bool:
        """Whether a tensor has one row or column where the output has several."""
        one, other = self._shapes[slot][1:-1], self._shapes[output][1:-1]
        narrow = len(one) == len(other) and any(n == 1 < m for n, m in zip(one, other, strict=True))
        return narrow or not set(one) - {1}

    def _merged(self, spread: Sequence[Slot], shape: Sequence[int]) -> Any:
        """Where elements lie that are of several tensors, if these cover the same."""
        if not spread or any(self._shapes[slot][:-1] != shape[:-1] for slot in spread):
            return None
        found = [self._places[slot] for slot in spread]
        first = found[0]
        if all(type(p) is type(first) and np.array_equal(p, first, equal_nan=True) for p in found):
            return first
        elements = [
            _of_positions(self._elements(places, self._shapes[slot]))
            for places, slot in zip(found, spread, strict=True)
        ]
        apart = np.ptp(np.nan_to_num(np.stack(elements)), axis=0).max(initial=0.0)
        if apart > 1.5 / max(2, *shape[1:-1]):
            return None
        return self._as_lines(np.mean(elements, axis=0)[..., None, :])


def _in_order(places: Any) -> tuple[Line | None, ...]:
    """The lines of a map's positions, `None` for an axis along which they are not in order."""
    if isinstance(places, tuple):
        return places
    positions = _of_positions(places)[0]
    axes = range(positions.shape[-1])
    return tuple(_line(np.moveaxis(positions[..., axis], axis, 0)) for axis in axes)


def _line(places: np.ndarray) -> Line | None:
    """The line of positions along their first axis, `[n, ...]`."""
    count = len(places)
    at = places.reshape(count, -1)
    rows = np.flatnonzero(~np.isnan(at).all(axis=1))
    if len(rows) < 2:
        return (0.0, 1.0) if count < 2 else None
    middles = np.nanmedian(at[rows], axis=1)
    slope = (middles[-1] - middles[0]) / (rows[-1] - rows[0])
    start = middles[0] - slope * (rows[0] + 0.5)
    off = np.abs(at - (start + slope * (np.arange(count) + 0.5))[:, None])
    if not slope or np.nanmax(off) > 1.01 * abs(slope):
        return None
    # Strided slices are off by half a position, as strided convolutions are taken not to be.
    edges = (float(start), float(start + slope * count))
    half = 0.51 * abs(slope)
    near = [round(edge) if abs(edge - round(edge)) <= half else edge for edge in edges]
    return float(near[0]), float(near[1])


def _of_positions(places: np.ndarray) -> np.ndarray:
    """The median over the channels, `[..., axes]`: a few may be shifted."""
    ordered = np.sort(places, axis=-2)  # NaN comes last.
    known = np.count_nonzero(~np.isnan(places), axis=-2, keepdims=True)
    middles = [np.take_along_axis(ordered, at // 2, axis=-2) for at in (known - 1, known)]
    return np.mean(middles, axis=0)[..., 0, :]
