"""Grad-CAM++: positive gradients, weighted by how curved the score is where they are taken."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.weighted import WeightedMethod


@method
class GradCAMPlusPlus(WeightedMethod):
    """S = ReLU(sum_k w^k M^k), w^k = sum_ij alpha^k_ij ReLU(grad^k_ij).

    The paper scores with exp(Y), whose second and third derivatives at a piecewise linear network
    are exp(Y) grad^2 and exp(Y) grad^3, so with T^k = sum_ab M^k_ab

        alpha^k_ij = grad^2 / (2 grad^2 + grad^3 T^k) = 1 / (2 + grad^k_ij T^k).

    exp(Y) leaves alpha and is one positive factor of every w^k. It is dropped: the map's shape does
    not change, and a logit above 88 cannot overflow. alpha counts only where the gradient is
    positive, as ReLU(grad) is zero elsewhere; a denominator of zero gives alpha = 0.

    """

    name = "gradcam++"
    reference = "Chattopadhyay et al. 2018, WACV, eq. 19; the authors' code for alpha's normalising"

    alpha_normalize: bool = option(
        True, "divide alpha by its sum over the channel: the authors' code does, the paper does not"
    )

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return w."""
        axes = ops.spatial_axes(activations)
        totals = tf.reduce_sum(activations, axis=axes, keepdims=True)
        alpha = tf.math.divide_no_nan(1.0, 2.0 + gradients * totals)
        alpha = tf.where(gradients > 0, alpha, 0.0)
        if self.alpha_normalize:
            alpha_sums = tf.reduce_sum(alpha, axis=axes, keepdims=True)
            alpha = tf.math.divide_no_nan(alpha, alpha_sums)
        return tf.reduce_sum(alpha * tf.nn.relu(gradients), axis=axes)
