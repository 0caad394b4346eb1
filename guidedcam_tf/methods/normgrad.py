"""NormGrad: where a layer's weights would be changed most."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.options import method


@method
class NormGrad(GradientMethod):
    """S = |grad| |M|, both norms over the channels at each position.

    It is the size of what a position adds to the gradient of a 1 x 1 convolution that is put after
    the layer and changes nothing, the outer product of grad and M there. No sign enters, so what
    speaks against the target shows as well.
    """

    name = "normgrad"
    reference = "Rebuffi et al. 2020, CVPR (arXiv 2004.02866), the virtual identity layer"

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S."""
        return {"saliency": tf.norm(gradients, axis=-1) * tf.norm(activations, axis=-1)}
