"""Integrated gradients: the gradient along the way from an empty picture to the picture."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import attributed
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import pixel_gradients
from guidedcam_tf.methods.copies import sum_over_copies
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView


@method
class IntegratedGradients(Method):
    """S = ReLU(R), R = sum_c (x_c - x_b,c) * integral over t in [0, 1] of dY/dx_c at gamma(t).

    gamma(t) = x_b + t (x - x_b) leads from a baseline x_b to the picture x, both preprocessed. R,
    the second output, is signed and complete: it adds up to Y(x) - Y(x_b). The integral is a mean
    over the midpoints of `steps` intervals.
    """

    name = "integrated_gradients"
    reference = "Sundararajan et al. 2017, ICML (arXiv 1703.01365), eq. 1"
    outputs = ("saliency", "attribution")
    many_passes = "a forward and a backward pass for each step of the path"
    needs_layer = False

    steps: Count = option(50, "n, the intervals of the path, one pass each")
    baseline: Literal["black", "mean", "blur"] = option(
        "black",
        "x_b: black, zeros in the preprocessed input (the mean colour), or the picture blurred "
        "(11 x 11 Gaussian, sigma 5)",
    )
    block_size: Count = option(16, "points of the path that go through the network at a time")

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures and blocks of points."""

        def point(x: tf.Tensor, start: tf.Tensor, key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
            return start + (tf.cast(number, tf.float32) + 0.5) / self.steps * (x - start)

        def of_points(
            points: tf.Tensor, class_ids: tf.Tensor, x: tf.Tensor, start: tf.Tensor
        ) -> Maps:
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(points)
                logits = view.network.logits_of(points)

            def of_target(target: tf.Tensor) -> Maps:
                gradients = pixel_gradients(view, tape, logits, points, target)
                return {"attribution": attributed((x - start) * gradients)["attribution"]}

            return by_target(of_target, class_ids, ["attribution"])

        integrate = sum_over_copies(
            view,
            of_points,
            point,
            outputs=["attribution"],
            weights=[1 / self.steps] * self.steps,
            block_size=self.block_size,
            description=self.name,
            baseline=self.baseline,
        )

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            maps = integrate(images, class_ids)
            return {"saliency": tf.nn.relu(maps["attribution"]), **maps}

        return kernel
