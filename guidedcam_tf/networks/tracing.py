"""The graph of a subclassed Keras model, read by calling it once on symbolic pictures."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
from keras.src.ops.function import Function

from guidedcam_tf.errors import InputError

TRACES = ("_inbound_nodes", "_outbound_nodes", "_losses")
"""What a symbolic call leaves on a layer: lists that only grow."""


def trace(model: keras.Model, shape: tuple[int | None, ...] | None = None) -> Any:
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
    shape = shape or _built_shape(model) or _input_shape(model)
    if shape is None:
        raise InputError(
            f"{expected}. Keras does not know the one shape that it was built with: "
            "call it once on a batch of pictures [N, H, W, C]"
        )
    with _without_trace(model):
        inputs = keras.Input(shape[1:], dtype=model.input_dtype)
        try:
            return Function(inputs, model.call(inputs, **_inference(model)))
        except Exception as error:  # What a user's own code raises on a symbolic tensor.
            reason = (str(error).strip().splitlines() or [""])[0]
            raise InputError(
                f"{expected}. Its call raised {type(error).__name__}: {reason}. "
                "Operations of keras.ops can be traced, those of TensorFlow cannot; or build the "
                "same network as a functional model"
            ) from error


def _built_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    shapes = list((getattr(model, "_build_shapes_dict", None) or {}).values())
    if len(shapes) != 1 or not isinstance(shapes[0], (tuple, list)):
        return None
    shape = tuple(shapes[0])
    return shape if all(side is None or isinstance(side, int) for side in shape) else None


def _input_shape(model: keras.Model) -> tuple[int | None, ...] | None:
    """The shape of the one input of a functional model with a `call` of its own."""
    inputs = getattr(model, "inputs", None) or []
    return tuple(inputs[0].shape) if len(inputs) == 1 else None


def _inference(model: keras.Model) -> dict[str, bool]:
    return {"training": False} if "training" in inspect.signature(model.call).parameters else {}


@contextmanager
def _without_trace(model: keras.Model) -> Iterator[None]:
    lists = [
        found
        for layer in model._flatten_layers()
        for name in TRACES
        if (found := getattr(layer, name, None)) is not None
    ]
    lengths = [len(found) for found in lists]
    try:
        yield
    finally:
        for found, length in zip(lists, lengths, strict=True):
            del found[length:]
