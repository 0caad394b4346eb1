"""How scores change where parts of a picture are covered: what the perturbation methods share."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.baselines import Baseline
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.methods.channels import scores_by_channel
from guidedcam_tf.networks import LayerView

Score = Literal["prob", "logit"]

SCORE = "f_c: probability (softmax, or sigmoid where the model ends in one) or logit"
BLOCK = "masked pictures that go through the network at a time"

MaskOf = Callable[[tf.Tensor], tf.Tensor]
"""From the numbers of masks, int64 `[B]`, to the masks, float32 `[B, H, W]` in `[0, 1]`."""

SUMMED = 64
"""How many masks are summed at a time, whatever the block size: so no rounding depends on it."""


KEPT = 4
"""For how many sizes of pictures what makes the masks is kept."""


class MaskedMethod(Method):
    """A method that explains a picture by the scores of f_c(x * M + cover * (1 - M)) for masks M.

    The masks are the same for all pictures of a size. They are made block by block and never kept
    together, and every target of a picture shares its passes.

    Attributes:
        score: Which score f_c is.
        block_size: How many masked pictures go through the network at a time.
    """

    needs_layer = False

    score: Score
    block_size: int

    @property
    def cover(self) -> Baseline:
        """The picture that covers."""
        return "mean"

    def covers(self, inputs: tf.Tensor, cover: tf.Tensor) -> list[tf.Tensor]:
        """What the network sees where a mask is 0, one after another, `[N, H, W, C]` each."""
        return [cover]

    def masks(self, height: int, width: int) -> tuple[int, MaskOf]:
        """How many masks a picture of that size has, and what makes them."""
        raise NotImplementedError

    def maps(self, mask_of: MaskOf, scores: tf.Tensor, own: tf.Tensor) -> Maps:
        """The method's formula.

        Args:
            mask_of: What `masks` returned.
            scores: f_c of the masked pictures, float32 `[N, T, masks]`, their mean over `covers`.
            own: f_c of the pictures themselves, float32 `[N, T]`.

        Returns:
            Float32 `[N, T, H, W]` for each of `outputs`.
        """
        raise NotImplementedError

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over blocks of masked pictures."""
        self.check(view)
        network, masks_for = view.network, lru_cache(KEPT)(self.masks)
        masked_scores = compiled_masked_scores(view, self.score)

        @view.compiled(kernel_signature(view))
        def first_pass(images: tf.Tensor, class_ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inputs = network.preprocess(images)
            logits = network.logits_of(inputs)
            class_ids = resolve_ranks(class_ids, logits)
            cover = baseline_inputs(network, images, self.cover)
            return inputs, cover, class_ids, logits, scores_of(view, self.score, logits, class_ids)

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs, cover, class_ids, logits, own = first_pass(images, class_ids)
            count, mask_of = masks_for(*inputs.shape[1:3])

            def scores_under(cover: tf.Tensor) -> tf.Tensor:
                return scores_by_channel(
                    lambda pairs: masked_scores(
                        inputs, cover, class_ids, pairs[:, 0], mask_of(pairs[:, 1])
                    ),
                    live=tf.ones([inputs.shape[0], count], tf.bool),
                    targets=class_ids.shape[1],
                    block_size=self.block_size,
                    description=self.name,
                )

            found = [scores_under(each) for each in self.covers(inputs, cover)]
            scores = tf.add_n(found) / len(found)
            maps = self.maps(mask_of, scores, own)
            return {**maps, "class_ids": class_ids, "logits": logits}

        return kernel


def scores_of(view: LayerView, score: Score, logits: tf.Tensor, class_ids: tf.Tensor) -> tf.Tensor:
    """f_c for logits `[N, classes]` and targets `[N, T]`, float32 `[N, T]`."""
    scores = view.network.probabilities(logits) if score == "prob" else logits
    return tf.gather(scores, class_ids, batch_dims=1)


def compiled_masked_scores(view: LayerView, score: Score) -> Callable[..., tf.Tensor]:
    """What computes f_c of masked pictures, float32 `[B, T]`.

    It takes the pictures and their covers, preprocessed, `[N, H, W, C]`, the targets `[N, T]`, and
    for each of B masks the place of its picture, int64 `[B]`, and the mask, `[B, H, W]`.
    """
    network = view.network
    picture = tf.TensorSpec([None, *network.graph.input_shape[1:]], tf.float32)
    targets = tf.TensorSpec([None, None], tf.int32)
    places = tf.TensorSpec([None], tf.int64)

    @view.compiled([picture, picture, targets, places, tf.TensorSpec([None] * 3)])
    def masked_scores(
        inputs: tf.Tensor,
        cover: tf.Tensor,
        class_ids: tf.Tensor,
        pictures: tf.Tensor,
        masks: tf.Tensor,
    ) -> tf.Tensor:
        inputs, cover = tf.gather(inputs, pictures), tf.gather(cover, pictures)
        masks = masks[..., None]
        logits = network.logits_of(masks * inputs + (1.0 - masks) * cover)
        return scores_of(view, score, logits, tf.gather(class_ids, pictures))

    return masked_scores


def weighted_masks(mask_of: MaskOf, weights: tf.Tensor) -> tf.Tensor:
    """sum_i w_i M_i, float32 `[N, T, H, W]` for weights `[N, T, masks]`."""
    total: tf.Tensor = 0.0
    for start in range(0, weights.shape[-1], SUMMED):
        block = weights[..., start : start + SUMMED]
        numbers = start + tf.range(block.shape[-1], dtype=tf.int64)
        total += tf.tensordot(block, mask_of(numbers), axes=1)
    return total
