"""Occlusion: how far the score drops where a patch covers the picture."""

from __future__ import annotations

from typing import Annotated
from typing import Literal

import tensorflow as tf
from pydantic import Field

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.baselines import Baseline
from guidedcam_tf.methods.masking import BLOCK
from guidedcam_tf.methods.masking import SCORE
from guidedcam_tf.methods.masking import MaskedMethod
from guidedcam_tf.methods.masking import MaskOf
from guidedcam_tf.methods.masking import Score
from guidedcam_tf.methods.masking import weighted_masks
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option

Pixels = Annotated[
    Annotated[int, Field(ge=1)] | None, "a whole number of at least 1 pixels, or None"
]
PATCHES = 7
"""How many patches side by side the shorter side of a picture holds, unless a size is given."""


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

    size: Pixels = option(
        None, "the patch's side in pixels; None for a seventh of the picture's shorter side"
    )
    stride: Pixels = option(None, "pixels from patch to patch; None for half of `size`")
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
        """Return what makes masks that are 0 in a patch, row by row of patches.

        Raises:
            InputError: If the patch is larger than the picture, or leaves gaps.
        """
        size = self.size or max(1, round(min(height, width) / PATCHES))
        stride = self.stride or max(1, size // 2)
        if size > min(height, width):
            raise InputError(
                f"occlusion: size must be at most {min(height, width)}, the shorter side of a "
                f"picture of {height} x {width}; received {size}"
            )
        if stride > size:
            raise InputError(
                f"occlusion: stride must be at most size, {size}, so that every pixel is covered; "
                f"received {stride}"
            )
        tops, lefts = (_starts(side, size, stride) for side in (height, width))

        def mask_of(numbers: tf.Tensor) -> tf.Tensor:
            rows = _inside(tf.gather(tops, numbers // len(lefts)), size, height)
            columns = _inside(tf.gather(lefts, numbers % len(lefts)), size, width)
            return 1.0 - rows[:, :, None] * columns[:, None, :]

        return len(tops) * len(lefts), mask_of

    def maps(self, mask_of: MaskOf, scores: tf.Tensor, own: tf.Tensor) -> Maps:
        """Return S and R."""

        def patch_of(numbers: tf.Tensor) -> tf.Tensor:
            return 1.0 - mask_of(numbers)

        drops = weighted_masks(patch_of, own[..., None] - scores)
        attribution = drops / weighted_masks(patch_of, tf.ones_like(scores[:1, :1]))
        return {"saliency": tf.nn.relu(attribution), "attribution": attribution}


def _starts(side: int, size: int, stride: int) -> list[int]:
    """Where patches begin along a side; the last one ends at the edge."""
    last = side - size
    return [*range(0, last, stride), last]


def _inside(starts: tf.Tensor, size: int, side: int) -> tf.Tensor:
    """1 from each start on for `size` pixels, else 0, float32 `[B, side]`."""
    offsets = tf.range(side)[None] - starts[:, None]
    return tf.cast((offsets >= 0) & (offsets < size), tf.float32)
