"""Networks whose data is channels-first, read as the channels-last networks that they equal.

A layer's kernels do not depend on where the channels are. So the same layer with the same variables
and `data_format="channels_last"` computes the same, and everything that explains a network sees
`[N, h, w, K]`.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from guidedcam_tf.networks.traits import Trait
from guidedcam_tf.networks.traits import traits_of

TO_LAST = (0, 2, 3, 1)
TO_FIRST = (0, 3, 1, 2)


def is_channels_first(layers: Iterable[Any]) -> bool:
    """Whether a network's first convolution or pooling takes `[N, C, H, W]`."""
    formats = (
        layer.data_format
        for layer in layers
        if hasattr(layer, "data_format")
        and (hasattr(layer, "kernel_size") or hasattr(layer, "pool_size"))
    )
    return next(formats, "") == "channels_first"


def channels_last_shape(shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
    """`(N, C, H, W)` as `(N, H, W, C)`; other ranks as they are."""
    return tuple(shape[axis] for axis in TO_LAST) if len(shape) == 4 else shape


def channels_last_twin(layer: Any) -> Any:
    """The same layer with the same variables for `[N, h, w, K]`; `layer` is untouched.

    The layer itself where there is no such twin; see `keeps_its_order`.
    """
    changes: dict[str, Any] = {}
    if getattr(layer, "data_format", None) == "channels_first":
        # Flatten keeps a second note of it.
        changes |= {"data_format": "channels_last", "_channels_first": False}
    if Trait.HAS_AXIS in traits_of(layer) and layer.axis in (1, -3):
        changes["axis"] = -1 if not isinstance(layer, keras.layers.BatchNormalization) else 3
    if not changes:
        return layer
    twin = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    twin.__dict__.update(changes)
    twin.__dict__["_input_spec"] = None
    return twin


def keeps_its_order(layer: Any, twin: Any) -> bool:
    """Whether a channels-first network's layer, with that twin, sees `[N, C, H, W]` as ever."""
    return twin is layer and Trait.ELEMENTWISE not in traits_of(layer)


def channels_last_call(call: Callable[..., Any]) -> Callable[..., Any]:
    """Make the call of a layer that keeps its order take and return `[N, h, w, K]`."""

    def turned(*args: Any, **kwargs: Any) -> Any:
        args, kwargs = keras.tree.map_structure(lambda leaf: turn(leaf, TO_FIRST), (args, kwargs))
        return keras.tree.map_structure(turn, call(*args, **kwargs))

    return turned


def turn(leaf: Any, axes: tuple[int, ...] = TO_LAST) -> Any:
    """Turn a tensor of rank 4, by default to channels last; leave anything else as it is."""
    return tf.transpose(leaf, axes) if tf.is_tensor(leaf) and leaf.shape.rank == 4 else leaf
