"""A Keras model read as a flat list of steps that can be run, cut and watched.

This is the one file that reads Keras's graph of nodes. Everything else asks it for a named layer's
output, the logits, or a run. Reading changes nothing: no layer is called symbolically, so the
user's model gains no nodes (a subclassed model is called, and what that leaves is taken away), and
layers are shared, never copied with their weights.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.models.functional import Functional

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.channels_first import channels_last_call
from guidedcam_tf.networks.channels_first import channels_last_shape
from guidedcam_tf.networks.channels_first import channels_last_twin
from guidedcam_tf.networks.channels_first import is_channels_first
from guidedcam_tf.networks.scores import Score
from guidedcam_tf.networks.scores import score_all
from guidedcam_tf.networks.tracing import trace
from guidedcam_tf.ops.pooling import adaptive_average_pool

LINEAR_PART = ":linear"
SCORE_ACTIVATIONS = {"softmax": "softmax", "log_softmax": "softmax", "sigmoid": "sigmoid"}
"""Activations that turn scores into probabilities, by name, and what makes these from scores."""
KEEPS_SCORES = (
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Identity,
    keras.layers.Reshape,
)
"""Layers that leave the numbers of a picture as they are, and in their order."""
NO_SAVED_MODEL = (
    "It is a SavedModel, a compiled function whose layers cannot be seen; load the .keras or .h5 "
    "file that it was exported from, or build the network and load its weights"
)
TARGET = "target function"
"""What the step of `Graph.scored_by` is called."""
NONNEGATIVE_ACTIVATIONS = ("relu", "relu6", "sigmoid", "hard_sigmoid", "softplus", "softmax")
KEEPS_NONNEGATIVE = (
    keras.layers.Add,
    keras.layers.AveragePooling2D,
    keras.layers.Concatenate,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.GlobalAveragePooling2D,
    keras.layers.GlobalMaxPooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.Reshape,
    keras.layers.SpatialDropout2D,
    keras.layers.ZeroPadding2D,
)
"""Layers whose output is not negative where their inputs are not."""


@dataclass(frozen=True)
class Slot:
    """The place of one tensor in a run: `index` counts the tensors of the flat graph."""

    index: int


@dataclass(frozen=True, eq=False)
class Step:
    """One call of an operation.

    Attributes:
        name: The layer's path, such as `"conv5_block3_out"` or `"resnet50/conv5_block3_out"`.
            Where a layer holds its activation, the linear part is a step of its own whose name
            ends in `":linear"`, and the layer's name means the output after the activation.
        layer: The Keras operation that the step belongs to; `None` where there is none.
        call: What computes the step's value.
        args, kwargs: The call's arguments, with a `Slot` wherever a tensor goes.
        outputs: The slots that the call fills.
        shape: The static shape of the first output, `None` where unknown.
    """

    name: str
    layer: Any
    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Slot, ...]
    shape: tuple[int | None, ...]

    @cached_property
    def inputs(self) -> tuple[Slot, ...]:
        """The slots that the step reads."""
        leaves = keras.tree.flatten((self.args, dict(self.kwargs)))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Slot))

    @property
    def is_linear_part(self) -> bool:
        """Whether the step is a layer without the activation that the layer holds."""
        return self.name.endswith(LINEAR_PART)

    @property
    def is_fixed_input(self) -> bool:
        """Whether the step is an input that is the same for all pictures."""
        return isinstance(self.call, partial) and self.call.func is _for_each

    @property
    def is_activation(self) -> bool:
        """Whether the step is the activation that a layer holds."""
        return self.layer is not None and self.call is getattr(self.layer, "activation", None)


class Graph:
    """The steps of a model in an order in which they can be run.

    A model that is built for pictures of one size also runs at others, as far as its layers do: a
    `Flatten`, which ties what follows to one extent, first pools maps of another extent to its own.
    A network whose data is channels-first is read as the channels-last network that it equals.

    Args:
        model: A functional `keras.Model`, a `keras.Sequential` that is built, or a subclassed model
            that is built and that Keras can trace. Models nested inside it are read through; one
            that cannot be traced is one step.
        input: The name of the picture's input where the model has several inputs.
        output: The name of the output to explain where the model has several outputs.
        fixed_inputs: By name, what the other inputs get: for all pictures the same, so without the
            batch axis or with one of length 1.

    Raises:
        InputError: If the model's graph is not known to Keras, or if it has several inputs or
            outputs and the names do not say what each is for.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        input: str | None = None,
        output: str | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        functional = _functional(model) or trace(model)
        if any(isinstance(layer, keras.layers.TFSMLayer) for layer in _all_layers(functional)):
            raise InputError(f"model {model.name!r} holds a TFSMLayer. {NO_SAVED_MODEL}")
        inputs = _named(functional.inputs, functional._inputs_struct)
        outputs = _named(functional.outputs, functional._outputs_struct)
        explained = _choose("input", inputs, input, model)
        wanted = _choose("output", outputs, output, model)
        self.model = model
        self.channels_first = is_channels_first(_all_layers(functional))
        self.steps: list[Step] = []
        self._count = 0
        self.input = self._new_slot()
        self.input_shape = self._shape(explained)
        slots = [
            self.input if tensor is explained else self._fixed(name, tensor, fixed_inputs)
            for name, tensor in inputs
        ]
        _check_names(fixed_inputs, [name for name, tensor in inputs if tensor is not explained])
        found = self._read(functional, slots, prefix="")
        places = [tensor is wanted for _, tensor in outputs]
        self.output = found[places.index(True)]
        self.output_shape = self._shape(wanted)
        self._by_slot = {slot: step for step in self.steps for slot in step.outputs}
        self.logits, self.score_activation = self._logits()

    def _new_slot(self) -> Slot:
        self._count += 1
        return Slot(self._count - 1)

    def _shape(self, tensor: Any) -> tuple[int | None, ...]:
        shape = tuple(tensor.shape)
        return channels_last_shape(shape) if self.channels_first else shape

    def _fixed(self, name: str, tensor: Any, values: Mapping[str, Any] | None) -> Slot:
        """Add a step that repeats an input's one value for each picture."""
        expected = tuple(tensor.shape[1:])
        if values is None or name not in values:
            raise InputError(
                f"model {self.model.name!r} has a second input {name!r}: give it a value of shape "
                f"{expected} with fixed_inputs={{{name!r}: array}}"
            )
        value = np.asarray(values[name])
        if value.ndim == len(expected) + 1 and len(value) == 1:
            value = value[0]
        if value.ndim != len(expected) or any(
            side not in (None, actual) for side, actual in zip(expected, value.shape, strict=True)
        ):
            raise InputError(
                f"fixed_inputs[{name!r}] must have the shape {expected}, the same for all "
                f"pictures; received {value.shape}"
            )
        shape = (None, *value.shape)
        if self.channels_first and value.ndim == 3:
            value, shape = value.transpose(1, 2, 0), channels_last_shape(shape)
        slot, call = self._new_slot(), partial(_for_each, tf.constant(value, tensor.dtype))
        self.steps.append(Step(name, None, call, (self.input,), {}, (slot,), shape))
        return slot

    def _read(self, functional: Any, inputs: list[Slot], prefix: str) -> list[Slot]:
        slots = dict(zip((id(tensor) for tensor in functional.inputs), inputs, strict=True))
        for node in _nodes(functional):
            if node.is_input or any(id(t) not in slots for t in node.input_tensors):
                continue
            args, kwargs = node.arguments.convert(lambda x: slots.get(id(x), x))
            outputs = self._append(node, args, kwargs, prefix)
            slots.update(zip((id(tensor) for tensor in node.outputs), outputs, strict=True))
        return [slots[id(tensor)] for tensor in functional.outputs]

    def _append(self, node: Any, args: tuple, kwargs: dict, prefix: str) -> list[Slot]:
        layer, name = node.operation, prefix + node.operation.name
        if (inner := _inner_model(node)) is not None:
            tensors = [leaf for leaf in keras.tree.flatten(args) if isinstance(leaf, Slot)]
            return self._read(inner, tensors, prefix=f"{name}/")
        outputs = tuple(self._new_slot() for _ in node.outputs)
        own, layer = layer, channels_last_twin(layer) if self.channels_first else layer

        def calling(layer: Any) -> Callable[..., Any]:
            call = _inference_call(layer)
            return channels_last_call(own, layer, call) if self.channels_first else call

        call = calling(layer)
        keeps_order = layer is not own or not self.channels_first
        if isinstance(layer, keras.layers.Flatten) and keeps_order:
            call = _flatten_any_size(layer, self._shape(node.input_tensors[0]))
        step = Step(name, layer, call, args, kwargs, outputs, self._shape(node.outputs[0]))
        if isinstance(layer, keras.layers.Layer) and _holds_activation(layer):
            linear = (self._new_slot(),)
            without = calling(_without_activation(layer))
            self.steps.append(replace(step, name=name + LINEAR_PART, call=without, outputs=linear))
            step = replace(step, call=layer.activation, args=linear, kwargs={})
        self.steps.append(step)
        return list(outputs)

    def _logits(self) -> tuple[Slot, str]:
        """The scores before a final softmax or sigmoid, whichever way the model applies it.

        What only reshapes the probabilities then reshapes the scores; what casts them is left out.
        """
        last = self._by_slot.get(self.output)
        reshaping: list[Step] = []
        while last is not None and (source := self._handed_on(last)) is not None:
            if last.shape != source.shape:
                reshaping.append(last)
            last = source
        activation = "" if last is None else _score_activation(last)
        if last is None or not activation:
            return self.output, ""
        scores = last.inputs[0]
        for step in reversed(reshaping):
            slot = self._new_slot()
            step = replace(step, args=(scores, *step.args[1:]), outputs=(slot,))
            self.steps.append(step)
            self._by_slot[slot], scores = step, slot
        return scores, activation

    def _handed_on(self, step: Step) -> Step | None:
        """The step whose scores a step hands on, but for their shape or dtype, if it does that."""
        layer = step.layer
        is_linear = isinstance(layer, keras.layers.Activation) and (
            layer.activation is keras.activations.linear
        )
        hands_on = is_linear or isinstance(layer, KEEPS_SCORES) or type(layer).__name__ == "Cast"
        if not hands_on or step.args[:1] != step.inputs:
            return None
        source = self._by_slot.get(step.inputs[0])
        return source if source is not None and source.shape[-1] == step.shape[-1] else None

    def scored_by(self, scores: Sequence[Score]) -> Graph:
        """Return the graph with the scores of the logits in the logits' place.

        Args:
            scores: Functions that turn the logits, float32, into one number for each picture.

        Returns:
            A graph with the same steps and one more, whose logits are `[N, len(scores)]`.
        """
        twin = copy.copy(self)
        twin.__dict__.pop("scoring_steps", None)
        slot, shape = twin._new_slot(), (None, len(scores))
        step = Step(TARGET, None, partial(score_all, scores), (self.logits,), {}, (slot,), shape)
        twin.steps = [*self.steps, step]
        twin._by_slot = {**self._by_slot, slot: step}
        twin.output = twin.logits = slot
        twin.output_shape = shape
        return twin

    @cached_property
    def scoring_steps(self) -> list[Step]:
        """The steps that the logits depend on, in the order in which they run."""
        return self._needed({self.logits}, available=set())

    @cached_property
    def picture_steps(self) -> list[Step]:
        """Those of the `scoring_steps` that depend on the picture, not on fixed inputs alone."""
        return self._reached([self.input])

    def downstream(self, step: Step) -> list[Step]:
        """Return the steps between a step's output and the logits that depend on that output."""
        return self._reached(step.outputs)

    def _reached(self, slots: Sequence[Slot]) -> list[Step]:
        reached, found = set(slots), []
        for later in self.scoring_steps:
            if later.is_fixed_input:
                continue
            if reached.intersection(later.inputs):
                reached.update(later.outputs)
                found.append(later)
        return found

    def frontier(self, step: Step) -> list[Slot]:
        """Return what else crosses from before a step's first output to the logits.

        With these tensors and that output given, `run` computes the logits from the steps after it
        alone. The list is empty where the output is a cut of the graph.
        """
        later = self.downstream(step)
        made = {step.outputs[0]}.union(*(each.outputs for each in later))
        read = dict.fromkeys(slot for each in later for slot in each.inputs)
        return [slot for slot in read if slot not in made]

    def source(self, slot: Slot) -> Step | None:
        """Return the step that fills a slot; `None` for the model's input."""
        return self._by_slot.get(slot)

    def is_nonnegative(self, step: Step) -> bool:
        """Whether a step's output is certain not to be negative, as after a ReLU.

        That is so for activation functions without negative values, and for pooling, sums and
        concatenations of what is not negative.
        """
        if isinstance(step.layer, keras.layers.ReLU):
            return not step.layer.negative_slope
        if step.is_activation or isinstance(step.layer, keras.layers.Activation):
            return getattr(step.layer.activation, "__name__", "") in NONNEGATIVE_ACTIVATIONS
        sources = [self._by_slot.get(slot) for slot in step.inputs]
        return isinstance(step.layer, KEEPS_NONNEGATIVE) and all(
            source is not None and self.is_nonnegative(source) for source in sources
        )

    def _needed(self, wanted: set[Slot], available: set[Slot]) -> list[Step]:
        missing, steps = set(wanted) - available, []
        for step in reversed(self.steps):
            if missing.intersection(step.outputs):
                steps.append(step)
                missing.difference_update(step.outputs)
                missing.update(set(step.inputs) - available)
        return steps[::-1]

    def run(
        self,
        values: Mapping[Slot, tf.Tensor],
        wanted: list[Slot],
        edits: Mapping[Slot, Callable[[tf.Tensor], tf.Tensor]] | None = None,
    ) -> list[tf.Tensor]:
        """Compute tensors of the model, in inference mode.

        Args:
            values: What is known: the model's input, or a layer's output to go on from.
            wanted: The slots to compute.
            edits: What to do to a computed tensor before anything reads it.

        Returns:
            One tensor for each wanted slot, with the dtype that the model's policy gives it.
        """
        known = dict(values)
        for step in self._needed(set(wanted), available=set(known)):
            args, kwargs = keras.tree.map_structure(
                lambda leaf: known[leaf] if isinstance(leaf, Slot) else leaf,
                (step.args, dict(step.kwargs)),
            )
            outputs = keras.tree.flatten(step.call(*args, **kwargs))
            for slot, tensor in zip(step.outputs, outputs, strict=True):
                known[slot] = edits[slot](tensor) if edits and slot in edits else tensor
        return [known[slot] for slot in wanted]


