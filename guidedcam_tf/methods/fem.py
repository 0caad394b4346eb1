"""FEM: where the channels are unusually active, whatever the class."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import Amount
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView


@method
class FEM(OnePass):
    """S = sum_k mu^k [A^k > mu^k + K sigma^k], mu^k and sigma^k being channel k's own over space.

    No gradient and no target enter: every target has the same map. A constant channel is nowhere
    above its own mean and adds nothing.
    """

    name = "fem"
    reference = "Fuad et al. 2020, IPTA, the K-sigma rule"
    any_extent = True

    sigmas: Amount = option(2.0, "K, the standard deviations above the mean that count as active")

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network forwards only."""
        activations, logits = view.forward(inputs)
        saliency = self.active_map(activations)[:, None]
        return {
            "saliency": tf.repeat(saliency, tf.shape(class_ids)[1], axis=1),
            "class_ids": resolve_ranks(class_ids, logits),
            "logits": logits,
        }

    def active_map(self, activations: tf.Tensor) -> tf.Tensor:
        """The method's formula: float32 `[N, ...spatial, K]` to `[N, ...spatial]`."""
        axes = ops.spatial_axes(activations)
        means = tf.reduce_mean(activations, axis=axes, keepdims=True)
        deviations = tf.math.reduce_std(activations, axis=axes, keepdims=True)
        active = activations > means + self.sigmas * deviations
        return tf.reduce_sum(tf.where(active, means, 0.0), axis=-1)
