"""Where in a picture tokens lie, found out by changing the picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.picture_values import samples

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network
    from guidedcam_tf.networks.tokens import TokenGrid

EXTRA = 16
"""How many class and register tokens are looked for where the picture does not tell them."""

CORNERS = ((False, False), (False, True), (True, False))
"""Top left, top right and bottom left, as (down, right)."""

SOURCES = 4
"""How many pictures others are put together of."""

PROJECTIONS = 4
"""In how many mixtures of channels pictures are compared."""

SAME = 1e-3
"""How far what is the same may differ, in parts of what the pictures differ by."""

NOWHERE = -1
"""The cell of what stands for none, or for one that is not known."""


def seen(network: Network, first: Step) -> np.ndarray:
    """What each change of a picture changes in each token of a layer before tokens mix, `[4, T]`.

    The changes are that of all of it, and of the corners in `CORNERS`.
    """
    one, other = _noise(network, 2)
    rows, columns = (max(1, side // 4) for side in one.shape[:2])
    pictures = np.stack([one, other, one, one, one])
    for picture, (down, right) in zip(pictures[2:], CORNERS, strict=True):
        part = (
            slice(-rows, None) if down else slice(rows),
            slice(-columns, None) if right else slice(columns),
        )
        picture[part] = other[part]
    with inference():
        values = {network.graph.input: network.preprocess(pictures)}
        (tokens,) = network.graph.tried(values, first.outputs[:1])
    tokens = np.asarray(tf.cast(tokens, tf.float32))
    return np.abs(tokens[1:] - tokens[:1]).sum(axis=-1)


def _noise(network: Network, count: int) -> np.ndarray:
    scale = 255.0 if network.takes_pixels else 1.0
    shape = network.some_shape(count)
    return np.random.default_rng(1).uniform(0, scale, shape).astype(np.float32)


def extras(changes: np.ndarray) -> Sequence[tuple[int, int]]:
    """How many tokens before and after the places are none, the likeliest first.

    A class or register token is the same for all pictures, until the tokens are mixed: then a
    change in one corner changes all.
    """
    count = changes.shape[1]
    if not changes.all():
        varying = np.flatnonzero(changes[0])
        return [(int(varying[0]), count - 1 - int(varying[-1]))] if len(varying) else []
    return [(before, 0) for before in range(min(EXTRA, count - 1) + 1)]


def has_corners(grid: TokenGrid, changes: np.ndarray) -> bool:
    """Whether what changes most is in the corner where the picture changed."""
    places = changes[1:, grid.before : changes.shape[1] - grid.after]
    for of_corner, (down, right) in zip(places, CORNERS, strict=True):
        row, column = divmod(int(of_corner.argmax()), grid.width)
        ends = ((row, down, grid.height), (column, right, grid.width))
        wrong = any((2 * at < n - 1) if end else (2 * at > n - 1) for at, end, n in ends)
        if wrong and of_corner.any():  # What crops a picture may not see its corners.
            return False
    return True


def in_order(grid: TokenGrid, cells: np.ndarray) -> bool:
    """Whether tokens that stand for some cells of their grid, `[T]`, lie row by row.

    Where a picture is cropped or padded several may stand for one cell, and some for none.
    """
    places = cells[grid.before : len(cells) - grid.after].reshape(grid.height, grid.width)
    for lines, cell in ((places, places // grid.width), (places.T, places.T % grid.width)):
        shown = [of[line != NOWHERE] for of, line in zip(cell, lines, strict=True)]
        ends = [end for of in shown if of.size for end in (of.min(), of.max())]
        if np.any(np.diff(ends) < 0):
            return False
    return True


class Cells:
    """Which cell of a grid over the picture each token stands for, followed layer by layer.

    `SOURCES` pictures, and others that are put together of their cells, no two cells from the same
    ones throughout, run through the network. What is computed of one cell alone is in each of the
    others what it is in one of the sources, and so tells the cell. Where cells are mixed, such as
    by attention, a token is taken to stay where it is, and gets the values that tell its cell.

    Args:
        network: The network.
        height, width: The grid's.
        grids: How tokens lie where cells are mixed and their number is a new one.
    """

    def __init__(
        self, network: Network, height: int, width: int, grids: Mapping[Step, TokenGrid]
    ) -> None:
        self._network, self._grids = network, grids
        self._height, self._width = height, width
        digits = range(len(np.base_repr(height * width - 1, SOURCES)))
        counted = np.arange(height * width)
        self._source = np.stack([counted // SOURCES**digit % SOURCES for digit in digits])

    def of(self, wanted: Sequence[Step]) -> dict[Step, np.ndarray]:
        """The cells of the tokens of some layers, `[T]` each."""
        network, graph, extent = self._network, self._network.graph, self._network.some_shape(1)
        cells = {graph.input: self._under(*extent[1:3])}
        noise = _noise(network, SOURCES)
        pictures = self._put_together(
            np.concatenate([noise, noise[:1].repeat(len(self._source), 0)]), cells[graph.input]
        )
        known: dict[Slot, Any] = {graph.input: network.preprocess(pictures)}
        needed = set().union(*(graph.needed(step.outputs[0]) for step in wanted))
        steps = [step for step in graph.steps if step in needed]
        readers = Counter(slot for step in steps for slot in step.inputs)
        are_tokens = False
        with inference(), WithValues(samples(graph.specs)):
            for step in steps:
                are_tokens = are_tokens or step in self._grids
                for slot, tensor in zip(step.outputs, step.run(known), strict=True):
                    given = [cells[each] for each in step.inputs if each in cells]
                    if step in self._grids:
                        given.append(self._laid(self._grids[step]))
                    elif len(tensor.shape) == 4 and not are_tokens:
                        given.append(self._under(*tensor.shape[1:3]))
                    known[slot] = self._follow(slot, tensor, given, cells)
                readers.subtract(step.inputs)
                for slot in step.inputs:
                    if not readers[slot]:
                        known.pop(slot, None)
        return {step: cells[step.outputs[0]] for step in wanted}

    def _follow(
        self, slot: Slot, tensor: Any, given: list[np.ndarray], cells: dict[Slot, np.ndarray]
    ) -> Any:
        """Put down the cells of a tensor, and return it so that it tells them.

        Where they are mixed, they are the first of those given that have its shape.
        """
        count = SOURCES + len(self._source)
        if len(tensor.shape) < 3 or tensor.shape[0] % count or 0 in tensor.shape:
            return tensor
        apart = tf.reshape(tensor, [count, tensor.shape[0] // count, *tensor.shape[1:]])
        apart = apart[:, 0] if apart.shape[1] == 1 else apart
        cells[slot], mixed = self._read(apart)
        for each in given:
            if each.shape == mixed.shape:
                cells[slot] = np.where(mixed & (cells[slot] == NOWHERE), each, cells[slot])
        if not np.any(mixed & (cells[slot] != NOWHERE)):
            return tensor
        told = self._put_together(apart.numpy(), cells[slot])
        return tf.reshape(tf.constant(told, tensor.dtype), tensor.shape)

    def _read(self, values: tf.Tensor) -> tuple[np.ndarray, np.ndarray]:
        """The cells that values tell, and whether they are of several mixed."""
        mixtures = tf.random.stateless_normal([values.shape[-1], PROJECTIONS], [0, 1])
        rough = tf.tensordot(tf.cast(values, tf.float32), mixtures, 1).numpy()
        sources = rough[:SOURCES]
        with np.errstate(invalid="ignore"):  # Of infinite values nothing is told.
            largest = np.abs(sources - sources[:1]).max(axis=(0, -1))
            same = np.stack(
                [np.abs(each - sources).max(axis=-1) <= SAME * largest for each in rough[SOURCES:]]
            )
        found = sum(SOURCES**digit * of.argmax(axis=0) for digit, of in enumerate(same))
        is_one = (same.sum(axis=1) == 1).all(axis=0) & (found < self._source.shape[1])
        return np.where(is_one, found, NOWHERE), np.logical_not(same.any(axis=1).all(axis=0))

    def _put_together(self, values: np.ndarray, cells: np.ndarray) -> np.ndarray:
        """Give all but the sources the values that tell the cells, where these are known."""
        sources = self._source[:, cells][..., None]
        told = np.take_along_axis(values[:SOURCES], sources, axis=0)
        kept = np.where((cells != NOWHERE)[..., None], told, values[SOURCES:])
        return np.concatenate([values[:SOURCES], kept])

    def _under(self, height: int, width: int) -> np.ndarray:
        """The cells of a map's positions, `[h, w]`."""
        rows = (2 * np.arange(height) + 1) * self._height // (2 * height)
        columns = (2 * np.arange(width) + 1) * self._width // (2 * width)
        return rows[:, None] * self._width + columns

    def _laid(self, grid: TokenGrid) -> np.ndarray:
        """The cells of tokens that lie row by row, `[T]`."""
        places = self._under(grid.height, grid.width).ravel()
        return np.pad(places, (grid.before, grid.after), constant_values=NOWHERE)
