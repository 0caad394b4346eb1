"""The sum of what one pass gives, over copies of a picture: noisy ones, or points of a path."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from collections.abc import Sequence
from functools import partial
from itertools import product

import numpy as np
import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.baselines import Baseline
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.methods.options import Amount
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import Seed
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.calls import traced
from guidedcam_tf.progress import progress

OfCopies = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], Maps]
"""From copies `[B, H, W, C]`, classes `[B, T]`, x and its baseline to maps `[B, T, ...]`."""

CopyOf = Callable[[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""From x and its baseline `[H, W, C]`, a key `[2]` and a copy's number to the copy `[H, W, C]`."""


def sum_over_copies(
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
    finish: Callable[[Maps], Maps] = dict,
    targets_apart: bool = False,
) -> Kernel:
    """Return a kernel whose maps are sum_i w_i f(x_i) over copies x_i of each picture x.

    A target that is a rank is the class of that rank in the picture itself, for all copies. What a
    copy is depends on its number, the seed and the picture alone, so blocks change no copy.

    Args:
        view: The network and layer.
        of_copies: f.
        copy_of: What makes a copy.
        outputs: Which of the maps are summed.
        weights: w_i, one for each copy.
        block_size: Copies that go through the network at a time.
        description: What the progress bar calls the work.
        seed: Chooses the key that `copy_of` gets.
        baseline: The baseline that `copy_of` gets.
        finish: What makes the maps of a picture's targets, `[T, ...]`, of their sums.
        targets_apart: Finish a target before the next one begins, for sums that are large.
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

    @partial(traced, signature=[picture, picture, tf.TensorSpec([2], tf.int64), number])
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
        width = 1 if targets_apart else class_ids.shape[1]
        parts = range(0, class_ids.shape[1], width)
        blocks = range(0, len(weights), block_size)
        jobs = progress(range(len(inputs) * len(parts) * len(blocks)), description)
        found = []
        for (image, x, start, targets), part in product(
            zip(images, inputs, starts, class_ids, strict=True), parts
        ):
            key = tf.constant([seed, zlib.crc32(np.asarray(image).tobytes())], tf.int64)
            sums: Maps = {}
            for first in blocks:
                next(jobs)
                numbers = range(first, min(first + block_size, len(weights)))
                block = block_sum(
                    copied(x, start, key, tf.constant(list(numbers))),
                    x,
                    start,
                    targets[part : part + width],
                    tf.constant([weights[place] for place in numbers], tf.float32),
                )
                sums = {name: sums.get(name, 0.0) + block[name] for name in outputs}
            found.append(finish(sums))
        maps = {name: tf.concat([each[name] for each in found], axis=0) for name in found[0]}
        maps = {k: tf.reshape(m, [*class_ids.shape, *m.shape[1:]]) for k, m in maps.items()}
        return {**maps, "class_ids": class_ids, "logits": logits}

    return kernel


@method
class NoisyMethod(Method):
    """A method that sums something over noisy copies x_i = x + e_i of the preprocessed picture x.

    e_i is normal noise whose standard deviation is a part of x's range, max x - min x. It depends
    on `seed` and on the picture's content alone.

    Attributes:
        samples: How many copies.
        noise: The standard deviation's part of the range.
        seed: Chooses the noise.
        block_size: How many copies go through the network at a time.
    """

    samples: Count = option(25, "n, the noisy copies of a picture")
    noise: Amount = option(
        0.15, "standard deviation of the noise, as a part of the preprocessed picture's range"
    )
    seed: Seed = option(0, "chooses the noise")
    block_size: Count = option(16, "copies that go through the network at a time")

    def mean_over_noise(
        self, view: LayerView, of_copies: OfCopies, outputs: Sequence[str]
    ) -> Kernel:
        """Return a kernel of the mean over the copies; arguments as in `sum_over_copies`."""
        return sum_over_copies(
            view,
            of_copies,
            noisy_copy(self.noise),
            outputs=outputs,
            weights=[1 / self.samples] * self.samples,
            block_size=self.block_size,
            description=self.name,
            seed=self.seed,
        )


def noisy_copy(noise: float) -> CopyOf:
    """Return what adds normal noise of `noise` times the picture's range, by key and number."""

    def copy_of(x: tf.Tensor, start: tf.Tensor, key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        seed = tf.random.experimental.stateless_fold_in(key, number, alg="philox")
        deviation = noise * (tf.reduce_max(x) - tf.reduce_min(x))
        return x + deviation * tf.random.stateless_normal(tf.shape(x), seed, alg="philox")

    return copy_of