def _functional(layer: Any) -> Any:
    """The layer as a functional model if Keras runs it as one, else `None`."""
    if isinstance(layer, keras.Sequential):
        keeps_call = type(layer).call is keras.Sequential.call
        return layer._functional if layer.built and keeps_call else None
    keeps_call = isinstance(layer, Functional) and type(layer).call is Functional.call
    return layer if keeps_call else None


def _inner_model(node: Any) -> Any:
    """The graph of a model that a node calls; `None` for anything else, and where there is none."""
    model = node.operation
    if (functional := _functional(model)) is not None or not isinstance(model, keras.Model):
        return functional
    try:
        return trace(model, tuple(node.input_tensors[0].shape))
    except InputError:
        return None


def _nodes(functional: Any) -> list[Any]:
    """The calls that a functional model makes, in an order in which they can be run."""
    depths = sorted(functional._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in functional._nodes_by_depth[depth]]


def _all_layers(functional: Any) -> Iterator[Any]:
    for node in _nodes(functional):
        inner = _functional(node.operation)
        yield from _all_layers(inner) if inner is not None else [node.operation]


def _named(tensors: Sequence[Any], struct: Any) -> list[tuple[str, Any]]:
    """A model's inputs or outputs by the names that its user gave them."""
    keys = {id(t): str(key) for key, t in struct.items()} if isinstance(struct, dict) else {}
    return [(keys.get(id(t), t._keras_history.operation.name), t) for t in tensors]


