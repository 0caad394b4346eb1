"""A Keras model read as a flat list of steps that can be run, cut and watched.

This is the one file that reads Keras's graph of nodes. Everything else asks it for a named layer's
output, the logits, or a run. Reading changes nothing: no layer is called symbolically, so the
user's model gains no nodes, and layers are shared, never copied with their weights.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf
from keras.src.models.functional import Functional

from guidedcam_tf.errors import InputError
from guidedcam_tf.ops.pooling import adaptive_average_pool

LINEAR_PART = ":linear"
SCORE_ACTIVATIONS = ("softmax", "sigmoid", "log_softmax")
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
        layer: The Keras operation that the step belongs to.
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
    def is_activation(self) -> bool:
        """Whether the step is the activation that a layer holds."""
        return self.call is getattr(self.layer, "activation", None)


class Graph:
    """The steps of a model in an order in which they can be run.

    A model that is built for pictures of one size also runs at others, as far as its layers do: a
    `Flatten`, which ties what follows to one extent, first pools maps of another extent to its own.

    Args:
        model: A functional `keras.Model`, or a `keras.Sequential` that is built. Models nested
            inside it are read through; a subclassed model inside it is one step.

    Raises:
        InputError: If the model's graph is not known to Keras, or if it has several inputs or
            outputs.
    """

    def __init__(self, model: keras.Model) -> None:
        functional = _functional(model)
        if functional is None:
            raise InputError(
                f"model {model.name!r} ({type(model).__name__}) has no graph that Keras can show: "
                "expected a functional model, or a Sequential with an Input"
            )
        for what, tensors in (("input", functional.inputs), ("output", functional.outputs)):
            if len(tensors) != 1:
                raise InputError(
                    f"model {model.name!r} has {len(tensors)} {what}s ({_names(tensors)}); "
                    f"expected one {what}"
                )
        self.model = model
        self.steps: list[Step] = []
        self._count = 0
        self.input = self._new_slot()
        (self.output,) = self._read(functional, [self.input], prefix="")
        self._by_slot = {slot: step for step in self.steps for slot in step.outputs}
        self.input_shape = tuple(functional.inputs[0].shape)
        self.logits = self._logits()

    def _new_slot(self) -> Slot:
        self._count += 1
        return Slot(self._count - 1)

    def _read(self, functional: Any, inputs: list[Slot], prefix: str) -> list[Slot]:
        slots = dict(zip((id(tensor) for tensor in functional.inputs), inputs, strict=True))
        for depth in sorted(functional._nodes_by_depth, reverse=True):
            for node in functional._nodes_by_depth[depth]:
                if node.is_input or any(id(t) not in slots for t in node.input_tensors):
                    continue
                args, kwargs = node.arguments.convert(lambda x: slots.get(id(x), x))
                outputs = self._append(node, args, kwargs, prefix)
                slots.update(zip((id(tensor) for tensor in node.outputs), outputs, strict=True))
        return [slots[id(tensor)] for tensor in functional.outputs]

    def _append(self, node: Any, args: tuple, kwargs: dict, prefix: str) -> list[Slot]:
        layer, name = node.operation, prefix + node.operation.name
        if (inner := _functional(layer)) is not None:
            tensors = [leaf for leaf in keras.tree.flatten(args) if isinstance(leaf, Slot)]
            return self._read(inner, tensors, prefix=f"{name}/")
        outputs = tuple(self._new_slot() for _ in node.outputs)
        shape = tuple(node.outputs[0].shape)
        call = _inference_call(layer)
        if isinstance(layer, keras.layers.Flatten):
            call = _flatten_any_size(layer, tuple(node.input_tensors[0].shape))
        step = Step(name, layer, call, args, kwargs, outputs, shape)
        if isinstance(layer, keras.layers.Layer) and _holds_activation(layer):
            linear = (self._new_slot(),)
            without = _inference_call(_without_activation(layer))
            self.steps.append(replace(step, name=name + LINEAR_PART, call=without, outputs=linear))
            step = replace(step, call=layer.activation, args=linear, kwargs={})
        self.steps.append(step)
        return list(outputs)

    def _logits(self) -> Slot:
        """The scores before a final softmax or sigmoid, whichever way the model applies it."""
        last = self._by_slot.get(self.output)
        if last is not None and _is_score_activation(last):
            return last.inputs[0]
        return self.output

    @cached_property
    def scoring_steps(self) -> list[Step]:
        """The steps that the logits depend on, in the order in which they run."""
        return self._needed({self.logits}, available=set())

    def downstream(self, step: Step) -> list[Step]:
        """Return the steps between a step's output and the logits that depend on that output."""
        reached, found = set(step.outputs), []
        for later in self.scoring_steps:
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
        return layer._functional if layer.built else None
    keeps_call = isinstance(layer, Functional) and type(layer).call is Functional.call
    return layer if keeps_call else None


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


def _is_score_activation(step: Step) -> bool:
    activation = getattr(step.layer, "activation", None)
    name = getattr(activation, "__name__", "")
    return isinstance(step.layer, keras.layers.Softmax) or name in SCORE_ACTIVATIONS


def _names(tensors: list[Any]) -> str:
    return ", ".join(tensor.name for tensor in tensors)
