"""HiResCAM: every position weighted by its own gradient."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.weighted import WeightedMethod


@method
class HiResCAM(WeightedMethod):
    """S = ReLU(sum_k grad^k * M^k), element by element: the proposed method's guidance map G_M.

    The ReLU keeps what speaks for the target; the paper's own map is the sum before it.
    """

    name = "hirescam"
    reference = "Draelos and Carin 2020, arXiv 2011.08891"

    def weights(self, activations: tf.Tensor, gradients: tf.Tensor) -> tf.Tensor:
        """Return w."""
        return gradients
