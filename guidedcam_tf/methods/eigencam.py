"""EigenCAM: the activations along their first principal direction."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView


@method
class EigenCAM(OnePass):
    """S = ReLU(X v), v being the first right singular vector of the activations X `[h * w, K]`.

    X is not centred, as in the paper, so v is near the mean activation; the wide-spread ports
    centre it. No gradient and no target enter: every target has the same map. The sign of v is the
    one with which X v agrees with the activations summed over the channels.
    """

    name = "eigencam"
    reference = "Muhammad and Yeasin 2020, IJCNN, arXiv 2008.00299"
    any_extent = True

    center: bool = option(
        False, "subtract each channel's mean before, as pytorch-grad-cam does; the paper does not"
    )

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network forwards only."""
        activations, logits = view.forward(inputs)
        saliency = tf.nn.relu(ops.first_component(activations, self.center))[:, None]
        return {
            "saliency": tf.repeat(saliency, tf.shape(class_ids)[1], axis=1),
            "class_ids": resolve_ranks(class_ids, logits),
            "logits": logits,
        }
