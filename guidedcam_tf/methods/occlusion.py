"""Occlusion: how far the score drops where a patch covers the picture."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.baselines import Baseline
from guidedcam_tf.methods.masking import BLOCK
from guidedcam_tf.methods.masking import SCORE
from guidedcam_tf.methods.masking import MaskedMethod
from guidedcam_tf.methods.masking import MaskOf
from guidedcam_tf.methods.masking import Score
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.patches import SIZE
from guidedcam_tf.methods.patches import STRIDE
from guidedcam_tf.methods.patches import Pixels
from guidedcam_tf.methods.patches import mean_over_patches
from guidedcam_tf.methods.patches import patch_masks


@method
class Occlusion(MaskedMethod):
    """S = ReLU(R), R = the mean over the patches that cover a pixel of f_c(x) - f_c(x covered).

    A square patch is moved over the picture, from edge to edge. R, the second output, is signed:
    where it is negative, the covered part speaks against target c.

    It explains the picture: the layer that an explainer is opened at does not matter. One forward
    pass for each place of the patch.
    """

    name = "occlusion"
    reference = "Zeiler and Fergus 2014, ECCV (arXiv 1311.2901), section 4.2"
    outputs = ("saliency", "attribution")
    many_passes = "a forward pass for each place of the patch"

    size: Pixels = option(None, SIZE)
    stride: Pixels = option(None, STRIDE)
    fill: Literal["black", "mean", "blur"] = option(
        "mean",
        "what covers: black, zeros in the preprocessed input (the mean colour), or the picture "
        "blurred (11 x 11 Gaussian, sigma 5)",
    )
    score: Score = option("prob", SCORE)
    block_size: Count = option(32, BLOCK)

    @property
    def cover(self) -> Baseline:
        """The patch's content."""
        return self.fill

    def masks(self, height: int, width: int) -> tuple[int, MaskOf]:
        """Return what makes masks that are 0 in a patch."""
        return patch_masks(self.name, self.size, self.stride, height, width)

    def maps(self, mask_of: MaskOf, scores: tf.Tensor, own: tf.Tensor) -> Maps:
        """Return S and R."""
        attribution = mean_over_patches(mask_of, own[..., None] - scores)
        return {"saliency": tf.nn.relu(attribution), "attribution": attribution}
