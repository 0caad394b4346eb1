"""SISE and Ada-SISE: what several layers see of a class, from fine to coarse, in one map."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from typing import Annotated
from typing import Any

import numpy as np
import tensorflow as tf
from pydantic import Field

from guidedcam_tf import ops
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import gradients_at
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.channels import scores_by_channel
from guidedcam_tf.methods.masking import BLOCK
from guidedcam_tf.methods.masking import SCORE
from guidedcam_tf.methods.masking import SUMMED
from guidedcam_tf.methods.masking import Score
from guidedcam_tf.methods.masking import compiled_masked_scores
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.otsu import otsu
from guidedcam_tf.methods.scorecam import masks_from
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait
from guidedcam_tf.networks.view import Enlarger

MasksOf = Callable[[tf.Tensor], tf.Tensor]
"""From pairs (picture, channel), int64 `[B, 2]`, to masks `[B, H, W]`."""

Part = Annotated[float, Field(ge=0, lt=1), "a number of at least 0 and below 1"]


class _Sise(Method):
    """What SISE and Ada-SISE share: all but which channels are kept."""

    of_picture = True
    of_own_layers = True

    score: Score
    block_size: int

    def kept(self, mean_gradients: np.ndarray) -> np.ndarray:
        """Which channels of a layer mask the picture, bool `[K]`, by their mean gradients."""
        raise NotImplementedError

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that goes through the layers, and loops over blocks of masks.

        Raises:
            InputError: If the network's layers have no sizes that tell them apart.
        """
        view.refuse_tokens(self.name)
        steps = block_ends(view)
        first_pass = _compiled_first_pass(view, steps)
        enlargers = [view.enlarger(masks_from, step) for step in steps]
        masked_scores = compiled_masked_scores(view, self.score)

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs, layers, means, class_ids, logits = first_pass(images, class_ids)
            cover, fused = tf.zeros_like(inputs), None
            for channels, gradients, enlarge in zip(layers, means, enlargers, strict=True):
                masks = partial(_masks, enlarge, channels, inputs)

                def block_scores(pairs: tf.Tensor, masks: MasksOf = masks) -> tf.Tensor:
                    return masked_scores(inputs, cover, class_ids, pairs[:, 0], masks(pairs))

                kept = np.apply_along_axis(self.kept, -1, gradients.numpy()).swapaxes(0, 1)
                scores = scores_by_channel(
                    block_scores,
                    live=tf.reduce_any(ops.min_max(channels) > 0, axis=[-2, -1]) & kept.any(axis=1),
                    targets=class_ids.shape[1],
                    block_size=self.block_size,
                    description=self.name,
                )
                weights = scores * tf.cast(kept, tf.float32)
                fused = fuse(fused, layer_map(masks, weights, inputs.shape[1:3]))
            return {"saliency": fused, "class_ids": class_ids, "logits": logits}

        return kernel


def _compiled_first_pass(view: LayerView, steps: list[Step]) -> Callable[..., tuple[Any, ...]]:
    """What runs pictures once, and differentiates each target's logit at the steps.

    It returns the preprocessed pictures, for each step the channels `[N, K, h, w]` and the mean
    gradients `[T, N, K]`, and the targets and logits.
    """
    network, graph = view.network, view.network.graph
    slots = [step.outputs[0] for step in steps]
    edits = dict.fromkeys(slots, lambda tensor: tf.cast(tensor, tf.float32))

    @view.compiled(kernel_signature(view))
    def first_pass(images: tf.Tensor, class_ids: tf.Tensor) -> tuple[Any, ...]:
        inputs = network.preprocess(images)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            *layers, logits = graph.run({graph.input: inputs}, [*slots, graph.logits], edits)
            logits = tf.cast(logits, tf.float32)
        class_ids = resolve_ranks(class_ids, logits)

        def mean_gradients(targets: tf.Tensor) -> list[tf.Tensor]:
            seed = tf.one_hot(targets, tf.shape(logits)[1])
            return [
                tf.reduce_mean(gradients_at(view, tape, logits, layer, seed), axis=[1, 2])
                for layer in layers
            ]

        means = tf.map_fn(
            mean_gradients,
            tf.transpose(class_ids),
            fn_output_signature=[tf.float32] * len(layers),
        )
        channels = [tf.transpose(layer, [0, 3, 1, 2]) for layer in layers]
        return inputs, channels, means, class_ids, logits

    return first_pass


