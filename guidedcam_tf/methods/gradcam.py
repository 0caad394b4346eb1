"""Grad-CAM: channels weighted by the mean of their gradient."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.options import method


@method
class GradCAM(GradientMethod):
    """S = ReLU(sum_k lambda^k M^k), lambda^k being the mean of the gradient over channel k."""

    name = "gradcam"
    reference = "Selvaraju et al. 2017, ICCV, eq. 1 and 2"

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S."""
        weights = ops.channel_weights(gradients)
        return {"saliency": ops.weighted_aggregation(weights, activations)}
