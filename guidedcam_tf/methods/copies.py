"""The mean of a one-pass method over copies of a picture: noisy ones, or points of a path."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.baselines import Baseline
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.networks import LayerView
from guidedcam_tf.progress import progress

OfCopies = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], Maps]
"""From copies `[B, H, W, C]`, classes `[B, T]`, x and its baseline to maps `[B, T, ...]`."""

CopyOf = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""From x and its baseline `[H, W, C]`, a key `[2]` and a copy's number to the copy `[H, W, C]`."""


def mean_over_copies(
    view: LayerView,
    of_copies: OfCopies,
    copy_of: CopyOf,
    *,
    outputs: Sequence[str],
    weights: Sequence[float],
    block_size: int,
    description: str,
    seed: int = 0,
    baseline: Baseline = "mean",
) -> Kernel:
    """Return a kernel whose maps are sum_i w_i f(x_i) over copies x_i of each picture x.

    A target that is a rank is the class of that rank in the picture itself, for all copies. What a
    copy is depends on its number, the seed and the picture alone, so blocks change no copy.

    Args:
        view: The network and layer.
        of_copies: f.
        copy_of: What makes a copy.
        outputs: Which of the maps are averaged.
        weights: w_i, one for each copy.
        block_size: Copies that go through the network at a time.
        description: What the progress bar calls the work.
        seed: Chooses the key that `copy_of` gets.
        baseline: The baseline that `copy_of` gets.
    """
    network = view.network

    @view.compiled(kernel_signature(view))
    def clean_pass(images: tf.Tensor, class_ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
        inputs = network.preprocess(images)
        logits = network.logits_of(inputs)
        starts = baseline_inputs(network, images, baseline)
        return inputs, starts, resolve_ranks(class_ids, logits), logits

    picture = tf.TensorSpec(network.graph.input_shape[1:], tf.float32)
    number, share = tf.TensorSpec([None], tf.int32), tf.TensorSpec([None], tf.float32)

    @tf.function(input_signature=[picture, picture, tf.TensorSpec([2], tf.int64), number])
    def copied(x: tf.Tensor, start: tf.Tensor, key: tf.Tensor, numbers: tf.Tensor) -> tf.Tensor:
        return tf.map_fn(
            lambda each: copy_of(x, start, key, each), numbers, fn_output_signature=tf.float32
        )

    @view.compiled([tf.TensorSpec([None, *picture.shape]), picture, picture, number, share])
    def block_sum(
        copies: tf.Tensor, x: tf.Tensor, start: tf.Tensor, targets: tf.Tensor, shares: tf.Tensor
    ) -> Maps:
        maps = of_copies(copies, tf.repeat(targets[None], tf.shape(copies)[0], axis=0), x, start)
        return {name: tf.tensordot(shares, maps[name], axes=1) for name in outputs}

    def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        inputs, starts, class_ids, logits = clean_pass(images, class_ids)
        blocks = range(0, len(weights), block_size)
        jobs = progress(range(len(inputs) * len(blocks)), description)
        found = []
        for image, x, start, targets in zip(images, inputs, starts, class_ids, strict=True):
            key = tf.constant([seed, zlib.crc32(np.asarray(image).tobytes())], tf.int64)
            sums: Maps = {}
            for first in blocks:
                next(jobs)
                numbers = range(first, min(first + block_size, len(weights)))
                part = block_sum(
                    copied(x, start, key, tf.constant(list(numbers))),
                    x,
                    start,
                    targets,
                    tf.constant([weights[place] for place in numbers], tf.float32),
                )
                sums = {name: sums.get(name, 0.0) + part[name] for name in outputs}
            found.append(sums)
        maps = {name: tf.stack([sums[name] for sums in found]) for name in outputs}
        return {**maps, "class_ids": class_ids, "logits": logits}

    return kernel


def noisy_copy(noise: float) -> CopyOf:
    """Return what adds normal noise of `noise` times the picture's range, by key and number."""

    def copy_of(x: tf.Tensor, start: tf.Tensor, key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        seed = tf.random.experimental.stateless_fold_in(key, number, alg="philox")
        deviation = noise * (tf.reduce_max(x) - tf.reduce_min(x))
        return x + deviation * tf.random.stateless_normal(tf.shape(x), seed, alg="philox")

    return copy_of
