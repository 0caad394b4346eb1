"""XGrad-CAM: channels weighted by the gradient where the channel is active."""

from __future__ import annotations

import warnings

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.options import Amount
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.weighted import WeightedMethod
from guidedcam_tf.networks import LayerView


@method
class XGradCAM(WeightedMethod):
    """S = ReLU(sum_k w^k M^k), w^k = sum_ij grad^k_ij M^k_ij / sum_ij M^k_ij.

    w^k is the mean of the gradient weighted by the activations, so that sum_k w^k sum_ij M^k_ij =
    sum_ijk grad^k_ij M^k_ij (the paper's conservation). A channel whose activations sum to no more
    than `eps` in magnitude gets the weight 0.

    """

    name = "xgradcam"
    reference = "Fu et al. 2020, BMVC, arXiv 2008.02312"

    eps: Amount = option(
        1e-6, "a channel whose activations sum to no more than this weighs nothing"
    )

    def check(self, view: LayerView) -> None:
        """Warn where activations can be negative, so that w^k can explode."""
        if not view.network.graph.is_nonnegative(view.step):
            warnings.warn(
                f"xgradcam divides by each channel's sum, and activations can be negative at layer "
                f"{view.layer!r}: weights can explode or change sign. Use a layer after its ReLU.",
                stacklevel=6,
            )

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return w."""
        axes = ops.spatial_axes(activations)
        totals = tf.reduce_sum(activations, axis=axes)
        contributions = tf.reduce_sum(gradients * activations, axis=axes)
        weights = tf.math.divide_no_nan(contributions, totals)
        return tf.where(tf.abs(totals) > self.eps, weights, 0.0)
