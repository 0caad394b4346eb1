"""Grad-CAM: channels weighted by the mean of their gradient."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.weighted import WeightedMethod


@method
class GradCAM(WeightedMethod):
    """S = ReLU(sum_k w^k M^k), w^k being the mean of the gradient over channel k."""

    name = "gradcam"
    reference = "Selvaraju et al. 2017, ICCV, eq. 1 and 2"

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return w."""
        return ops.channel_weights(gradients)
