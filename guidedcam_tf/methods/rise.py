"""RISE: the mean of random masks, weighted by what the network still sees through them."""

from __future__ import annotations

from functools import partial

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.masking import BLOCK
from guidedcam_tf.methods.masking import SCORE
from guidedcam_tf.methods.masking import MaskedMethod
from guidedcam_tf.methods.masking import MaskOf
from guidedcam_tf.methods.masking import Score
from guidedcam_tf.methods.masking import weighted_masks
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import Fraction
from guidedcam_tf.methods.options import Seed
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks.calls import traced


@method
class RISE(MaskedMethod):
    """S = 1 / (N p) * sum_i f_c(x * M_i) M_i, over N random masks M_i whose mean is p.

    A mask is a grid of s x s cells, each 1 with probability p or else 0, enlarged bilinearly to
    s + 1 cells of the picture and cut to it at a random place. So S estimates the mean score of the
    pictures that show a pixel, with a variance that falls as 1 / N. x is the preprocessed picture:
    what is masked has the mean colour.

    It explains the picture: the layer that an explainer is opened at does not matter. The masks
    depend on `seed` and the picture's size alone. One forward pass for each mask.
    """

    name = "rise"
    reference = "Petsiuk et al. 2018, BMVC (arXiv 1806.07421), eq. 6 and section 3.2"
    many_passes = "a forward pass for each of thousands of masks"

    samples: Count = option(4000, "N, the masks")
    cells: Count = option(7, "s, the cells of a mask's grid along each side")
    keep: Fraction = option(0.5, "p, the probability that a cell is seen")
    score: Score = option("prob", SCORE)
    seed: Seed = option(0, "chooses the masks")
    block_size: Count = option(32, BLOCK)

    def masks(self, height: int, width: int) -> tuple[int, MaskOf]:
        """Return what makes random masks, each from its number and the seed alone."""
        steps = (-(-height // self.cells), -(-width // self.cells))
        key = tf.constant([self.seed, 0], tf.int64)

        def grid_and_shift(number: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            seed = tf.random.experimental.stateless_fold_in(key, number, alg="philox")
            drawn = tf.random.stateless_uniform([self.cells**2 + 2], seed, alg="philox")
            shift = tf.cast(drawn[-2:] * tf.constant(steps, tf.float32), tf.int32)
            grid = tf.reshape(drawn[:-2], [self.cells, self.cells])
            return tf.cast(grid < self.keep, tf.float32), shift

        @partial(traced, signature=[tf.TensorSpec([None], tf.int64)])
        def mask_of(numbers: tf.Tensor) -> tf.Tensor:
            grids, shifts = tf.map_fn(
                grid_and_shift, numbers, fn_output_signature=(tf.float32, tf.int32)
            )
            size = [(self.cells + 1) * step for step in steps]
            enlarged = tf.image.resize(grids[..., None], size)[..., 0]
            return tf.map_fn(
                lambda pair: tf.slice(pair[0], pair[1], [height, width]),
                (enlarged, shifts),
                fn_output_signature=tf.float32,
            )

        return self.samples, mask_of

    def maps(self, mask_of: MaskOf, scores: tf.Tensor, own: tf.Tensor) -> Maps:
        """Return S."""
        return {"saliency": weighted_masks(mask_of, scores) / (self.samples * self.keep)}
