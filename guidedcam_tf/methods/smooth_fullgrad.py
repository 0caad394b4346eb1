"""Smooth-FullGrad: FullGrad of full gradients that are summed over noisy copies of the picture."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import reduce
from itertools import islice
from itertools import product

import numpy as np
import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.completeness import full_gradients
from guidedcam_tf.methods.completeness import warn_of_hidden_biases
from guidedcam_tf.methods.fullgrad import aggregate
from guidedcam_tf.methods.fullgrad import spatial_steps
from guidedcam_tf.methods.options import Amount
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import Seed
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView
from guidedcam_tf.progress import progress


@method
class SmoothFullGrad(Method):
    """S = psi(sum_i sum_c x_i * dY/dx_i) + sum_l sum_c U(psi(sum_i b_l * dY/dz_l(x_i))).

    x_i = x + e_i is copy i of the preprocessed picture x, with normal noise e_i whose standard
    deviation is a part of x's range, max x - min x. The signed terms are summed over the copies
    (the input's over its channels c, too) before psi takes their absolute values; Y, z_l, b_l, psi
    and U are as in FullGrad. A target that is a rank is the class of that rank in the clean
    picture, for all copies. The map has the input's size.

    The noise depends on `seed` and on the picture's content alone, so neither the order of pictures
    nor the size of a batch changes a map.

    The whole network is explained: the layer that an explainer is opened at does not matter. Each
    copy costs a forward and a backward pass a target: targets do not share passes, so that the
    sums, 88 MB for ResNet50, are kept for one target at a time.
    """

    name = "smooth_fullgrad"
    reference = "Srinivas and Fleuret 2019, NeurIPS (arXiv 1905.00780), the authors' code"
    many_passes = "a forward and a backward pass for each noisy copy of the picture"

    samples: Count = option(25, "n, the noisy copies of a picture")
    noise: Amount = option(
        0.15, "standard deviation of the noise, as a part of the preprocessed picture's range"
    )
    seed: Seed = option(0, "chooses the noise")
    align_corners: bool = option(
        True, "U keeps the centres of the corner cells in the corners; False: half-pixel centres"
    )
    block_size: Count = option(5, "copies that go through the network at a time")

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures and blocks of noisy copies."""
        network, steps = view.network, spatial_steps(view.network)
        warn_of_hidden_biases(network, self.name)
        terms_signature = [tf.TensorSpec([None] * 4, tf.float32)] * (1 + len(steps))

        @view.compiled(kernel_signature(view))
        def clean_pass(images: tf.Tensor, class_ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
            logits = network.logits(images)
            return network.preprocess(images), resolve_ranks(class_ids, logits), logits

        picture_spec = tf.TensorSpec(network.graph.input_shape[1:], tf.float32)

        @tf.function(
            input_signature=[
                picture_spec,
                tf.TensorSpec([2], tf.int64),
                tf.TensorSpec([None], tf.int32),
            ]
        )
        def noisy_copies(picture: tf.Tensor, key: tf.Tensor, copies: tf.Tensor) -> tf.Tensor:
            """The copies with the given numbers, `[copies, H, W, C]`."""
            deviation = self.noise * (tf.reduce_max(picture) - tf.reduce_min(picture))

            def noisy(copy: tf.Tensor) -> tf.Tensor:
                seed = tf.random.experimental.stateless_fold_in(key, copy, alg="philox")
                noise = tf.random.stateless_normal(tf.shape(picture), seed, alg="philox")
                return picture + deviation * noise

            return tf.map_fn(noisy, copies, fn_output_signature=picture_spec)

        @view.compiled(
            [
                tf.TensorSpec([None, *network.graph.input_shape[1:]], tf.float32),
                tf.TensorSpec([], tf.int32),
            ]
        )
        def signed_sums(inputs: tf.Tensor, target: tf.Tensor) -> list[tf.Tensor]:
            """Sum each term, `[1, h, w, c]`, over copies."""
            _, terms_of = full_gradients(network, inputs, steps)
            input_term, *bias_terms = terms_of(tf.fill(tf.shape(inputs)[:1], target))
            terms = [tf.reduce_sum(input_term, axis=3, keepdims=True), *bias_terms]
            return [tf.reduce_sum(term, axis=0, keepdims=True) for term in terms]

        @tf.function(input_signature=[terms_signature])
        def saliency_of(terms: Sequence[tf.Tensor]) -> tf.Tensor:
            return aggregate(terms, align_corners=self.align_corners)

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs, class_ids, logits = clean_pass(images, class_ids)
            keys = [[self.seed, zlib.crc32(np.asarray(image).tobytes())] for image in images]
            cases = [
                (picture, target, tf.constant(key, tf.int64))
                for picture, targets, key in zip(inputs, class_ids, keys, strict=True)
                for target in targets
            ]
            starts = range(0, self.samples, self.block_size)
            blocks = [tf.range(s, min(s + self.block_size, self.samples)) for s in starts]
            jobs = progress(product(cases, blocks), self.name, total=len(cases) * len(blocks))
            parts = (
                signed_sums(noisy_copies(picture, key, copies), target)
                for (picture, target, key), copies in jobs
            )
            maps = [saliency_of(reduce(_add, islice(parts, len(blocks)))) for _ in cases]
            saliency = tf.reshape(tf.concat(maps, axis=0), [*class_ids.shape, *inputs.shape[1:3]])
            return {"saliency": saliency, "class_ids": class_ids, "logits": logits}

        return kernel


def _add(terms: Sequence[tf.Tensor], others: Sequence[tf.Tensor]) -> list[tf.Tensor]:
    return [term + other for term, other in zip(terms, others, strict=True)]
