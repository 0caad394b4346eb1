"""Keras's own graph of nodes, and what a model consists of."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from operator import itemgetter
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.models.functional import Functional

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.tracing import nodes_of
from guidedcam_tf.networks.tracing import trace
from guidedcam_tf.networks.tracing import trace_layer
from guidedcam_tf.networks.tracing import values_in

SOFTMAX = (keras.layers.Softmax, keras.src.ops.nn.Softmax)
TOKENS = 3
"""The rank of tokens, `[N, T, C]`."""


def functional_of(layer: Any) -> Any:
    """The layer as a functional model if Keras runs it as one, else `None`."""
    if isinstance(layer, keras.Sequential):
        keeps_call = type(layer).call is keras.Sequential.call
        return layer._functional if layer.built and keeps_call else None
    keeps_call = isinstance(layer, Functional) and type(layer).call is Functional.call
    return layer if keeps_call else None


def inner_model(node: Any) -> Any:
    """The graph of a model that a node calls; `None` for anything else, and where there is none."""
    model = node.operation
    if (functional := functional_of(model)) is not None or not isinstance(model, keras.Model):
        return functional
    if len(node.input_tensors) != 1:
        return None
    try:
        return trace(model, tuple(node.input_tensors[0].shape))
    except InputError:
        return None


def inner_layer(node: Any) -> tuple[Any, list[Any]] | None:
    """The graph inside a layer that a node calls, if it is made of layers and gives tokens.

    Keras's own layers stay whole, and so does what computes an attention itself.

    Returns:
        As `trace_layer`; `None` for anything else.
    """
    layer = node.operation
    made_of_layers = isinstance(layer, keras.layers.Layer) and not isinstance(layer, keras.Model)
    if not made_of_layers or not getattr(layer, "_layers", None):
        return None
    if type(layer).__module__.split(".")[0] == "keras" or len(node.outputs[0].shape) != TOKENS:
        return None
    found = trace_layer(node)
    if found is None or any(values_in(inner) or _attends(inner) for inner in nodes_of(found[0])):
        return None
    return found


def _attends(node: Any) -> bool:
    return isinstance(node.operation, SOFTMAX) and len(node.outputs[0].shape) > TOKENS


def inner_inputs(inner: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Any] | None:
    """What a call gives to the inputs of an inner model, in their order.

    Returns:
        One value an input, or `None` if the call gives something else than inputs.
    """
    named = {key: value for key, value in kwargs.items() if key != "training"}
    given = [*args, *(value for value in named.values() if value is not None)]
    if len(given) != 1:
        return None
    value, struct = given[0], getattr(inner, "_inputs_struct", None)
    if isinstance(value, dict) and not isinstance(struct, dict):
        if set(value) != {each.name for each in inner.inputs}:
            return None
        return [value[each.name] for each in inner.inputs]
    if isinstance(value, dict) and set(value) != set(struct or {}):
        return None
    flat = keras.tree.flatten(value)
    return flat if len(flat) == len(inner.inputs) else None


def call_names(functional: Any) -> dict[int, str]:
    """What each node is called: its layer's name, and `"#2"` after it for the second call."""
    calls: dict[int, list[Any]] = {}
    for node in nodes_of(functional):
        calls.setdefault(id(node.operation), []).append(node)
    names = {}
    for nodes in calls.values():
        made = nodes[0].operation._inbound_nodes
        order = {id(node): place for place, node in enumerate(made)}
        ordered = sorted(nodes, key=lambda node: order.get(id(node), 0))
        for place, node in enumerate(ordered, start=1):
            names[id(node)] = node.operation.name + (f"#{place}" if place > 1 else "")
    return names


def all_layers(functional: Any) -> Iterator[Any]:
    """The layers and operations of a model, those inside functional models too."""
    for node in nodes_of(functional):
        inner = functional_of(node.operation)
        yield from all_layers(inner) if inner is not None else [node.operation]


COMPARED = (bool, int, float, str, tuple, np.ndarray, tf.Tensor)
"""What is told from another by value; all else is told by which object it is."""

BASE = frozenset(vars(keras.layers.Layer()))
"""The attributes that every layer has: Keras's own book-keeping, which changes as it is used."""

TRAINING = frozenset({"momentum", "rate", "stddev"})
"""The attributes of Keras's layers that only training reads, as a schedule may change them."""


class Structure:
    """What a model computes by, beside the values of its variables, to tell whether it changed.

    That is its layers, their `call`, variables and dtype policies, and those public attributes that
    are functions or, of Keras's own layers, numbers, words, tuples or arrays. It keeps what it
    compares, so that nothing new can get an old object's identity. Preprocessing is a part of it
    where it is a layer or a model.
    """

    def __init__(self, model: keras.Model, preprocess: Any = None) -> None:
        self._model, self._preprocess = model, preprocess
        asked = [each for each in (model, preprocess) if isinstance(each, keras.layers.Layer)]
        self._layers = [layer for each in asked for layer in each._flatten_layers()]
        self._parts = [(f"layer {layer.name!r}", layer) for layer in self._layers]
        self._lists, self._readers = [], []
        for layer in self._layers:
            of, names, held = f"of layer {layer.name!r}", _names_of(layer), vars(layer)
            variables = [layer._trainable_variables, layer._non_trainable_variables]
            self._parts += [(f"call {of}", _call_of(layer))]
            self._parts += [(f"a variable {of}", each) for each in chain(*variables)]
            self._parts += [(f"{name.strip('_')} {of}", held[name]) for name in names]
            self._lists += [layer._layers, *variables]
            self._readers.append((itemgetter(*names), held))
        self._seen = self._look()

    def change(self) -> str:
        """Say in a few words what is the first to be another by now; empty for nothing."""
        try:
            if self._look() == self._seen:
                return ""
        except Exception:  # What is missing by now, and what some things raise when compared.
            pass
        now = Structure(self._model, self._preprocess)
        if len(now._layers) != len(self._layers):
            return "its layers"
        for (_, value), (part, new) in zip(self._parts, now._parts, strict=False):
            if value is not new and not _is_alike(value, new):
                return part
        vars(self).update(vars(now))
        return ""

    def check(self) -> None:
        """Raise `InputError` if something was exchanged since."""
        if change := self.change():
            raise InputError(
                f"model {self._model.name!r} has changed since this explainer was made ({change}), "
                "which knows it as it was; make a new Explainer"
            )

    def _look(self) -> list[Any]:
        """All that is compared. It is read at each call, so it must cost little."""
        read = [read(held) for read, held in self._readers]
        return [*map(tuple, self._lists), *map(_call_of, self._layers), *read]


def _call_of(layer: Any) -> Any:
    """The function that a layer calls, which may be exchanged in its class or in itself."""
    return getattr(layer.call, "__func__", layer.call)


def _names_of(layer: Any) -> list[str]:
    """The attributes that say what a layer computes; of a model, its graph."""
    if isinstance(layer, keras.Model):
        return [name for name in ("_dtype_policy", "_functional") if name in vars(layer)]
    # A layer of the user's own may keep what changes with each call, a counter or an attention.
    kinds = COMPARED if type(layer).__module__.split(".")[0] == "keras" else ()
    public = [
        name
        for name, value in list(vars(layer).items())
        if name[0] != "_"
        and name not in BASE | TRAINING
        and (isinstance(value, kinds) or callable(value))
    ]
    return ["_dtype_policy", *public]


def _is_alike(one: Any, other: Any) -> bool:
    same_kind = type(one) is type(other) and isinstance(one, COMPARED)
    return same_kind and bool(np.array_equal(one, other))
