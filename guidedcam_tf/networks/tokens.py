"""Layers of tokens, `[N, T, C]`, read as feature maps `[N, h, w, C]`.

Which place of the picture a token stands for is found out by changing the picture.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.token_places import Cells
from guidedcam_tf.networks.token_places import extras
from guidedcam_tf.networks.token_places import has_corners
from guidedcam_tf.networks.token_places import in_order
from guidedcam_tf.networks.token_places import seen

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network

RANK = 3
"""The rank of an output of tokens, `[N, T, C]`."""

SWAPS = (keras.layers.Permute, keras.src.ops.numpy.Transpose, keras.src.ops.numpy.Swapaxes)
"""What exchanges tokens and channels."""


@dataclass(frozen=True)
class TokenGrid:
    """How tokens lie in the picture: row by row, between others that stand for no place.

    Attributes:
        height, width: How many tokens there are from top to bottom, and from left to right.
        before, after: How many class and register tokens come before them, and after them.
    """

    height: int
    width: int
    before: int = 0
    after: int = 0

    @property
    def count(self) -> int:
        """How many tokens there are."""
        return self.before + self.height * self.width + self.after

    def __str__(self) -> str:
        extra = self.before + self.after
        others = f", without {extra} that {'is' if extra == 1 else 'are'} no place"
        return f"{self.height} x {self.width} tokens{others if extra else ''}"


@dataclass(frozen=True)
class FromTokens:
    """Takes tokens `[N, T, C]` to their places, `[N, h, w, C]`."""

    grid: TokenGrid

    def __call__(self, tokens: tf.Tensor) -> tf.Tensor:
        """Return the map."""
        grid = self.grid
        places = tokens[:, grid.before : grid.count - grid.after]
        return tf.reshape(places, [-1, grid.height, grid.width, tokens.shape[2]])


@dataclass(frozen=True)
class ToTokens:
    """Puts a map `[N, h, w, C]` into the place of what `FromTokens` took, among all tokens."""

    grid: TokenGrid

    def __call__(self, tokens: tf.Tensor, places: tf.Tensor) -> tf.Tensor:
        """Return all tokens."""
        grid, extent = self.grid, self.grid.height * self.grid.width
        flat = tf.reshape(tf.cast(places, tokens.dtype), [-1, extent, tokens.shape[2]])
        parts = [tokens[:, : grid.before], flat, tokens[:, grid.count - grid.after :]]
        return tf.concat(parts, axis=1) if grid.before or grid.after else flat


def on_grid(graph: Graph, step: Step, grid: TokenGrid, channels: int | None) -> tuple[Graph, Step]:
    """Return the same network with a layer's tokens on their grid for a moment.

    Returns:
        The graph, and its step that gives the map `[N, h, w, C]`, under the layer's name. What the
        network computes with that map in place of the layer's tokens is the same.
    """
    tokens = graph.new_slot()
    places = Slot(tokens.index + 1)
    taken, put = FromTokens(grid), ToTokens(grid)
    shape = (None, grid.height, grid.width, channels)
    as_map = Step(step.name, taken, taken, (tokens,), {}, (places,), shape)
    back = Step(step.name, put, put, (tokens, places), {}, step.outputs[:1], step.shape)
    made = replace(step, outputs=(tokens, *step.outputs[1:]))
    steps = [[made, as_map, back] if each is step else [each] for each in graph.steps]
    return replace(graph, steps=tuple(each for some in steps for each in some)), as_map


def checked_grid(grid: object) -> tuple[int, int] | None:
    """Return a grid as the user said it. Raises `InputError` if it is no height and width."""
    if grid is None:
        return None
    sides = list(grid) if isinstance(grid, (tuple, list)) else []
    if len(sides) != 2 or not all(isinstance(n, int) and n > 0 for n in sides) or sides == [1, 1]:
        raise InputError(
            f"grid must be the height and width in tokens, such as (14, 14); received {shown(grid)}"
        )
    return sides[0], sides[1]


class Tokens:
    """What is known of the tokens of a network.

    Args:
        network: The network.
        said: The height and width of the grid, if the user said it.
    """

    def __init__(self, network: Network, said: tuple[int, int] | None) -> None:
        self._network = network
        self._graph = network.graph
        self._said = said
        self._first: dict[int, np.ndarray] = {}

    @cached_property
    def grids(self) -> dict[Step, TokenGrid]:
        """The layers whose tokens have known places, in the order in which they run."""
        return {step: grid for step in self._steps if isinstance(grid := self._of(step), TokenGrid)}

    def why_not(self, step: Step) -> str:
        """Say why a layer of tokens has no map, and what would give it one; empty if it has one."""
        found = self._of(step)
        if isinstance(found, TokenGrid):
            return ""
        shape = ", ".join(map(str, self.shapes[step][1:]))
        return f"its output is [N, {shape}]: tokens, {found}"

    @cached_property
    def shapes(self) -> dict[Step, tuple[int | None, ...]]:
        """The shapes of maps and tokens, for two pictures where there are tokens.

        Then they are complete, and windows of a picture are told by how many they are.
        """
        steps = [step for step in self._graph.picture_steps if len(step.shape) >= RANK]
        if not any(len(step.shape) == RANK for step in steps):
            return {step: (PICTURES, *step.shape[1:]) for step in steps}
        values = {self._graph.input: self._network.noise()}
        tensors = self._graph.tried(values, [step.outputs[0] for step in steps])
        return {step: tuple(tensor.shape) for step, tensor in zip(steps, tensors, strict=True)}

    def of_pictures(self, step: Step) -> bool:
        """Whether a step gives one map, or one row of tokens, for each picture."""
        return self.shapes[step][0] == PICTURES

    @cached_property
    def _steps(self) -> list[Step]:
        """The steps that give tokens, one row a picture, by tokens and not by channels."""
        swapped: set[Slot] = set()
        found: list[Step] = []
        if not self._network.sees_pictures:
            return found
        for step in self._graph.picture_steps:
            inputs = [slot for slot in step.inputs if self._rank(slot) == RANK]
            is_swapped = bool(inputs) and inputs[0] in swapped
            if isinstance(step.layer, SWAPS) and inputs:
                is_swapped = not is_swapped
            if is_swapped:
                swapped.update(step.outputs)
            elif len(step.shape) == RANK and not step.is_linear_part:
                found.append(step)
        return [step for step in found if self.of_pictures(step) and self.shapes[step][1] != 1]

    def _rank(self, slot: Slot) -> int:
        source = self._graph.source(slot)
        return len(self._graph.input_shape if source is None else source.shape)

    def _of(self, step: Step) -> TokenGrid | str:
        """The places of a layer's tokens, or in words why they are not known."""
        if step not in self._steps:
            return (
                "but not one row of them for each picture (they are parts of it, such as windows), "
                "or channels in the tokens' place; choose a layer before or after"
            )
        count = self.shapes[step][1]
        if count is None or None in self._network.input_size:
            return "whose number the network does not fix; give it an input of one size"
        if self._said is not None:
            return self._said_grid(count)
        if step not in self._laid:
            return (
                "whose places in the picture cannot be told; say them with grid=(h, w), as many "
                f"rows and columns of patches as the picture has ({count} tokens with h * w of "
                "them places)"
            )
        moved = [each for each in self._moved if self.shapes[each][1] == count]
        if step not in moved:
            return self._laid[step]
        return (
            "which are not in the order of the picture's rows (the first of them are those of "
            f"{moved[0].name!r}); choose a layer before, or one where they are in order again, or "
            "say grid=(h, w) if they are"
        )

    @cached_property
    def _laid(self) -> dict[Step, TokenGrid]:
        """How the tokens of each layer lie if none was moved since there were as many."""
        return {step: grid for step in self._steps if (grid := self._grid_of(step)) is not None}

    def _grid_of(self, step: Step) -> TokenGrid | None:
        if (count := self.shapes[step][1]) is None:
            return None
        changes = self._changes(step, count)
        for before, after in extras(changes):
            for height, width in self._extents(step, count - before - after):
                grid = TokenGrid(height, width, before, after)
                if has_corners(grid, changes):
                    return grid
        return None

    @cached_property
    def _moved(self) -> list[Step]:
        """The layers whose tokens do not lie row by row."""
        moved = set()
        for height, width in {(grid.height, grid.width) for grid in self._laid.values()}:
            grids = {
                step: grid
                for step, grid in self._laid.items()
                if (grid.height, grid.width) == (height, width)
            }
            cells = Cells(self._network, height, width, self._laid).of(list(grids))
            moved |= {step for step, grid in grids.items() if not in_order(grid, cells[step])}
        return [step for step in self._laid if step in moved]

    def _said_grid(self, count: int) -> TokenGrid | str:
        height, width = self._said or (0, 0)
        if height * width > count:
            return f"too few for grid=({height}, {width}), which has {height * width} places"
        extra = count - height * width
        return TokenGrid(height, width, extra, 0)

    def _extents(self, step: Step, places: int) -> Iterator[tuple[int, int]]:
        """Heights and widths that a number of places can have, the likeliest first."""
        if places < 2:
            return
        steps = self._graph.needed(step.outputs[0])
        earlier = [extent for each in steps if (extent := self._extent(each)) is not None]
        yield from (shape for shape in reversed(earlier) if shape[0] * shape[1] == places)
        _, tall, wide, _ = self._network.some_shape(1)
        for rows, columns in [*reversed(earlier), (tall, wide)]:
            height = round((places * rows / columns) ** 0.5)
            if height and places % height == 0 and height * columns == places // height * rows:
                yield height, places // height

    def _extent(self, step: Step) -> tuple[int, int] | None:
        """The height and width of a feature map; `None` for anything else."""
        shape = self.shapes.get(step, ())
        if len(shape) != 4 or shape[1:3] == (1, 1):
            return None
        height, width = shape[1:3]
        return None if height is None or width is None else (height, width)

    def _changes(self, step: Step, count: int) -> np.ndarray:
        """What `seen` returns where that number of tokens comes first, before they mix."""
        if count not in self._first:
            needed = set(self._graph.needed(step.outputs[0]))
            first = next(s for s in self._steps if s in needed and self.shapes[s][1] == count)
            self._first[count] = seen(self._network, first)
        return self._first[count]


PICTURES = 2
"""How many pictures `Network.noise` has."""
