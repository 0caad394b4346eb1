"""Integrated Grad-CAM: Grad-CAM averaged on the way from an empty picture to the picture."""

from __future__ import annotations

from typing import Literal

import numpy as np
import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.base import target_gradients
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView
from guidedcam_tf.progress import progress


@method
class IntegratedGradCAM(Method):
    """S = integral over t in [0, 1] of ReLU(sum_k lambda^k(t) D^k(t)): Grad-CAM along a path.

    gamma(t) = x_b + t (x - x_b) leads from a baseline x_b to the picture x, both preprocessed;
    lambda^k(t) is the mean over the channel of the target's gradient at gamma(t), and D^k(t) is
    A^k(gamma(t)), the activation itself, as in the authors' code. In the paper it is the change
    from the baseline, t (A^k(gamma(t)) - A^k(x_b)).

    The integral is a weighted mean over points of the path, so the map has the magnitude of one
    Grad-CAM map. The authors' code sums; its map is `steps` times as large.

    The authors feed pictures without subtracting a mean, so that their baseline of zeros is both a
    black picture and an empty input. Here it is the black picture, as the paper says.
    """

    name = "integrated_gradcam"
    reference = "Sattarzadeh et al. 2021, ICASSP (arXiv 2102.07805)"
    many_passes = "a forward pass and a gradient for each step of the path"

    steps: Count = option(
        50, "n, the intervals of the path: n passes, n + 1 for the trapezoid rule"
    )
    baseline: Literal["black", "mean", "blur"] = option(
        "black",
        "x_b: black, zeros in the preprocessed input (the mean colour), or the picture blurred "
        "(11 x 11 Gaussian, sigma 5)",
    )
    rule: Literal["left", "right", "midpoint", "trapezoid"] = option(
        "left", "where the intervals are sampled; left starts at the baseline and leaves out x"
    )
    subtract_baseline: bool = option(
        False, "weight the scaled change of the activations, as the paper does, not themselves"
    )
    block_size: Count = option(16, "points of the path that go through the network at a time")

    def path(self) -> tuple[np.ndarray, np.ndarray]:
        """The points t of the path and their weights, which sum to 1; float32 `[points]`."""
        n = self.steps
        if self.rule == "trapezoid":
            weights = np.full(n + 1, 1 / n, np.float32)
            weights[[0, -1]] /= 2
            return np.linspace(0, 1, n + 1, dtype=np.float32), weights
        offset = {"left": 0.0, "midpoint": 0.5, "right": 1.0}[self.rule]
        points = (np.arange(n) + offset) / n
        return points.astype(np.float32), np.full(n, 1 / n, np.float32)

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over blocks of points, those of all pictures in one queue."""
        network = view.network
        points, weights = self.path()

        @view.compiled(kernel_signature(view))
        def ends_of_path(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs = network.preprocess(images)
            start = baseline_inputs(network, images, self.baseline)
            logits = view.forward(inputs)[1]
            class_ids = resolve_ranks(class_ids, logits)
            ends = {"inputs": inputs, "start": start, "class_ids": class_ids, "logits": logits}
            if self.subtract_baseline:
                ends["start_activations"] = view.forward(start)[0]
            return ends

        ends_signature = {
            name: tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)
            for name, tensor in ends_of_path.get_concrete_function().structured_outputs.items()
        }

        @view.compiled(
            [
                ends_signature,
                tf.TensorSpec([None], tf.int32),
                tf.TensorSpec([None], tf.float32),
            ]
        )
        def gradcam_at(ends: Maps, pictures: tf.Tensor, t: tf.Tensor) -> tf.Tensor:
            own = {name: tf.gather(tensor, pictures) for name, tensor in ends.items()}
            t = t[:, None, None, None]
            inputs = (1.0 - t) * own["start"] + t * own["inputs"]
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(inputs)
                activations, logits = view.forward(inputs)
            weighted = activations
            if self.subtract_baseline:
                weighted = t * (activations - own["start_activations"])

            def of_target(target: tf.Tensor) -> Maps:
                gradients = target_gradients(view, tape, logits, activations, target)
                weights = ops.channel_weights(gradients)
                return {"saliency": ops.weighted_aggregation(weights, weighted)}

            return by_target(of_target, own["class_ids"])["saliency"]

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            ends = ends_of_path(images, class_ids)
            count = len(images)
            pictures = np.repeat(np.arange(count, dtype=np.int32), len(points))
            t = np.tile(points, count)
            blocks = []
            for start in progress(range(0, len(t), self.block_size), self.name):
                part = slice(start, start + self.block_size)
                blocks.append(gradcam_at(ends, tf.constant(pictures[part]), tf.constant(t[part])))
            maps = tf.concat(blocks, axis=0)
            maps = tf.reshape(maps, [count, len(points), *maps.shape[1:]])
            saliency = tf.einsum("p,npthw->nthw", weights, maps)
            return {"saliency": saliency, "class_ids": ends["class_ids"], "logits": ends["logits"]}

        return kernel
