"""FullGrad: the gradients at the input and at every bias of the network, in one map."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.completeness import full_gradients
from guidedcam_tf.methods.completeness import warn_if_incomplete
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.biases import biased_steps
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.view import Enlarger

EPSILON = 1e-6


@method
class FullGrad(Method):
    """S = sum_c psi(x * dY/dx) + sum_l sum_c U(psi(b_l * dY/dz_l)): a map at the input's size.

    Y is the target's logit, x the preprocessed picture, z_l the output of convolution or batch
    normalisation l before any activation, b_l its bias, and c counts channels. psi takes absolute
    values and stretches them to 0..1 over all channels and positions of its term; U resizes to the
    input's size, bilinearly. Dense layers have no place in the picture and are left out.

    The whole network is explained: the layer that an explainer is opened at does not matter.

    With the dense layers' terms, and without psi and U, the terms add up to Y where the network
    is linear between its ReLUs; see `fullgrad_completeness`. Another network gets its map all the
    same, with a warning that says how much of a logit its terms miss.
    """

    name = "fullgrad"
    reference = "Srinivas and Fleuret 2019, NeurIPS (arXiv 1905.00780), psi as in the authors' code"
    many_passes = "a backward pass through the whole network, with the gradient at every layer"
    needs_layer = False

    align_corners: bool = option(
        True, "U keeps the centres of the corner cells in the corners; False: half-pixel centres"
    )
    block_size: Count = option(8, "pictures that go through the network at a time")

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel of one forward pass, and one backward pass a target, for each block."""
        network, steps = view.network, spatial_steps(view.network)
        enlargers = enlargers_at(view, steps, align_corners=self.align_corners)
        warn_if_incomplete(network, self.name)

        @view.compiled(kernel_signature(view))
        def of_block(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            logits, terms_of = full_gradients(network, network.preprocess(images), steps)
            class_ids = resolve_ranks(class_ids, logits)

            def of_target(target: tf.Tensor) -> Maps:
                return {"saliency": aggregate(terms_of(target), enlargers)}

            maps = by_target(of_target, class_ids)
            return {**maps, "class_ids": class_ids, "logits": logits}

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            starts = range(0, len(images), self.block_size)
            blocks = [
                of_block(
                    images[start : start + self.block_size],
                    class_ids[start : start + self.block_size],
                )
                for start in starts
            ]
            return {name: tf.concat([b[name] for b in blocks], axis=0) for name in blocks[0]}

        return kernel


def spatial_steps(network: Network) -> list[Step]:
    """The biased steps whose output is a feature map `[N, h, w, c]`."""
    return [step for step in biased_steps(network.graph) if len(step.shape) == 4]


def enlargers_at(view: LayerView, steps: Sequence[Step], *, align_corners: bool) -> list[Enlarger]:
    """Return U for the input, which has its size, and for each of the steps."""
    resize = ops.resize_maps_to_corners if align_corners else ops.resize_maps
    return [lambda maps, _: maps, *(view.enlarger(resize, step) for step in steps)]


def aggregate(terms: Sequence[tf.Tensor], enlargers: Sequence[Enlarger]) -> tf.Tensor:
    """Return S, float32 `[N, H, W]`, from terms `[N, h, w, c]`, and U for each of them.

    The first term is the input's and gives the size. Channels are added up before U, which is
    linear.
    """
    size = tf.shape(terms[0])[1:3]
    pairs = zip(terms, enlargers, strict=True)
    return tf.add_n([enlarge(_rescaled_sum(term), size) for term, enlarge in pairs])


def _rescaled_sum(term: tf.Tensor) -> tf.Tensor:
    """sum_c psi(term): `[N, h, w, c]` to `[N, h, w]`, each picture by itself."""
    magnitude = tf.abs(term)
    lowest = tf.reduce_min(magnitude, axis=[1, 2, 3], keepdims=True)
    extent = tf.reduce_max(magnitude, axis=[1, 2, 3], keepdims=True) - lowest
    return tf.reduce_sum(magnitude - lowest, axis=3) / (extent[..., 0] + EPSILON)
