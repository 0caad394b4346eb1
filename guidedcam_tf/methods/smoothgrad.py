"""SmoothGrad: the mean of a one-pass method's map over noisy copies of the picture."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.copies import NoisyMethod
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
class SmoothGrad(NoisyMethod):
    """S = (1 / n) sum_i s(x + e_i): the mean of a one-pass method's map s.

    s is the gradient's map unless another is asked for, by name: `smooths="gradcam"`. With
    `noise=0`, S is s.
    """

    name = "smoothgrad"
    reference = "Smilkov et al. 2017, arXiv 1706.03825"
    many_passes = "a forward and a backward pass for each noisy copy of the picture"

    smooths: Annotated[
        str, AfterValidator(_one_pass), "the name of a method of one pass, such as 'gradcam'"
    ] = option("gradient", "the one-pass method whose maps are averaged, by its name")

    @property
    def needs_layer(self) -> bool:  # type: ignore[override]
        """Whether the smoothed method does."""
        return _smoothed(self.smooths).needs_layer

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures and blocks of noisy copies."""
        smoothed = _smoothed(self.smooths)
        smoothed.check(view)
        return self.mean_over_noise(
            view,
            lambda copies, classes, x, start: smoothed.of_inputs(view, copies, classes),
            self.outputs,
        )