@method
class SISE(_Sise):
    """S = the layers' maps V_l, fused from the first to the last.

    V_l = sum_k f_c(x * H^k) H^k over the channels k of layer l whose mean gradient dY/dA^k is above
    `mu` times the largest; H^k = min-max of A^k upsampled to the picture, x preprocessed. Fusing
    adds V_l, scaled to [0, 1], to what came before, scaled likewise, and keeps of the sum what lies
    where V_l is above its own Otsu threshold.

    The layers are the last feature map of each size that all paths pass through, whatever layer the
    explainer is opened at. One forward pass for each channel that is kept.
    """

    name = "sise"
    reference = "Sattarzadeh et al. 2021, AAAI (arXiv 2010.00672), section 3"
    many_passes = "a forward pass for each channel of several layers"

    mu: Part = option(0.0, "channels are kept whose mean gradient exceeds this part of the largest")
    score: Score = option("prob", SCORE)
    block_size: Count = option(32, BLOCK)

    def kept(self, mean_gradients: np.ndarray) -> np.ndarray:
        """Those above mu times the largest, and above 0."""
        return mean_gradients > self.mu * max(0.0, mean_gradients.max())


@method
class AdaSISE(_Sise):
    """SISE with fewer channels: those whose mean gradient is above Otsu's threshold.

    The threshold is that of the positive mean gradients of the layer. So a part of SISE's channels
    is kept, and as many fewer passes are spent.
    """

    name = "ada_sise"
    reference = "Sudhakar et al. 2021, ICASSP (arXiv 2102.07799)"
    many_passes = "a forward pass for each of the best channels of several layers"

    score: Score = option("prob", SCORE)
    block_size: Count = option(32, BLOCK)

    def kept(self, mean_gradients: np.ndarray) -> np.ndarray:
        """Those above Otsu's threshold of the positive ones."""
        positive = mean_gradients > 0
        return positive & (mean_gradients > otsu(mean_gradients[positive]))


def block_ends(view: LayerView) -> list[Step]:
    """The last feature map of each size on all paths, the first one first.

    Raises:
        InputError: If no layer has a size that is known, as in a network of any size.
    """
    network = view.network
    ends: dict[tuple[int | None, ...], Step] = {}
    cuts, steps = set(network.graph.cuts), network.graph.picture_steps
    first = next((at for at, step in enumerate(steps) if step.is_trained), 0)
    for step in network.layers.values():
        if step in network.tokens.grids or step in steps[:first]:
            continue
        passive = Trait.REARRANGES in step.traits or Trait.PREPARES in step.traits
        if step in cuts and not passive and None not in step.shape[1:] and step.shape[-1] != 1:
            ends.pop(step.shape[1:3], None)
            ends[step.shape[1:3]] = step
    if not ends:
        raise InputError(
            f"sise looks at the last layer of each size; {network.name!r} has none whose size is "
            "known before a picture comes: give the model's input a height and a width"
        )
    return list(ends.values())


def _masks(
    enlarge: Enlarger, channels: tf.Tensor, inputs: tf.Tensor, pairs: tf.Tensor
) -> tf.Tensor:
    """H^k for pairs (picture, channel), int64 `[B, 2]`, float32 `[B, H, W]` in `[0, 1]`."""
    return enlarge(tf.gather_nd(channels, pairs), tf.shape(inputs)[1:3])


def layer_map(masks: MasksOf, weights: tf.Tensor, size: Sequence[int]) -> tf.Tensor:
    """V_l = sum_k w^k H^k, float32 `[N, T, H, W]`, for weights `[N, T, K]`."""
    found = []
    for place in range(weights.shape[0]):
        total = tf.zeros([weights.shape[1], *size])
        for start in range(0, weights.shape[2], SUMMED):
            numbers = tf.range(start, min(start + SUMMED, weights.shape[2]))
            pairs = tf.stack([tf.fill(tf.shape(numbers), place), numbers], axis=1)
            block = weights[place, :, start : start + SUMMED]
            total += tf.tensordot(block, masks(pairs), axes=1)
        found.append(total)
    return tf.stack(found)


def fuse(before: tf.Tensor | None, deeper: tf.Tensor) -> tf.Tensor:
    """Add a deeper layer's map to what came before, where that map is above its Otsu threshold."""
    deeper = ops.min_max(deeper)
    if before is None:
        return deeper
    thresholds = [[otsu(each) for each in of_picture] for of_picture in deeper.numpy()]
    above = deeper > tf.constant(thresholds, tf.float32)[..., None, None]
    return (ops.min_max(before) + deeper) * tf.cast(above, tf.float32)
