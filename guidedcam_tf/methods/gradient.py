"""The gradient at the pixels, alone and times the picture."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import PixelMethod
from guidedcam_tf.methods.base import attributed
from guidedcam_tf.methods.options import method


@method
class Gradient(PixelMethod):
    """S = max_c |dY/dx_c|: how much the target's logit Y changes with each pixel x."""

    name = "gradient"
    reference = "Simonyan et al. 2014, ICLR Workshop (arXiv 1312.6034), section 3"

    def maps(self, inputs: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S."""
        return {"saliency": tf.reduce_max(tf.abs(gradients), axis=-1)}


@method
class InputXGradient(PixelMethod):
    """S = ReLU(R), R = sum_c x_c * dY/dx_c.

    R, the second output, is signed. It adds up to the logit Y where the network has no biases and
    is linear between its ReLUs. x is the preprocessed picture.
    """

    name = "input_x_gradient"
    reference = "Shrikumar et al. 2016, arXiv 1605.01713"
    outputs = ("saliency", "attribution")

    def maps(self, inputs: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S and R."""
        return attributed(inputs * gradients)
