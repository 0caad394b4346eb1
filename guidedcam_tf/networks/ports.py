"""A model's inputs and outputs by name, and the inputs that are the same for all pictures."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_values
from guidedcam_tf.networks.keras_graph import call_names
from guidedcam_tf.networks.keras_graph import inner_model


def named_inputs(functional: Any) -> list[tuple[str, Any]]:
    """A model's inputs by the names that its user gave them."""
    return _named(functional, functional.inputs, functional._inputs_struct)


def named_outputs(functional: Any) -> list[tuple[str, Any]]:
    """A model's outputs by the names that its user gave them, no two by the same.

    Those of one layer are called as its steps are, `"scores"` and `"scores#2"`; those of one model
    inside it have the names that they have there, `"inner/kind"`; what else is alike is counted,
    `"parts/1"` and `"parts/2"`.
    """
    return _named(functional, functional.outputs, functional._outputs_struct)


def _named(functional: Any, tensors: Sequence[Any], struct: Any) -> list[tuple[str, Any]]:
    paths = [path for path, _ in keras.tree.flatten_with_path(struct)]
    names = [
        str(path[0])
        if isinstance(struct, dict) and len(path) == 1
        else tensor._keras_history.operation.name
        for path, tensor in zip(paths, tensors, strict=True)
    ]
    if len(set(names)) < len(names):
        longer = [_long_name(functional, tensor) for tensor in tensors]
        names = [
            long if names.count(name) > 1 else name
            for name, long in zip(names, longer, strict=True)
        ]
        names = [
            f"{name}/{names[: place + 1].count(name)}" if names.count(name) > 1 else name
            for place, name in enumerate(names)
        ]
    return list(zip(names, tensors, strict=True))


def _long_name(functional: Any, tensor: Any) -> str:
    """What the call is named that gives a tensor, and of a model inside what its output is."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    inner, name = inner_model(node), call_names(functional)[id(node)]
    if inner is None or len(inner.outputs) == 1:
        return name
    return f"{name}/{named_outputs(inner)[history.tensor_index][0]}"


def choose(what: str, ports: list[tuple[str, Any]], wanted: str | None, model: str) -> Any:
    """The one input or output that a name means. Raises `InputError` if it means none."""
    names = ", ".join(name for name, _ in ports)
    if wanted is None and len(ports) == 1:
        return ports[0][1]
    if wanted is None:
        raise InputError(
            f"model {model!r} has {len(ports)} {what}s ({names}); "
            f"expected one {what}, or {what}= with the name of the one to explain"
        )
    if not isinstance(wanted, str):
        raise InputError(f"{what} must be one name, one of {names}; received {shown(wanted)}")
    if wanted not in dict(ports):
        raise InputError(f"model {model!r} has no {what} {shown(wanted)}; expected one of {names}")
    return dict(ports)[wanted]


def choose_picture(
    ports: list[tuple[str, Any]], wanted: str | None, fixed: Mapping[str, Any] | None, model: str
) -> Any:
    """The input that takes the picture: the one of that name, or the only one of rank 4."""
    if not isinstance(fixed, Mapping | None):
        raise InputError(
            "fixed_inputs must be a dict of values by the inputs' names, "
            f"{', '.join(name for name, _ in ports)}; received {shown(fixed)}"
        )
    pictures = [port for port in ports if len(port[1].shape) == 4 and port[0] not in (fixed or {})]
    if wanted is None and len(pictures) == 1:
        return pictures[0][1]
    return choose("input", ports, wanted, model)


def fixed_value(name: str, tensor: Any, given: Any) -> np.ndarray:
    """The one value of an input, without the batch axis.

    Raises:
        InputError: If it has another shape, or no numbers of the input's dtype.
    """
    expected = tuple(tensor.shape[1:])
    value = as_values(given, tf.as_dtype(tensor.dtype), f"fixed_inputs[{name!r}]")
    if value.ndim == len(expected) + 1 and len(value) == 1:
        value = value[0]
    if value.ndim != len(expected) or any(
        side not in (None, actual) for side, actual in zip(expected, value.shape, strict=True)
    ):
        raise InputError(
            f"fixed_inputs[{name!r}] must have the shape {expected}, the same for all "
            f"pictures; received {value.shape}"
        )
    return value


def check_fixed_names(values: Mapping[str, Any] | None, names: list[str]) -> None:
    """Raise `InputError` if there is a value for what is no other input."""
    for name in values or {}:
        if name not in names:
            raise InputError(
                f"fixed_inputs[{shown(name)}] is not another input of the model; "
                f"expected {', '.join(names) or 'none'}"
            )


def side_by_side(outputs: Sequence[Any]) -> tf.Tensor:
    """All values of several outputs, float32 `[N, values]`."""
    flat = [tf.reshape(tf.cast(each, tf.float32), [tf.shape(each)[0], -1]) for each in outputs]
    return tf.concat(flat, axis=1)


def for_each(value: tf.Tensor, pictures: tf.Tensor) -> tf.Tensor:
    """Repeat a fixed value for each picture."""
    return tf.repeat(value[None], tf.shape(pictures)[0], axis=0)
