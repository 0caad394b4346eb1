"""The graph of a subclassed Keras model, read by calling it once on symbolic pictures."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import tensorflow as tf
from keras.src.ops.function import Function

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.calls import float32_inside

TRACES = ("_inbound_nodes", "_outbound_nodes", "_losses")
"""What a symbolic call leaves on a layer: lists that only grow."""

SCORES = "return_attention_scores"
"""What layers of attention call the argument that makes them return it."""


def nodes_of(functional: Any) -> list[Any]:
    """The calls that a functional model makes, in an order in which they can be run."""
    depths = sorted(functional._nodes_by_depth, reverse=True)
    return [node for depth in depths for node in functional._nodes_by_depth[depth]]


def values_in(node: Any) -> list[tf.Tensor]:
    """The numbers that a call gets: what was computed while the layer or model was read."""
    leaves = keras.tree.flatten((node.arguments.args, node.arguments.kwargs))
    return [leaf for leaf in leaves if tf.is_tensor(leaf)]


class Traced(Function):
    """What a subclassed model does, as a graph.

    What its `call` computes of weights alone, as `keras.ops.exp(self.scale)`, are numbers in the
    graph, and later weights are not seen in them.

    Args:
        model: The model.
        inputs: The symbolic pictures.
        outputs: What the model returned for them.
        tape: What recorded the call.
    """

    def __init__(
        self, model: keras.Model, inputs: Any, outputs: Any, tape: tf.GradientTape
    ) -> None:
        super().__init__(inputs, outputs)
        self._traced, self._shape = model, tuple(inputs.shape)
        weights = [weight.value for weight in model.weights]
        self.of_weights = [
            any(slope is not None for slope in tape.gradient(value, weights))
            for value in self.values
        ]

    @property
    def values(self) -> list[tf.Tensor]:
        """The numbers in the graph, in its order."""
        return [value for node in nodes_of(self) for value in values_in(node)]

    def values_of_now(self) -> list[tf.Tensor]:
        """The `values` that are made of weights, computed anew."""
        values = trace(self._traced, self._shape).values
        return [value for value, made in zip(values, self.of_weights, strict=True) if made]


def trace(model: keras.Model, shape: tuple[int | None, ...] | None = None) -> Traced:
    """Read what a subclassed model does as a graph of its layers and operations.

    The model's `call` runs once, in inference mode, on a symbolic tensor. What that leaves on the
    layers is taken away again.

    Args:
        model: A model that is built, so that calling it makes no weights.
        shape: The input's shape with the batch axis; by default the shape it was built with.

    Raises:
        InputError: If the model is not built, takes several inputs, or does something that Keras
            cannot follow symbolically.
    """
    expected = (
        f"model {model.name!r} ({type(model).__name__}) has no graph that Keras can show: "
        "expected a functional model, a Sequential, or a subclassed model that Keras can trace"
    )
    if isinstance(model, keras.Sequential) and not model.built:
        raise InputError(
            f"{expected}. This Sequential is not built: begin it with keras.Input((H, W, C)), or "
            "call model.build((None, H, W, C)) first"
        )
    if not model.built:
        raise InputError(f"{expected}. It is not built: call it once on a batch of pictures first")
    if further := _further_inputs(model):
        raise InputError(
            f"{expected}. Its call takes further inputs, {', '.join(further)}: build a functional "
            "model of it, inputs = [keras.Input((H, W, C)), ...] and keras.Model(inputs, "
            "model.call(*inputs))"
        )
    shape = shape or _built_shape(model) or _input_shape(model)
    if shape is None:
        raise InputError(f"{expected}. {_why_no_shape(model)}")
    with _without_trace(model):
        inputs = keras.Input(shape[1:], dtype=model.input_dtype)
        try:
            with tf.GradientTape(persistent=True) as tape:
                for weight in model.weights:
                    tape.watch(weight.value)
                outputs = model.call(inputs, **_inference(model))
            return Traced(model, inputs, outputs, tape)
        except Exception as error:  # What a user's own code raises on a symbolic tensor.
            raise InputError(
                f"{expected}. Its call raised {type(error).__name__}: {reason_of(error)}. "
                "Operations of keras.ops can be traced, those of TensorFlow cannot; or build the "
                "same network as a functional model"
            ) from error


def trace_layer(node: Any) -> tuple[Any, list[Any]] | None:
    """Read what a layer made of other layers does when a node calls it, as a graph of these.

    A layer whose blocks return `None` in the attention's place is asked for the attention.

    Returns:
        The graph, and the layer's outputs in their order: a tensor of the graph, or a value that is
        the same for all pictures. `None` if Keras cannot follow the layer symbolically, or if it
        does not compute in its variables' dtype.
    """
    layer = node.operation
    with _without_trace(layer), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if layer.compute_dtype != layer.variable_dtype:
            return None
        try:
            return _called(node, {})
        except Exception:  # What the layer's own code raises on a symbolic tensor.
            pass
        rest = [tuple(tensor.shape) for tensor in node.outputs[1:]]
        if SCORES not in inspect.signature(layer.call).parameters or not all(0 in s for s in rest):
            return None
        try:
            function, outputs = _called(node, {SCORES: True})
        except Exception:
            return None
        return function, [outputs[0], *map(keras.ops.zeros, rest)]


def _called(node: Any, added: dict[str, Any]) -> tuple[Any, list[Any]]:
    symbols: dict[int, Any] = {}

    def symbol(tensor: Any) -> Any:
        if not isinstance(tensor, keras.KerasTensor):
            return tensor
        return symbols.setdefault(id(tensor), keras.Input(tensor.shape[1:], dtype=tensor.dtype))

    args, kwargs = node.arguments.convert(symbol)
    call = node.operation.call
    outputs = keras.tree.flatten(call(*args, **{**kwargs, **_inference(node.operation), **added}))
    tensors = [each for each in outputs if isinstance(each, keras.KerasTensor)]
    return Function(list(symbols.values()), tensors), outputs


def _built_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    if len(shapes) != 1 or not isinstance(shapes[0], (tuple, list)):
        return None
    shape = tuple(shapes[0])
    return shape if all(side is None or isinstance(side, int) for side in shape) else None


def _further_inputs(model: keras.Model) -> list[str]:
    """What a model's `call` needs beside its first argument."""
    many = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [
        each.name
        for each in inspect.signature(model.call).parameters.values()
        if each.default is inspect.Parameter.empty and each.kind not in many
    ]
    return [name for name in needed[1:] if name != "training"]


