"""A Keras model read as a flat graph.

Reading changes nothing: no layer is called symbolically, so the user's model gains no nodes (a
subclassed model is called, and what that leaves is taken away), and layers are shared, never copied
with their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import tensorflow as tf
from keras.src.ops.numpy import Reshape

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.calls import flatten_any_size
from guidedcam_tf.networks.calls import inference_call
from guidedcam_tf.networks.calls import keeping_mask
from guidedcam_tf.networks.calls import reshape_pictures
from guidedcam_tf.networks.calls import without_activation
from guidedcam_tf.networks.channels_first import channels_last_call
from guidedcam_tf.networks.channels_first import channels_last_shape
from guidedcam_tf.networks.channels_first import channels_last_twin
from guidedcam_tf.networks.channels_first import is_channels_first
from guidedcam_tf.networks.channels_first import keeps_its_order
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.keras_graph import all_layers
from guidedcam_tf.networks.keras_graph import call_names
from guidedcam_tf.networks.keras_graph import functional_of
from guidedcam_tf.networks.keras_graph import inner_inputs
from guidedcam_tf.networks.keras_graph import inner_layer
from guidedcam_tf.networks.keras_graph import inner_model
from guidedcam_tf.networks.outputs import find_all_logits
from guidedcam_tf.networks.outputs import find_logits
from guidedcam_tf.networks.picture_values import value_for
from guidedcam_tf.networks.ports import check_fixed_names
from guidedcam_tf.networks.ports import choose
from guidedcam_tf.networks.ports import choose_picture
from guidedcam_tf.networks.ports import fixed_value
from guidedcam_tf.networks.ports import for_each
from guidedcam_tf.networks.ports import named_inputs
from guidedcam_tf.networks.ports import named_outputs
from guidedcam_tf.networks.rectifiers import with_rectifiers
from guidedcam_tf.networks.tracing import Traced
from guidedcam_tf.networks.tracing import nodes_of
from guidedcam_tf.networks.tracing import trace
from guidedcam_tf.networks.traits import holds_activation

NO_SAVED_MODEL = (
    "It is a SavedModel, a compiled function whose layers cannot be seen; load the .keras or .h5 "
    "file that it was exported from, or build the network and load its weights"
)


def read_graph(
    model: keras.Model,
    *,
    input: str | None = None,
    output: str | None = None,
    fixed_inputs: Mapping[str, Any] | None = None,
) -> Graph:
    """Read a model's graph.

    A model that is built for pictures of one size also runs at others, as far as its layers do: a
    `Flatten`, which ties what follows to one extent, first pools maps of another extent to its own.
    A network whose data is channels-first is read as the channels-last network that it equals.

    Args:
        model: A functional `keras.Model`, a `keras.Sequential` that is built, or a subclassed model
            that is built and that Keras can trace. Models nested inside it are read through; one
            that cannot be traced is one step.
        input: The name of the picture's input where several inputs may be that.
        output: The name of the output to explain where the model has several outputs, as
            `named_outputs` gives it; by default all, for targets that are made of several.
        fixed_inputs: By name, what the other inputs get: for all pictures the same, so without the
            batch axis or with one of length 1. Those that are left out have a value for each
            picture.

    Raises:
        InputError: If the model's graph is not known to Keras, or if it has several inputs and the
            names do not say what each is for.
    """
    functional = functional_of(model) or trace(model)
    if any(isinstance(layer, keras.layers.TFSMLayer) for layer in all_layers(functional)):
        raise InputError(f"model {model.name!r} holds a TFSMLayer. {NO_SAVED_MODEL}")
    inputs, outputs = named_inputs(functional), named_outputs(functional)
    explained = choose_picture(inputs, input, fixed_inputs, model.name)
    all_of_them = output is None and len(outputs) > 1
    wanted = outputs[0][1] if all_of_them else choose("output", outputs, output, model.name)
    reader = _Reader(is_channels_first(all_layers(functional)))
    picture = reader.new_slot()
    slots, specs = [], {}
    for name, tensor in inputs:
        if tensor is explained:
            slots.append(picture)
            picture_name = name
        elif name in (fixed_inputs or {}):
            value = fixed_value(name, tensor, (fixed_inputs or {})[name])
            slots.append(reader.fixed(name, picture, tf.constant(value, tensor.dtype)))
        else:
            specs[name] = tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
            slots.append(reader.of_pictures(name, picture, specs[name]))
    check_fixed_names(fixed_inputs, [name for name, tensor in inputs if tensor is not explained])
    found = reader.read(functional, slots, prefix="")
    place = [tensor is wanted for _, tensor in outputs].index(True)
    steps, end = tuple(reader.steps), found[place]
    shapes = reader.shape(explained), reader.shape(wanted)
    graph = with_rectifiers(
        Graph(steps, picture, end, end, *shapes, specs=specs, picture_name=picture_name)
    )
    if not isinstance(functional, Traced):  # Which takes what it gets.
        graph = replace(graph, picture_dtype=tf.as_dtype(explained.dtype))
    if not all_of_them:
        return find_logits(graph)
    ends = {
        name: (slot, reader.shape(tensor))
        for (name, tensor), slot in zip(outputs, found, strict=True)
    }
    return find_all_logits(graph, ends)


class _Reader:
    """Makes steps of Keras's nodes."""

    def __init__(self, channels_first: bool) -> None:
        self.steps: list[Step] = []
        self._channels_first = channels_first
        self._count = 0

    def new_slot(self) -> Slot:
        self._count += 1
        return Slot(self._count - 1)

    def shape(self, tensor: Any) -> tuple[int | None, ...]:
        shape = tuple(tensor.shape)
        return channels_last_shape(shape) if self._channels_first else shape

    def fixed(self, name: str, picture: Slot, value: tf.Tensor) -> Slot:
        """Add a step that repeats an input's one value for each picture."""
        shape = (None, *value.shape)
        if self._channels_first and value.shape.rank == 3:
            value, shape = tf.transpose(value, [1, 2, 0]), channels_last_shape(shape)
        slot = self.new_slot()
        call = partial(for_each, value)
        self.steps.append(Step(name, None, call, (picture,), {}, (slot,), shape, Role.FIXED))
        return slot

    def of_pictures(self, name: str, picture: Slot, spec: tf.TensorSpec) -> Slot:
        """Add a step that gives an input the value that comes with each picture."""
        turned = self._channels_first and spec.shape.rank == 4

        def call(pictures: tf.Tensor) -> tf.Tensor:
            value = value_for(name, spec, pictures)
            return tf.transpose(value, [0, 2, 3, 1]) if turned else value

        shape, slot = tuple(spec.shape), self.new_slot()
        shape = channels_last_shape(shape) if turned else shape
        self.steps.append(Step(name, None, call, (picture,), {}, (slot,), shape, Role.FIXED))
        return slot

    def read(self, functional: Any, inputs: list[Slot], prefix: str) -> list[Slot]:
        slots = dict(zip((id(tensor) for tensor in functional.inputs), inputs, strict=True))
        names = call_names(functional)
        if isinstance(functional, Traced):
            slots.update(self._of_weights(functional, prefix))
        for node in nodes_of(functional):
            if node.is_input or any(id(t) not in slots for t in node.input_tensors):
                continue
            args, kwargs = node.arguments.convert(lambda x: slots.get(id(x), x))
            outputs = self._append(node, args, kwargs, prefix + names[id(node)])
            slots.update(zip((id(tensor) for tensor in node.outputs), outputs, strict=True))
        return [slots[id(tensor)] for tensor in functional.outputs]

    def _of_weights(self, traced: Traced, prefix: str) -> dict[int, Slot]:
        """Add a step that computes what is made of weights alone, so that it sees them change."""
        values = [v for v, made in zip(traced.values, traced.of_weights, strict=True) if made]
        if not values:
            return {}
        slots, name = tuple(self.new_slot() for _ in values), f"{prefix}weights"
        call, shape = traced.values_of_now, tuple(values[0].shape)
        self.steps.append(Step(name, None, call, (), {}, slots, shape, Role.FIXED))
        return {id(value): slot for value, slot in zip(values, slots, strict=True)}

    def _append(
        self, node: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str
    ) -> list[Slot]:
        if (inner := inner_model(node)) is not None:
            given = inner_inputs(inner, args, kwargs)
            if given is not None and all(isinstance(each, Slot) for each in given):
                return self.read(inner, given, prefix=f"{name}/")
        if (opened := inner_layer(node)) is not None:
            given = list(dict.fromkeys(_slots_in(args, kwargs)))
            if len(given) == len(opened[0].inputs):
                return self._read_layer(node, opened, given, name)
        own, outputs = node.operation, tuple(self.new_slot() for _ in node.outputs)
        layer = channels_last_twin(own) if self._channels_first else own
        shape = self.shape(node.outputs[0])
        turned = self._channels_first and keeps_its_order(own, layer)
        call = _calling(layer, turned)
        step = Step(name, layer, call, args, kwargs, outputs, shape, turned=turned)
        if isinstance(own, Reshape) and None in own.newshape and not self._channels_first:
            step = replace(step, call=partial(reshape_pictures, newshape=own.newshape))
        keeps_order = layer is not own or not self._channels_first
        if type(layer) is keras.layers.Flatten and keeps_order:
            call = flatten_any_size(layer, self.shape(node.input_tensors[0]))
            step = replace(step, call=call)
        if holds_activation(layer):
            linear = (self.new_slot(),)
            call = _calling(without_activation(layer), turned)
            self.steps.append(replace(step, call=call, outputs=linear, role=Role.LINEAR))
            call = keeping_mask(layer.activation)
            step = replace(step, call=call, args=linear, kwargs={}, role=Role.ACTIVATION)
        self.steps.append(step)
        return list(outputs)

    def _read_layer(
        self, node: Any, opened: tuple[Any, list[Any]], given: list[Slot], name: str
    ) -> list[Slot]:
        """Add the steps inside a layer, and one under its own name that has their outputs.

        Of several that are tensors it has the first alone, so that no path seems to pass through it
        that does not.
        """
        function, returned = opened
        found = self.read(function, given, prefix=f"{name}/")
        slots = dict(zip((id(tensor) for tensor in function.outputs), found, strict=True))
        args = tuple(slots.get(id(each), each) for each in returned)
        through = 1 if all(isinstance(each, Slot) for each in args) else len(args)
        outputs = tuple(self.new_slot() for _ in args[:through])
        shape = self.shape(node.outputs[0])
        end = Step(name, node.operation, _handed_on, args[:through], {}, outputs, shape, Role.END)
        self.steps.append(end)
        return [*outputs, *args[through:]]


def _calling(layer: Any, turned: bool) -> Callable[..., Any]:
    call = inference_call(layer)
    return channels_last_call(call) if turned else call


def _slots_in(args: tuple[Any, ...], kwargs: dict[str, Any]) -> list[Slot]:
    return [leaf for leaf in keras.tree.flatten((args, kwargs)) if isinstance(leaf, Slot)]


def _handed_on(*values: Any) -> list[Any]:
    """What a layer returns, from what was computed inside it."""
    return list(values)
