"""EigenCAM: the activations along their first principal direction."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView

ROUNDING = 1e-6
"""What is left of a constant channel once its mean is subtracted, as a part of that mean."""


@method
class EigenCAM(Method):
    """S = ReLU(X v), v being the first right singular vector of the activations X `[h * w, K]`.

    X is not centred, as in the paper, so v is near the mean activation; the wide-spread ports
    centre it. No gradient and no target enter: every target has the same map. The sign of v is free
    in a singular value decomposition. Here it is the one with which X v agrees with the activations
    summed over the channels (their inner product is not negative).

    """

    name = "eigencam"
    reference = "Muhammad and Yeasin 2020, IJCNN, arXiv 2008.00299"
    any_extent = True

    center: bool = option(
        False, "subtract each channel's mean before, as pytorch-grad-cam does; the paper does not"
    )

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that runs the network forwards only."""

        @view.compiled(kernel_signature(view))
        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            activations, logits = view.forward(view.network.preprocess(images))
            saliency = self.principal_map(activations)[:, None]
            return {
                "saliency": tf.repeat(saliency, tf.shape(class_ids)[1], axis=1),
                "class_ids": resolve_ranks(class_ids, logits),
                "logits": logits,
            }

        return kernel

    def principal_map(self, activations: tf.Tensor) -> tf.Tensor:
        """The method's formula: float32 `[N, ...spatial, K]` to `[N, ...spatial]`, at least 0."""
        count, *extent, channels = tf.unstack(tf.shape(activations))
        positions = tf.reduce_prod(extent)
        x = tf.reshape(activations, [count, positions, channels])
        if self.center:
            means = tf.reduce_mean(x, axis=1, keepdims=True)
            x = tf.where(tf.abs(x - means) > ROUNDING * tf.abs(means), x - means, 0.0)
        projection = tf.cond(
            positions <= channels, lambda: _from_positions(x), lambda: _from_channels(x)
        )
        agreement = tf.reduce_sum(projection * tf.reduce_sum(x, axis=-1), axis=1, keepdims=True)
        projection = tf.where(agreement < 0, -projection, projection)
        return tf.nn.relu(tf.reshape(projection, [count, *extent]))


def _from_positions(x: tf.Tensor) -> tf.Tensor:
    """X v = sigma u from the leading eigenvector u of X Xᵀ, the smaller matrix if h * w <= K."""
    eigenvalues, vectors = tf.linalg.eigh(tf.matmul(x, x, transpose_b=True))
    return tf.sqrt(tf.nn.relu(eigenvalues[:, -1:])) * vectors[:, :, -1]


def _from_channels(x: tf.Tensor) -> tf.Tensor:
    """X v from the leading eigenvector v of Xᵀ X."""
    _, vectors = tf.linalg.eigh(tf.matmul(x, x, transpose_a=True))
    return tf.matmul(x, vectors[:, :, -1:])[:, :, 0]
