"""What the linear steps of a network add: written biases, and those inside batch normalisation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait


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
    """Return b of one of the `biased_steps`, float32, one value a channel or unit.

    Batch normalisation in inference mode, gamma (x - mu) / sqrt(var + eps) + beta, has the implicit
    bias beta - mu gamma / sqrt(var + eps).
    """
    layer = step.layer
    if not isinstance(layer, keras.layers.BatchNormalization):
        return tf.cast(layer.bias, tf.float32)
    scale = tf.math.rsqrt(tf.cast(layer.moving_variance, tf.float32) + layer.epsilon)
    if layer.gamma is not None:
        scale *= tf.cast(layer.gamma, tf.float32)
    bias = -tf.cast(layer.moving_mean, tf.float32) * scale
    return bias if layer.beta is None else bias + tf.cast(layer.beta, tf.float32)


def _has_bias(step: Step) -> bool:
    layer: Any = step.layer
    if step.is_activation:
        return False
    if isinstance(layer, keras.layers.BatchNormalization):
        return True
    return Trait.BIASED in step.traits and layer.bias is not None
