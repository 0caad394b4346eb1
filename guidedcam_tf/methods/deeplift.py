"""DeepLIFT: contributions to the difference from a baseline, by the rescale rule."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import attributed
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import pixel_gradients
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.methods.deeplift_rules import rescaled_logits
from guidedcam_tf.methods.deeplift_rules import rule_of
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView


@method
class DeepLIFT(OnePass):
    """S = ReLU(R), R = sum_c (x_c - x_b,c) m_c: each pixel's part of Y(x) - Y(x_b).

    x_b is a baseline, preprocessed like the picture x. The multipliers m are the gradient of the
    target's logit Y with every activation function's slope replaced by that of the chord between x
    and x_b, (f(z) - f(z_b)) / (z - z_b). R, the second output, adds up to Y(x) - Y(x_b).
    """

    name = "deeplift"
    reference = "Shrikumar et al. 2017, ICML (arXiv 1704.02685), rescale rule (section 3.5.1)"
    outputs = ("saliency", "attribution")
    needs_layer = False

    baseline: Literal["black", "mean"] = option(
        "black", "x_b: black, or zeros in the preprocessed input (the mean colour)"
    )

    def check(self, view: LayerView) -> None:
        """Refuse a network with a layer that has no rule, by its name."""
        for step in view.network.graph.picture_steps:
            rule_of(step)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the baselines, then the pictures, and differentiate by chords."""
        start = baseline_inputs(view.network, tf.zeros_like(inputs), self.baseline)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            logits = rescaled_logits(view.network.graph, inputs, start)
        class_ids = resolve_ranks(class_ids, logits)

        def of_target(target: tf.Tensor) -> Maps:
            multipliers = pixel_gradients(view, tape, logits, inputs, target)
            return attributed((inputs - start) * multipliers)

        maps = by_target(of_target, class_ids, self.outputs)
        return {**maps, "class_ids": class_ids, "logits": logits}
