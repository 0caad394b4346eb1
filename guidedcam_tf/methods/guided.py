"""The paper's proposed method: Grad-CAM's aggregation inside a global guidance map."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.weighted import SMOOTH
from guidedcam_tf.methods.weighted import added


@method
class Guided(GradientMethod):
    """S = ReLU(sum_k lambda^k (G_M * M^k)): the saliency map with global guidance.

    G_M = ReLU(sum_k grad^k * M^k) keeps the gradient's position, which lambda^k, its mean over the
    channel, has lost. As G_M is not negative and the same for all channels, S = G_M * Grad-CAM,
    element by element. G_M itself is HiResCAM (Draelos and Carin, arXiv 2011.08891) after a ReLU.
    Where G_M is below 1e-15 everywhere, S is divided by its maximum, or float32 could not hold it.
    """

    name = "guided"
    reference = "Fahim et al. 2022, Sensors 22(17) 6516, eq. 6"
    outputs = ("saliency", "guidance", "unguided", "activation_sum")

    smooth: bool = option(default=False, meaning=SMOOTH)

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S (eq. 6), G_M (eq. 5), the map without guidance (eq. 4) and A (eq. 1)."""
        weights = ops.channel_weights(gradients)
        guidance = ops.global_guidance(gradients, activations)
        factor = ops.factor_of(guidance)
        saliency = ops.guided_aggregation(weights, factor, activations)
        if self.smooth:
            saliency = tf.nn.relu(added(weights, factor[..., None] * activations, smooth=True))
        return {
            "saliency": saliency,
            "guidance": guidance,
            "unguided": ops.weighted_aggregation(weights, activations),
            "activation_sum": ops.activation_sum(activations),
        }
