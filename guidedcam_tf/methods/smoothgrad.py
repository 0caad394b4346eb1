"""SmoothGrad: the mean of a one-pass method's map over noisy copies of the picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.copies import mean_over_copies
from guidedcam_tf.methods.copies import noisy_copy
from guidedcam_tf.methods.options import Amount
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import Seed
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView


def _one_pass(name: str) -> str:
    _smoothed(name)
    return name


def _smoothed(name: str) -> OnePass:
    from guidedcam_tf.methods import METHODS  # It imports this file.

    kind = METHODS.get(name)
    if kind is None or not issubclass(kind, OnePass):
        raise ValueError(name)
    return kind()


@method
class SmoothGrad(Method):
    """S = (1 / n) sum_i s(x + e_i): the mean of a one-pass method's map s.

    e_i is normal noise whose standard deviation is a part of the range of the preprocessed picture
    x. It depends on `seed` and on the picture alone. s is the gradient's map unless another is
    asked for, by name: `smooths="gradcam"`. With `noise=0`, S is s.
    """

    name = "smoothgrad"
    reference = "Smilkov et al. 2017, arXiv 1706.03825"
    many_passes = "a forward and a backward pass for each noisy copy of the picture"

    smooths: Annotated[
        str, AfterValidator(_one_pass), "the name of a method of one pass, such as 'gradcam'"
    ] = option("gradient", "the one-pass method whose maps are averaged, by its name")
    samples: Count = option(25, "n, the noisy copies of a picture")
    noise: Amount = option(
        0.15, "standard deviation of the noise, as a part of the preprocessed picture's range"
    )
    seed: Seed = option(0, "chooses the noise")
    block_size: Count = option(16, "copies that go through the network at a time")

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures and blocks of noisy copies."""
        smoothed = _smoothed(self.smooths)
        smoothed.check(view)
        return mean_over_copies(
            view,
            lambda copies, classes, x, start: smoothed.of_inputs(view, copies, classes),
            noisy_copy(self.noise),
            outputs=self.outputs,
            weights=[1 / self.samples] * self.samples,
            block_size=self.block_size,
            description=self.name,
            seed=self.seed,
        )
