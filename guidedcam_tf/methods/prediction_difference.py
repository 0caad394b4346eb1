"""Prediction difference: what a patch says about a class that its surroundings do not."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.masking import BLOCK
from guidedcam_tf.methods.masking import MaskedMethod
from guidedcam_tf.methods.masking import MaskOf
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import Seed
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.patches import SIZE
from guidedcam_tf.methods.patches import STRIDE
from guidedcam_tf.methods.patches import Pixels
from guidedcam_tf.methods.patches import mean_over_patches
from guidedcam_tf.methods.patches import patch_masks
from guidedcam_tf.networks import LayerView


@method
class PredictionDifference(MaskedMethod):
    """S = ReLU(R), R = the mean, over the patches w that cover a pixel, of the weight of evidence.

    The weight of evidence of w for class c is log2 odds p(c | x) - log2 odds p(c | x without w), in
    bits; p(c | x without w) is the mean of p over `samples` pictures whose patch w holds something
    else. R, the second output, is signed.

    What else w holds is what lies at another place of the same picture, which is shifted as on a
    ring, as `seed` says. (The paper draws it from a model of photographs' patches, which would have
    to be fitted first.) So that no odds are infinite, p is moved from 0 and 1 as
    if counted in 1 / `count` steps, by Laplace's rule, as in the paper.

    It explains the picture: the layer that an explainer is opened at does not matter. One forward
    pass for each place of the patch and sample.

    Raises:
        InputError: When compiled, if the network's outputs are no probabilities.
    """

    name = "prediction_difference"
    reference = "Zintgraf et al. 2017, ICLR (arXiv 1702.04595), section 2 and Algorithm 1"
    outputs = ("saliency", "attribution")
    many_passes = "a forward pass for each place of the patch and each of its contents"

    size: Pixels = option(None, SIZE)
    stride: Pixels = option(None, STRIDE)
    samples: Count = option(10, "how many other contents a patch is given")
    count: Count = option(
        1_000_000, "n of Laplace's rule, the pictures of which p is taken to be a part"
    )
    seed: Seed = option(0, "chooses the other contents")
    block_size: Count = option(32, BLOCK)

    score = "prob"

    def check(self, view: LayerView) -> None:
        """Refuse outputs that are no probabilities."""
        if view.network.quantity == "value":
            raise InputError(
                f"prediction_difference needs probabilities; {view.network.output_reason}, whose "
                "odds mean nothing: use occlusion"
            )

    def covers(self, inputs: tf.Tensor, cover: tf.Tensor) -> list[tf.Tensor]:
        """The pictures, shifted on a ring."""
        random = np.random.default_rng(self.seed)
        shifts = random.integers(0, inputs.shape[1:3], (self.samples, 2))
        return [tf.roll(inputs, shift, axis=[1, 2]) for shift in shifts]

    def masks(self, height: int, width: int) -> tuple[int, MaskOf]:
        """Return what makes masks that are 0 in a patch."""
        return patch_masks(self.name, self.size, self.stride, height, width)

    def maps(self, mask_of: MaskOf, scores: tf.Tensor, own: tf.Tensor) -> Maps:
        """Return S and R."""

        def log_odds(p: tf.Tensor) -> tf.Tensor:
            p = tf.cast(p, tf.float64)
            return tf.math.log((p * self.count + 1) / ((1 - p) * self.count + 1)) / math.log(2)

        evidence = tf.cast(log_odds(own)[..., None] - log_odds(scores), tf.float32)
        attribution = mean_over_patches(mask_of, evidence)
        return {"saliency": tf.nn.relu(attribution), "attribution": attribution}
