"""LayerCAM: every position weighted by its own gradient where that is positive."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.weighted import WeightedMethod


@method
class LayerCAM(WeightedMethod):
    """S = ReLU(sum_k ReLU(grad^k) * M^k), element by element.

    Made for shallow layers, where a gradient's mean over the channel says little.
    """

    name = "layercam"
    reference = "Jiang et al. 2021, IEEE TIP 30, doi 10.1109/TIP.2021.3089943"

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return w."""
        return tf.nn.relu(gradients)
