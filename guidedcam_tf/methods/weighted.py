"""Methods that add up weighted channels, or take the first principal component of them."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option

SMOOTH = "take the first principal component of the weighted channels in place of their sum"


@method
class WeightedMethod(GradientMethod):
    """S = ReLU(sum_k w^k M^k), for weights of channels or of their positions.

    With `smooth`, S = ReLU(X v), v being the first right singular vector of X = w * M as a matrix
    `[h * w, K]`, signed as `ops.first_component` says. The main direction of what the channels add
    is less noisy than their sum. (pytorch-grad-cam calls it `eigen_smooth`, and subtracts each
    channel's mean before.)
    """

    smooth: bool = option(default=False, meaning=SMOOTH)

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """The method's formula: w, float32 `[N, K]`, or `[N, h, w, K]`."""
        raise NotImplementedError

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S."""
        weights = self.weights(activations, gradients)
        return {"saliency": tf.nn.relu(added(weights, activations, self.smooth))}


def added(weights: tf.Tensor, activations: tf.Tensor, smooth: bool) -> tf.Tensor:
    """sum_k w^k M^k, or with `smooth` the first principal component of the w^k M^k.

    Args:
        weights: w, float32 `[N, K]`, or `[N, ...spatial, K]`.
        activations: M, float32 `[N, ...spatial, K]`.
        smooth: Which of the two.

    Returns:
        Float32 `[N, ...spatial]`, of both signs.
    """
    of_channels = len(weights.shape) == 2
    if of_channels and not smooth:
        return ops.channel_sum(weights, activations)
    if of_channels:
        ones = [1] * len(ops.spatial_axes(activations))
        weights = tf.reshape(weights, [-1, *ones, activations.shape[-1]])
    parts = weights * activations
    return ops.first_component(parts) if smooth else tf.reduce_sum(parts, axis=-1)