def _choose(what: str, named: list[tuple[str, Any]], wanted: str | None, model: keras.Model) -> Any:
    """The one input or output that a name means. Raises `InputError` if it means none."""
    names = ", ".join(name for name, _ in named)
    if wanted is None and len(named) == 1:
        return named[0][1]
    if wanted is None:
        raise InputError(
            f"model {model.name!r} has {len(named)} {what}s ({names}); "
            f"expected one {what}, or {what}= with the name of the one to explain"
        )
    if wanted not in dict(named):
        raise InputError(f"model {model.name!r} has no {what} {wanted!r}; expected one of {names}")
    return dict(named)[wanted]


def _check_names(values: Mapping[str, Any] | None, names: list[str]) -> None:
    for name in values or {}:
        if name not in names:
            raise InputError(
                f"fixed_inputs[{name!r}] is no other input of the model; "
                f"expected {', '.join(names) or 'none'}"
            )


def _for_each(value: tf.Tensor, pictures: tf.Tensor) -> tf.Tensor:
    return tf.repeat(value[None], tf.shape(pictures)[0], axis=0)


def _holds_activation(layer: keras.layers.Layer) -> bool:
    activation = getattr(layer, "activation", None)
    is_activation_layer = isinstance(layer, keras.layers.Activation)
    return (
        callable(activation)
        and activation is not keras.activations.linear
        and not is_activation_layer
    )


