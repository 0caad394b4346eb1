"""ShapleyCAM: Grad-CAM with the curvature of the score in its weights."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.base import target_gradients
from guidedcam_tf.methods.gradcam import GradCAM
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.weighted import SMOOTH
from guidedcam_tf.networks import LayerView


@method
class ShapleyCAM(OnePass):
    """S = ReLU(sum_k w^k M^k), w^k = (1 / Z) sum_ij (grad - H M / 2)^k_ij.

    grad and H are the gradient and the Hessian of a utility u at the layer. To second order, the
    parts (grad - H M / 2) * M add up to u(M) - u(0), and are the Shapley values of the positions.
    u is the target's logit plus the logarithm of its probability (ReST), or the logit alone where
    the network gives no probabilities. With `utility="logit"` and a network that is linear between
    its ReLUs, H is 0 and S is Grad-CAM's map.
    """

    name = "shapleycam"
    reference = "Cai 2025, arXiv 2501.06261"
    any_extent = True

    utility: Literal["rest", "logit"] = option(
        "rest", "u: the logit plus the logarithm of the probability (rest), or the logit"
    )
    smooth: bool = option(default=False, meaning=SMOOTH)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once for the classes, and once with two tapes for each target."""
        logits = view.network.logits_of(inputs)
        class_ids = resolve_ranks(class_ids, logits)

        def of_target(target: tf.Tensor) -> Maps:
            with tf.GradientTape() as outer:
                outer.watch(inputs)
                with tf.GradientTape() as inner:
                    inner.watch(inputs)
                    activations, logits = view.forward(inputs)
                    utilities = self.utilities(view, logits)
                gradients = target_gradients(view, inner, utilities, activations, target)
                slope = tf.reduce_sum(gradients * tf.stop_gradient(activations))
            curvature = outer.gradient(slope, activations, unconnected_gradients="zero")
            weights = gradients - tf.convert_to_tensor(curvature) / 2
            return GradCAM(smooth=self.smooth).maps(activations, weights)

        maps = by_target(of_target, class_ids, rank=len(view.step.shape) - 1)
        return {**maps, "class_ids": class_ids, "logits": logits}

    def utilities(self, view: LayerView, logits: tf.Tensor) -> tf.Tensor:
        """The utility of each class, float32 `[N, classes]`."""
        log_probabilities = {"softmax": tf.nn.log_softmax, "sigmoid": tf.math.log_sigmoid}
        log = log_probabilities.get(view.network.meaning.kind)
        return logits if self.utility == "logit" or log is None else logits + log(logits)
