"""EigenGrad-CAM: the gradient times the activations, along their first principal direction."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option


@method
class EigenGradCAM(GradientMethod):
    """S = ReLU(X v), v being the first right singular vector of X = grad * M, `[h * w, K]`.

    Eigen-CAM made class-specific. The sign of v is the one with which X v agrees with the sum of X
    over the channels, HiResCAM's map before its ReLU; so S is HiResCAM's map with `smooth`.
    """

    name = "eigengradcam"
    reference = "pytorch-grad-cam on GitHub, 2021; Eigen-CAM is Muhammad and Yeasin 2020, IJCNN"

    center: bool = option(False, "subtract each channel's mean before, as pytorch-grad-cam does")

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S."""
        component = ops.first_component(gradients * activations, self.center)
        return {"saliency": tf.nn.relu(component)}