def _without_activation(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same layer with the same variables and a linear activation; `layer` is untouched.

    A shallow copy made by hand: Keras's own `copy` saves and loads the whole layer.
    """
    twin = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    twin.__dict__["activation"] = keras.activations.linear
    return twin


def _inference_call(layer: Any) -> Callable[..., Any]:
    if not isinstance(layer, keras.layers.Layer) or not layer._call_has_training_arg:
        return layer

    def call(*args: Any, **kwargs: Any) -> Any:
        return layer(*args, **{**kwargs, "training": False})

    return call


def _flatten_any_size(layer: keras.layers.Flatten, shape: tuple[int | None, ...]) -> Any:
    """Flatten maps of any extent to the number of values that the layers after it are built for.

    Maps `[N, h, w, K]` of another extent than in `shape` are first pooled to that extent, as
    torchvision's VGG does. Maps of that very extent are left alone.
    """
    if len(shape) != 4 or shape[1] is None or shape[2] is None:
        return layer
    extent = (shape[1], shape[2])

    def call(maps: tf.Tensor) -> tf.Tensor:
        if tuple(maps.shape[1:3]) != extent:
            maps = adaptive_average_pool(maps, extent)
        return layer(maps)

    return call


def _score_activation(step: Step) -> str:
    """What makes probabilities of a step's input: `"softmax"`, `"sigmoid"`, or `""` for neither."""
    activation = getattr(step.layer, "activation", None)
    name = getattr(activation, "__name__", "")
    # A layer Softmax, or the operations that keras.ops.softmax and its like are.
    kind = {"LogSoftmax": "log_softmax"}.get(type(step.layer).__name__, type(step.layer).__name__)
    return SCORE_ACTIVATIONS.get(name) or SCORE_ACTIVATIONS.get(kind.lower(), "")
