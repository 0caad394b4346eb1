"""The forward pass whose gradients are DeepLIFT's multipliers.

The baselines go through the network first, so that each step that is not linear can put the slope
of the chord between baseline and picture in its gradient's place.
"""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf
from keras.src.ops.nn import Relu
from keras.src.ops.numpy import Add

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.networks.graph import TARGET
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

Edit = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""From a step's input and output, and the baseline's, to the output with another gradient."""


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
    if step.name == TARGET:
        raise InputError(
            "deeplift explains classes: it has no rule for a target that is a function"
        )
    raise InputError(
        f"deeplift has no rule for layer {step.name!r} ({function or kind}); it has rules for "
        "linear layers, max pooling, and activation functions of single numbers"
    )


def rescaled_logits(graph: Graph, inputs: tf.Tensor, start: tf.Tensor) -> tf.Tensor:
    """The logits of pictures, float32 `[N, classes]`, with multipliers as gradients at `inputs`."""
    rules = {step: rule_of(step) for step in graph.picture_steps}
    bent = {step: rule for step, rule in rules.items() if rule is not None}
    ends = {step: (step.inputs[0], step.outputs[0]) for step in bent}
    slots = [*dict.fromkeys(slot for pair in ends.values() for slot in pair)]
    base = dict(zip(slots, graph.run({graph.input: start}, slots), strict=True))
    seen: dict[Slot, tf.Tensor] = {}

    def watched(slot: Slot, step: Step | None) -> Callable[[tf.Tensor], tf.Tensor]:
        def edit(out: tf.Tensor) -> tf.Tensor:
            if step is not None:
                source, _ = ends[step]
                out = bent[step](step)(seen[source], out, base[source], base[slot])
            seen[slot] = out
            return out

        return edit

    of_slot = {out: step for step, (_, out) in ends.items()}
    edits = {slot: watched(slot, of_slot.get(slot)) for slot in slots}
    seen[graph.input] = inputs
    (logits,) = graph.run({graph.input: inputs}, [graph.logits], edits)
    return tf.cast(logits, tf.float32)


def rescaled(step: Step) -> Edit:
    """An activation function, with the slope of the chord between baseline and picture."""

    def edit(z: tf.Tensor, out: tf.Tensor, z_b: tf.Tensor, out_b: tf.Tensor) -> tf.Tensor:
        change, size = z - z_b, tf.maximum(tf.abs(z), tf.abs(z_b))
        moves = tf.abs(change) > SMALLEST_CHANGE * size
        slope = tf.stop_gradient((out - out_b) / tf.where(moves, change, 1.0))
        chord = tf.stop_gradient(out) + slope * (z - tf.stop_gradient(z))
        return tf.where(moves, chord, out)

    return edit


def pooled(step: Step) -> Edit:
    """Max pooling: the change of the maximum, to the winners of the picture and of the baseline.

    With c = max(out, out_b), the winner in the picture gets c - out_b and the winner in the
    baseline out - c, which add up to the change.
    """

    def to_winners(z: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(z)
            pooled_again = Call(step, [z]).run(z)
        return tape.gradient(pooled_again, z, output_gradients=amounts)

    def edit(z: tf.Tensor, out: tf.Tensor, z_b: tf.Tensor, out_b: tf.Tensor) -> tf.Tensor:
        @tf.custom_gradient
        def with_multipliers(z: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            def multipliers(upstream: tf.Tensor) -> tf.Tensor:
                highest = tf.maximum(out, out_b)
                parts = to_winners(z, upstream * (highest - out_b))
                parts += to_winners(z_b, upstream * (out - highest))
                return tf.math.divide_no_nan(parts, z - z_b)

            return tf.identity(out), multipliers

        return with_multipliers(z)

    return edit
