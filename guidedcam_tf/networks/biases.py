"""What the linear steps of a network add: written biases, and those inside batch normalisation."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.channels_first import turn
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait

TOLERANCE = 1e-2
"""How far a layer in half precision may be from its formula."""


def biased_steps(graph: Graph) -> list[Step]:
    """The steps W x + b that the logits depend on, in the order in which they run.

    They are convolutions and dense layers that have a bias, without the activation that they may
    hold, and batch normalisations.
    """
    return [step for step in graph.scoring_steps if _has_bias(step)]


def hidden_steps(graph: Graph) -> list[Step]:
    """The steps with weights that may add something that is no bias known of them."""
    return [
        step
        for step in graph.picture_steps
        if getattr(step.layer, "weights", None)
        and step.role in (Role.CALL, Role.LINEAR)
        and not _has_bias(step)
        and not (Trait.BIASED in step.traits or Trait.PREPARES in step.traits)
    ]


def bias_of(step: Step) -> tf.Tensor:
    """Return b of one of the `biased_steps`, float32, along the axis of the output it is added on.

    Along the other axes it has one place. Batch normalisation in inference mode, gamma (x - mu) /
    sqrt(var + eps) + beta, has the implicit bias beta - mu gamma / sqrt(var + eps).
    """
    layer = step.layer
    if isinstance(layer, keras.layers.BatchNormalization):
        return along(step, layer.axis, _implicit_bias(layer))
    first = getattr(layer, "data_format", "") == "channels_first"
    # Keras adds it on the last axis wherever that has as many places.
    return along(step, 1 if first and step.shape[-1] != layer.bias.shape[0] else -1, layer.bias)


def along(step: Step, axis: int, vector: Any) -> tf.Tensor:
    """Lay a vector, float32, along an axis of what the layer of a step sees."""
    shape = [1] * len(step.shape)
    shape[axis] = -1
    laid = tf.reshape(tf.cast(vector, tf.float32), shape)
    return turn(laid) if step.turned else laid


def _implicit_bias(layer: keras.layers.BatchNormalization) -> tf.Tensor:
    scale = tf.math.rsqrt(tf.cast(layer.moving_variance, tf.float32) + layer.epsilon)
    if layer.gamma is not None:
        scale *= tf.cast(layer.gamma, tf.float32)
    bias = -tf.cast(layer.moving_mean, tf.float32) * scale
    return bias if layer.beta is None else bias + tf.cast(layer.beta, tf.float32)


def _has_bias(step: Step) -> bool:
    layer: Any = step.layer
    if isinstance(layer, keras.layers.BatchNormalization):
        return Trait.LINEAR in step.traits or _is_plain(step)
    return Trait.BIASED in step.traits and layer.bias is not None


def _is_plain(step: Step) -> bool:
    """Whether a batch normalisation with a `call` of its own adds what others add, by value."""
    try:
        with tf.init_scope(), inference():
            bias = bias_of(step)
            some = tf.random.stateless_normal(bias.shape, (0, 1))
            zero, one, two = (np.asarray(step.call(k * some), np.float32) for k in (0.0, 1.0, 2.0))
    except Exception:  # What a call raises that takes more than one tensor of any extent.
        return False
    close = partial(np.allclose, rtol=TOLERANCE, atol=TOLERANCE * np.abs(two).max())
    return close(zero, bias) and close(two - zero, 2 * (one - zero))
