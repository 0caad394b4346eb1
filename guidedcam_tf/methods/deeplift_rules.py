"""The forward pass whose gradients are DeepLIFT's multipliers.

Pictures and baselines go through the network in one batch, first the pictures, so that each step
that is not linear sees both, and can put the slope of the chord in its gradient's place.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf
from keras.src.ops.nn import Relu
from keras.src.ops.numpy import Add

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait

SMALLEST_CHANGE = 1e-5
"""Where an activation's input changes less, relative to its size, the chord is the tangent."""

SUMS = (
    keras.layers.Add,
    keras.layers.Average,
    keras.layers.Concatenate,
    keras.layers.Normalization,
    keras.layers.Rescaling,
    keras.layers.Subtract,
    Add,
)
"""Layers that are linear in all their inputs together."""

POOLS = (keras.layers.MaxPooling2D, keras.layers.GlobalMaxPooling2D)

CURVES = (
    keras.layers.ELU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ReLU,
    Relu,
)
"""Layers that treat each number by itself."""

FUNCTIONS = (
    keras.activations.elu,
    keras.activations.exponential,
    keras.activations.gelu,
    keras.activations.hard_sigmoid,
    keras.activations.hard_silu,
    keras.activations.leaky_relu,
    keras.activations.linear,
    keras.activations.mish,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.selu,
    keras.activations.sigmoid,
    keras.activations.silu,
    keras.activations.softplus,
    keras.activations.softsign,
    keras.activations.tanh,
    tf.nn.relu,
    tf.nn.relu6,
    tf.nn.sigmoid,
    tf.nn.silu,
    tf.nn.tanh,
)
"""Activation functions that treat each number by itself."""

Edit = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]
"""From a step's input and output, `[2N, ...]`, to the output with another gradient."""


def rule_of(step: Step) -> Callable[[Step], Edit] | None:
    """Return what makes a step's edit; None for a step that is linear.

    Raises:
        InputError: If the step is neither linear, nor max pooling, nor a function of each number
            by itself.
    """
    layer = step.layer
    if step.is_activation or isinstance(layer, keras.layers.Activation):
        if isinstance(layer.activation, CURVES) or layer.activation in FUNCTIONS:
            return rescaled
    elif isinstance(layer, CURVES):
        return rescaled
    elif isinstance(layer, POOLS):
        return pooled
    elif Trait.LINEAR in step.traits or isinstance(layer, SUMS):
        return None
    kind = type(layer).__name__ if layer is not None else "a function"
    function = getattr(getattr(layer, "activation", None), "__name__", "")
    if step.layer is None:
        raise InputError(
            "deeplift explains classes: it has no rule for a target that is a function"
        )
    raise InputError(
        f"deeplift has no rule for layer {step.name!r} ({function or kind}); it has rules for "
        "linear layers, max pooling, and activation functions of single numbers"
    )


def rescaled_logits(graph: Graph, inputs: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The logits of pictures, float32 `[N, classes]`, with multipliers as gradients at `inputs`."""
    seen: dict[Slot, tf.Tensor] = {graph.input: tf.concat([inputs, start], axis=0)}

    def seen_and_edited(step: Step) -> Callable[[tf.Tensor], tf.Tensor]:
        rule, slot = rule_of(step), step.outputs[0]

        def edit(out: tf.Tensor) -> tf.Tensor:
            seen[slot] = out if rule is None else rule(step)(seen[step.inputs[0]], out)
            return seen[slot]

        return edit

    edits = {step.outputs[0]: seen_and_edited(step) for step in graph.picture_steps}
    (logits,) = graph.run(seen, [graph.logits], edits)
    return tf.cast(logits, tf.float32)[: tf.shape(inputs)[0]]


def rescaled(step: Step) -> Edit:
    """An activation function, with the slope of the chord between picture and baseline."""

    def edit(z: tf.Tensor, out: tf.Tensor) -> tf.Tensor:
        (z_x, z_b), (out_x, out_b) = tf.split(z, 2), tf.split(out, 2)
        change = z_x - z_b
        size = tf.maximum(tf.abs(z_x), tf.abs(z_b))
        moves = tf.abs(change) > SMALLEST_CHANGE * size
        slope = tf.stop_gradient((out_x - out_b) / tf.where(moves, change, 1.0))
        chord = tf.stop_gradient(out_x) + slope * (z_x - tf.stop_gradient(z_x))
        return tf.concat([tf.where(moves, chord, out_x), out_b], axis=0)

    return edit


def pooled(step: Step) -> Edit:
    """Max pooling: the change of the maximum, to the winners of the picture and of the baseline.

    With c = max(out_x, out_b), the winner in the picture gets c - out_b and the winner in the
    baseline out_x - c, which add up to the change.
    """

    def pool(z: tf.Tensor) -> tf.Tensor:
        return Call(step, [z]).run(z)

    @tf.custom_gradient
    def edit(z: tf.Tensor, out: tf.Tensor) -> tuple[tf.Tensor, Callable]:
        def grad(upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
            (z_x, z_b), (out_x, out_b) = tf.split(z, 2), tf.split(out, 2)
            upstream_x, highest = tf.split(upstream, 2)[0], tf.maximum(out_x, out_b)
            parts = to_winners(z_x, upstream_x * (highest - out_b))
            parts += to_winners(z_b, upstream_x * (out_x - highest))
            multipliers = tf.math.divide_no_nan(parts, z_x - z_b)
            return tf.concat([multipliers, tf.zeros_like(z_b)], axis=0), None

        return tf.identity(out), grad

    def to_winners(z: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(z)
            out = pool(z)
        return tape.gradient(out, z, output_gradients=amounts)

    return edit
