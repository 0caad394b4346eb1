"""The paper's equations 1 and 3 to 6, each as one function.

Symbols: M^k is the k-th channel of the activations, grad^k = dY/dM^k its gradient map for the
target's score Y (eq. 2), Z = h * w the number of elements of a channel.

Shapes: activations and gradients are float32 `[N, h, w, K]`, weights `[N, K]`, maps `[N, h, w]`;
for signals and volumes, h and w are one or three axes.

Source: Fahim et al., "Rethinking Gradient Weight's Influence over Saliency Map Estimation",
Sensors 22(17), 6516, 2022.
"""

import tensorflow as tf

from guidedcam_tf.ops.extent import spatial_axes
from guidedcam_tf.ops.extent import spatial_letters

SMALL = 1e-15
"""The product of two maps below this may be too small for float32."""


def activation_sum(activations: tf.Tensor) -> tf.Tensor:
    """A = sum_k M^k (eq. 1): what the layer responds to, whatever the class. `[N, h, w]`."""
    return tf.reduce_sum(activations, axis=-1)


def channel_weights(gradients: tf.Tensor) -> tf.Tensor:
    """lambda^k = (1 / Z) sum_ij grad^k_ij (eq. 3): one weight a channel. `[N, K]`."""
    return tf.reduce_mean(gradients, axis=spatial_axes(gradients))


def channel_sum(weights: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    """sum_k w^k M^k, of both signs, for a weight a channel. `[N, h, w]`."""
    axes = spatial_letters(activations)
    return tf.einsum(f"nk,n{axes}k->n{axes}", weights, activations)


def weighted_aggregation(weights: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    """ReLU(sum_k lambda^k M^k) (eq. 4): the map without guidance, Grad-CAM's. `[N, h, w]`."""
    return tf.nn.relu(channel_sum(weights, activations))


def global_guidance(gradients: tf.Tensor, activations: tf.Tensor) -> tf.Tensor:
    """G_M = ReLU(sum_k grad^k * M^k), element by element (eq. 5). `[N, h, w]`, at least 0."""
    return tf.nn.relu(tf.reduce_sum(gradients * activations, axis=-1))


def factor_of(guidance: tf.Tensor) -> tf.Tensor:
    """G_M as the factor of eq. 6: divided by its maximum where that is below `SMALL`.

    S is quadratic in the gradient, so that of a saturated probability, 1e-20, would give zero.
    """
    largest = tf.reduce_max(guidance, axis=spatial_axes(guidance[..., None]), keepdims=True)
    return tf.where(largest < SMALL, tf.math.divide_no_nan(guidance, largest), guidance)


def guided_aggregation(
    weights: tf.Tensor, guidance: tf.Tensor, activations: tf.Tensor
) -> tf.Tensor:
    """S = ReLU(sum_k lambda^k (G_M * M^k)) (eq. 6): the proposed saliency map. `[N, h, w]`.

    G_M is not negative and the same for every channel, so it leaves the sum and the ReLU:
    S = G_M * ReLU(sum_k lambda^k M^k), which needs no second pass over the channels.
    """
    return guidance * weighted_aggregation(weights, activations)
