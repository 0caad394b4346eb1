"""What the window of a layer takes away of the positions before it, or adds to them."""

from __future__ import annotations

from typing import Any

import keras

from guidedcam_tf.networks.graph import Step

Line = tuple[float, float]
"""The outer edges of the first and of the last position along an axis, in parts of the whole."""

TRANSPOSED = tuple(getattr(keras.layers, f"Conv{axes}DTranspose") for axes in (1, 2, 3))


def seen_through(step: Step, axis: int, line: Line, extent: int) -> Line:
    """Where the positions lie that a layer makes of those on a line.

    A window takes nothing away but of what lies outside, as peers stretch maps over all of the
    picture; a transposed one adds positions around them.
    """
    start, stop = line
    position = (stop - start) / extent
    if position < 0 or step.is_activation:
        return line
    if isinstance(step.layer, TRANSPOSED) and step.layer.padding == "valid":
        kernel, stride = step.layer.kernel_size[axis], step.layer.strides[axis]
        added = position * (kernel - stride) / (2 * stride)
        return start - added, stop + added
    outside, taken = max(0.0, -start) + max(0.0, stop - 1), window(step, axis) * position
    if outside <= 2 * taken + 1e-6:  # Causal padding is all at one side.
        return max(0.0, start), min(1.0, stop)
    # Windows that stand apart by a stride each cover as many positions.
    strides = getattr(step.layer, "strides", None) or 1
    taken = max(0.0, taken - position * (_side(strides, axis) - 1) / 2)
    return start + min(taken, max(0.0, -start)), stop - min(taken, max(0.0, stop - 1))


def window(step: Step, axis: int) -> float:
    """How many positions a layer's window takes away at each side of an axis, from the last."""
    layer: Any = step.layer
    if getattr(layer, "padding", "") != "valid":
        return 0.0
    size = _side(getattr(layer, "kernel_size", None) or getattr(layer, "pool_size", 1), axis)
    return (size - 1) * _side(getattr(layer, "dilation_rate", 1), axis) / 2


def _side(sides: Any, axis: int) -> int:
    """The one of some sides that is an axis's; operations have one number for all."""
    if isinstance(sides, int):
        return sides
    return int(sides[axis]) if len(sides) >= -axis else 1
