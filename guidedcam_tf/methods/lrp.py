"""Layer-wise relevance propagation down to the pixels."""

from __future__ import annotations

import keras
import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import attributed
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.propagation import of_one_unit
from guidedcam_tf.methods.propagation import propagate
from guidedcam_tf.methods.propagation import recorder
from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.methods.relevance_rules import PassBack
from guidedcam_tf.methods.relevance_rules import Rule
from guidedcam_tf.methods.relevance_rules import is_weighted
from guidedcam_tf.methods.relevance_rules import kernel_of
from guidedcam_tf.methods.relevance_rules import linear_of
from guidedcam_tf.methods.relevance_rules import rule_of
from guidedcam_tf.methods.relevance_rules import shares
from guidedcam_tf.methods.relevance_rules import unchanged
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step

PREPARING = (keras.layers.Rescaling, keras.layers.Normalization)
"""Layers that treat each value of a picture by itself."""


@method
class LRP(OnePass):
    """S = ReLU(R), R = sum_c R_c: what of the target's share of 1 each pixel gets.

    Relevance starts with 1 at the target's logit and goes back to the picture: by the z+ rule
    without biases (alpha = 1, beta = 0) through layers that see features, as in `relevance_rules`,
    and by the z-box rule through those that see the picture, whose values have bounds l and h:
    R_i = sum_j (x_i w_ij - l_i w+_ij - h_i w-_ij) / (the sum of these over i) * R_j.
    The bounds are black and white as the model sees them; of a model whose preprocessing is not
    known, they are the lowest and the highest value of each picture and channel.

    R, the second output, adds up to 1 but for what sums of 0 keep: batch normalisation passes
    nothing on where its input is 0.
    """

    name = "lrp"
    reference = "Bach et al. 2015, PLOS ONE 10(7); z-box is Montavon et al. 2017, eq. 14"
    outputs = ("saliency", "attribution")
    needs_layer = False

    def check(self, view: LayerView) -> None:
        """Refuse a network with a layer that has no rule, by its name."""
        for step in view.network.graph.picture_steps:
            _rule_of(step)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network on the pictures and their bounds, and pass back each target's share."""
        graph = view.network.graph
        seeing = seeing_the_picture(graph)
        slots = [step.inputs[0] for step in seeing]
        low, high = (graph.run({graph.input: x}, slots) for x in bounds(view.network, inputs))
        box = {
            step: z_box(tf.cast(a, tf.float32), tf.cast(b, tf.float32))
            for step, a, b in zip(seeing, low, high, strict=True)
        }
        rules = {step: box.get(step) or _rule_of(step) for step in graph.picture_steps}
        known, passes = recorder(graph, of_one_unit(rules))(inputs, [])
        logits = known[graph.logits]
        class_ids = resolve_ranks(class_ids, logits)

        def of_target(target: tf.Tensor) -> Maps:
            start = tf.one_hot(target, tf.shape(logits)[1])
            return attributed(propagate(passes, {graph.logits: start})[graph.input])

        maps = by_target(of_target, class_ids, self.outputs)
        return {**maps, "class_ids": class_ids, "logits": logits}


def _rule_of(step: Step) -> Rule:
    return unchanged if isinstance(step.layer, PREPARING) else rule_of(step, LRP.name)


def seeing_the_picture(graph: Graph) -> list[Step]:
    """The layers with weights that no other such layer comes before."""
    raw: set[Slot] = {graph.input}
    found = []
    for step in graph.picture_steps:
        if raw.intersection(step.inputs):
            if is_weighted(step):
                found.append(step)
            else:
                raw.update(step.outputs)
    return found


def bounds(network: Network, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """The lowest and the highest pictures of the model's input, each as `inputs`."""
    if network.takes_pixels:
        ends = network.preprocess(tf.zeros_like(inputs)), network.preprocess(255.0 + 0.0 * inputs)
        return tf.minimum(*ends), tf.maximum(*ends)
    lowest = tf.reduce_min(inputs, axis=[1, 2], keepdims=True)
    highest = tf.reduce_max(inputs, axis=[1, 2], keepdims=True)
    return lowest + tf.zeros_like(inputs), highest + tf.zeros_like(inputs)


def z_box(low: tf.Tensor, high: tf.Tensor) -> Rule:
    """Return the z-box rule for a layer whose inputs are between `low` and `high`."""

    def rule(call: Call) -> PassBack:
        (x,) = call.inputs
        lowest = tf.minimum(x, tf.minimum(low, high))
        highest = tf.maximum(x, tf.maximum(low, high))
        linear, kernel = linear_of(call), kernel_of(call)

        def terms(x: tf.Tensor, lowest: tf.Tensor, highest: tf.Tensor) -> tf.Tensor:
            below = linear(lowest, tf.maximum(kernel, 0.0))
            above = linear(highest, tf.minimum(kernel, 0.0))
            return linear(x, kernel) - below - above

        three = shares(terms, [x, lowest, highest])
        return lambda relevance: [tf.add_n(three(relevance))]

    return rule
