"""ReLUs that are written in another way than as Keras's, found by what they compute."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Step

SOME_EXTENT = 4
"""An extent that a model leaves open, where a step is tried out."""


def with_rectifiers(graph: Graph) -> Graph:
    """Return the graph with Keras's ReLU as the layer of each step that computes it.

    Such are a `Lambda` of `tf.nn.relu`, `ops.maximum(x, 0)`, and functions and layers of the
    user's. What has rules for ReLUs then has them for these.
    """
    steps = tuple(
        replace(step, layer=keras.layers.Activation("relu", name=step.layer.name))
        if _is_unknown(step) and _is_relu(step, graph)
        else step
        for step in graph.steps
    )
    return replace(graph, steps=steps)


def _is_unknown(step: Step) -> bool:
    """Whether it is a function of one tensor that is none of Keras's layers and activations.

    A LeakyReLU, whose leak may be none, counts as one.
    """
    layer: Any = step.layer
    if len(step.inputs) != 1 or layer is None:
        return False
    if step.role is Role.ACTIVATION or type(layer) is keras.layers.Activation:
        return not _is_keras(layer.activation)
    known = _is_keras(type(layer)) and isinstance(layer, keras.layers.Layer)
    is_open = type(layer) in (keras.layers.Lambda, keras.layers.LeakyReLU) or not known
    return step.role is Role.CALL and is_open and not getattr(layer, "weights", None)


def _is_keras(thing: Any) -> bool:
    return str(getattr(thing, "__module__", "")).startswith("keras.")


def _is_relu(step: Step, graph: Graph) -> bool:
    """Whether numbers of both signs, all exact in half precision, come out as of a ReLU."""
    source = graph.source(step.inputs[0])
    if source is None or source.shape != step.shape:
        return False
    shape = [side or SOME_EXTENT for side in source.shape]
    numbers = np.random.default_rng(0).integers(-64, 65, shape).astype(np.float32)
    try:
        with tf.init_scope(), inference():
            (found,) = step.run({step.inputs[0]: tf.constant(numbers)})
            return np.array_equal(tf.cast(found, tf.float32), np.maximum(numbers, 0))
    except Exception:  # What a user's layer raises on values that it does not expect.
        return False
