"""Smooth-FullGrad: FullGrad of full gradients that are summed over noisy copies of the picture."""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.completeness import full_gradients
from guidedcam_tf.methods.completeness import warn_if_incomplete
from guidedcam_tf.methods.copies import NoisyMethod
from guidedcam_tf.methods.copies import noisy_copy
from guidedcam_tf.methods.copies import sum_over_copies
from guidedcam_tf.methods.fullgrad import aggregate
from guidedcam_tf.methods.fullgrad import enlargers_at
from guidedcam_tf.methods.fullgrad import spatial_steps
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.calls import traced


@method
class SmoothFullGrad(NoisyMethod):
    """S = psi(sum_i sum_c x_i * dY/dx_i) + sum_l sum_c U(psi(sum_i b_l * dY/dz_l(x_i))).

    x_i is noisy copy i of the preprocessed picture. The signed terms are summed over the copies
    (the input's over its channels c, too) before psi takes their absolute values; Y, z_l, b_l, psi
    and U are as in FullGrad. A target that is a rank is the class of that rank in the clean
    picture, for all copies. The map has the input's size.

    The whole network is explained: the layer that an explainer is opened at does not matter. Each
    copy costs a forward and a backward pass a target: targets do not share passes, so that the
    sums, 88 MB for ResNet50, are kept for one target at a time.
    """

    name = "smooth_fullgrad"
    reference = "Srinivas and Fleuret 2019, NeurIPS (arXiv 1905.00780), the authors' code"
    many_passes = "a forward and a backward pass for each noisy copy of the picture"
    needs_layer = False

    align_corners: bool = option(
        True, "U keeps the centres of the corner cells in the corners; False: half-pixel centres"
    )
    block_size: Count = option(5, "copies that go through the network at a time")

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures, targets and blocks of noisy copies."""
        network, steps = view.network, spatial_steps(view.network)
        enlargers = enlargers_at(view, steps, align_corners=self.align_corners)
        warn_if_incomplete(network, self.name)
        names = [str(place) for place in range(1 + len(steps))]

        def terms_of_copies(
            copies: tf.Tensor, class_ids: tf.Tensor, x: tf.Tensor, start: tf.Tensor
        ) -> Maps:
            _, terms_of = full_gradients(network, copies, steps)
            input_term, *bias_terms = terms_of(class_ids[:, 0])
            terms = [tf.reduce_sum(input_term, axis=3, keepdims=True), *bias_terms]
            return {name: term[:, None] for name, term in zip(names, terms, strict=True)}

        @partial(traced, signature=[dict.fromkeys(names, tf.TensorSpec([None] * 4))])
        def map_of(sums: Maps) -> Maps:
            return {"saliency": aggregate([sums[name] for name in names], enlargers)}

        return sum_over_copies(
            view,
            terms_of_copies,
            noisy_copy(self.noise),
            outputs=names,
            weights=[1.0] * self.samples,
            block_size=self.block_size,
            description=self.name,
            seed=self.seed,
            finish=map_of,
            targets_apart=True,
        )