def _why_no_shape(model: keras.Model) -> str:
    for shape in (getattr(model, "_build_shapes_dict", None) or {}).values():
        if isinstance(shape, dict) or any(isinstance(side, (tuple, list)) for side in shape or ()):
            return (
                f"It was called on a dict or a list, of shapes {shown(shape)}: build a functional "
                "model of its call, inputs = {'image': keras.Input((H, W, C), name='image'), ...} "
                "or a list, and keras.Model(inputs, model.call(inputs))"
            )
    return (
        "Keras does not know the one shape that it was built with: call it once on a batch of "
        "pictures [N, H, W, C]"
    )


def _input_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    """The shape of the one input of a functional model with a `call` of its own."""
    inputs = getattr(model, "inputs", None) or []
    return tuple(inputs[0].shape) if len(inputs) == 1 else None


def _inference(model: keras.layers.Layer) -> dict[str, bool]:
    return {"training": False} if "training" in inspect.signature(model.call).parameters else {}


@contextmanager
def _without_trace(model: keras.layers.Layer) -> Iterator[None]:
    lists = [
        found
        for layer in model._flatten_layers()
        for name in TRACES
        if (found := getattr(layer, name, None)) is not None
    ]
    lengths = [len(found) for found in lists]
    try:
        with float32_inside():
            yield
    finally:
        for found, length in zip(lists, lengths, strict=True):
            del found[length:]
