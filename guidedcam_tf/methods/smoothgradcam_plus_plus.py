"""Smooth Grad-CAM++: Grad-CAM++ of derivatives that are averaged over noisy copies."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import target_gradients
from guidedcam_tf.methods.copies import NoisyMethod
from guidedcam_tf.methods.options import method
from guidedcam_tf.networks import LayerView

ORDERS = ("first", "second", "third")


@method
class SmoothGradCAMPlusPlus(NoisyMethod):
    """S = ReLU(sum_k w^k M^k), w^k = sum_ij alpha^k_ij ReLU(D1), alpha = D2 / (2 D2 + T^k D3).

    D1, D2 and D3 are the means of grad, grad^2 and grad^3 over noisy copies of the picture, M^k are
    the activations of the picture itself, and T^k = sum_ij M^k_ij. As in Grad-CAM++, exp(Y) is
    dropped. Without noise, S is the map of `gradcam++` with `alpha_normalize=False`.
    """

    name = "smoothgradcam++"
    reference = "Omeiza et al. 2019, arXiv 1908.01224"
    many_passes = "a forward pass and a gradient for each noisy copy of the picture"

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures and blocks of noisy copies."""

        def derivatives(
            copies: tf.Tensor, class_ids: tf.Tensor, x: tf.Tensor, start: tf.Tensor
        ) -> Maps:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(copies)
                activations, logits = view.forward(copies)

            def of_target(target: tf.Tensor) -> Maps:
                grad = target_gradients(view, tape, logits, activations, target)
                return dict(zip(ORDERS, (grad, grad**2, grad**3), strict=True))

            return by_target(of_target, class_ids, ORDERS, rank=4)

        average = self.mean_over_noise(view, derivatives, ORDERS)
        activations_of = view.compiled(kernel_signature(view)[:1])(
            lambda images: view.forward(view.network.preprocess(images))[0]
        )

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            means = average(images, class_ids)
            first, second, third = (means[order] for order in ORDERS)
            activations = activations_of(images)[:, None]
            totals = tf.reduce_sum(activations, axis=[2, 3], keepdims=True)
            alpha = tf.math.divide_no_nan(second, 2.0 * second + totals * third)
            weights = tf.reduce_sum(alpha * tf.nn.relu(first), axis=[2, 3], keepdims=True)
            saliency = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))
            return {"saliency": saliency, **{k: means[k] for k in ("class_ids", "logits")}}

        return kernel
