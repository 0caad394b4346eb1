"""Several one-pass methods on one forward pass and one gradient."""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf

from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.networks import LayerView


@dataclass(frozen=True)
class Together(GradientMethod):
    """Computes what several one-pass methods compute, for the price of one.

    For comparisons, where all methods explain the same target at the same layer. Its outputs are
    the methods' saliency maps, by their places in `methods`: `"0"`, `"1"`, ...

    Attributes:
        methods: The methods.
    """

    methods: tuple[GradientMethod, ...]

    name = "together"
    reference = "those of the methods"

    @property
    def outputs(self) -> tuple[str, ...]:  # type: ignore[override]
        """The methods' places."""
        return tuple(str(place) for place in range(len(self.methods)))

    def check(self, view: LayerView) -> None:
        """Warn as each of the methods does."""
        for method in self.methods:
            method.check(view)

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return each method's saliency map."""
        return {
            place: method.maps(activations, gradients)["saliency"]
            for place, method in zip(self.outputs, self.methods, strict=True)
        }
