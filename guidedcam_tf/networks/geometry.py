"""Where in a picture a layer looks: crops, padding and flips on the way to it."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from typing import TYPE_CHECKING
from typing import Any

import tensorflow as tf

from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.positions import extent_of
from guidedcam_tf.networks.positions import lines_of
from guidedcam_tf.networks.positions import may_move
from guidedcam_tf.networks.remembering import remembered
from guidedcam_tf.networks.shown import Box
from guidedcam_tf.networks.shown import Shown
from guidedcam_tf.networks.shown import box_around
from guidedcam_tf.networks.shown import lines_shown
from guidedcam_tf.networks.windows import Line

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network


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
    begin, shown = _prepared(network, step, size)
    before = None if shown is None else tuple(line or (0.0, 1.0) for line in shown)
    lines = _moved_lines(network, begin, step, size, before)
    return box_around(lines) if lines else None


def out_of_order(network: Network, step: Step) -> str:
    """The first layer on the way to a layer that puts positions in another order; empty for none.

    A flip is none: the map is turned back.
    """
    size, begin = some_size(network), network.graph.input
    slot, shown = _prepared(network, step, size)
    if None in (shown or ()):
        source = network.graph.source(slot)
        return source.name if source else step.name
    if None not in (lines_of(network, begin, step, size) or ()):
        return ""
    for each in network.graph.needed(step.outputs[0]):
        if None in (lines_of(network, begin, each, size) or ()):
            return each.name
    return step.name


def _moved_lines(
    network: Network,
    slot: Slot,
    step: Step,
    size: tuple[int, ...],
    before: tuple[Line, ...] | None,
) -> tuple[Line, ...] | None:
    """Where a layer's map lies; as what the layers begin with where it cannot be followed."""
    # Of pictures of any size, what is all of it at one of them is all of it at others.
    for each in (some_size(network), size):
        found = lines_of(network, slot, step, each, before) or ()
        lines = tuple(line for line in found if line is not None)
        if len(lines) < len(size):
            return before
        if all(line == (0.0, 1.0) for line in lines):
            break
    return lines


def some_size(network: Network) -> tuple[int, ...]:
    """The height and width of pictures that a network takes; where it takes any, one of them."""
    return tuple(network.some_shape(1)[1:-1])


def lies_elsewhere(network: Network, step: Step) -> bool:
    """Whether a layer has the pictures' own extent, and yet covers another part of them."""
    size = some_size(network)
    return extent_of(network, step, size) == size and box_of(network, step, size) is not None


def _prepared(network: Network, step: Step, size: tuple[int, ...]) -> tuple[Slot, Shown]:
    """What the layers on the way to a step begin with, and where that lies in pictures.

    It is the tensor that the first layer with weights reads; or the network's input, where
    `lines_of` can follow all that comes before that layer.
    """
    graph = network.graph
    on_the_way = set(graph.needed(step.outputs[0]))
    reached, before = {graph.input}, []
    for each in graph.picture_steps:
        if each not in on_the_way:
            continue
        reads = [slot for slot in each.inputs if slot in reached]
        if each.is_trained:
            slot = reads[0]
            break
        reached.update(each.outputs)
        before.append(each)
    else:
        slot = step.outputs[0]
    if all(map(may_move, before)):
        return graph.input, None
    return slot, _shown(network, slot, size)


@remembered
def _shown(network: Network, slot: Slot, size: tuple[int, ...]) -> Shown:
    """Find where a tensor lies in pictures; see `lines_shown`."""

    def prepare(pictures: tf.Tensor) -> tf.Tensor:
        inputs = network.preprocess(pictures)
        return network.graph.tried({network.graph.input: inputs}, [slot])[0]

    return lines_shown(prepare, size, network.channels or 3)


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
