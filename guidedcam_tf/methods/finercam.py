"""Finer-CAM: what tells a class from the classes that look like it."""

from __future__ import annotations

from typing import Annotated

import tensorflow as tf
from pydantic import Field

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import gradients_at
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.gradcam import GradCAM
from guidedcam_tf.methods.options import Amount
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.weighted import SMOOTH
from guidedcam_tf.networks import LayerView

Other = Annotated[
    Annotated[int, Field(ge=0)] | None, "the index of a class, a whole number from 0, or None"
]


@method
class FinerCAM(OnePass):
    """Grad-CAM of Y_c - alpha * mean_d Y_d: class c, and not the classes d.

    Y is a logit. The classes d are one of the user's own, or those whose logits are nearest to the
    target's. With `alpha=0` the map is Grad-CAM's.

    Raises:
        InputError: When compiled, if the network has no class `other`, or only one class.
    """

    name = "finercam"
    reference = "Zhang et al. 2025, CVPR (arXiv 2501.11309)"
    any_extent = True

    other: Other = option(None, "the class d; None for those nearest to the target")
    nearest: Count = option(3, "how many classes d at most, where `other` is None")
    alpha: Amount = option(1.0, "how much of the others' logits is subtracted; 0 for Grad-CAM")
    smooth: bool = option(default=False, meaning=SMOOTH)

    def check(self, view: LayerView) -> None:
        """Refuse classes that the network does not have."""
        count = len(view.network.classes.names)
        if self.other is not None and self.other >= count:
            raise InputError(
                f"finercam: other must be a class of {view.network.name!r}, 0 to {count - 1}; "
                f"received {self.other}"
            )
        if count < 2:
            raise InputError(
                f"finercam tells a score from others, and {view.network.name!r} has one here: take "
                "gradcam"
            )

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, and differentiate each target's difference at the layer."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            activations, logits = view.forward(inputs)
        class_ids = resolve_ranks(class_ids, logits)

        def of_target(target: tf.Tensor) -> Maps:
            seed = self.difference(logits, target)
            gradients = gradients_at(view, tape, logits, activations, seed)
            return GradCAM(smooth=self.smooth).maps(activations, gradients)

        maps = by_target(of_target, class_ids, rank=len(view.step.shape) - 1)
        return {**maps, "class_ids": class_ids, "logits": logits}

    def difference(self, logits: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Each logit's part in the difference, float32 `[N, classes]`, for targets int32 `[N]`."""
        classes = tf.shape(logits)[1]
        one_hot = tf.one_hot(targets, classes)
        if self.other is not None:
            others = tf.one_hot(tf.fill(tf.shape(targets), self.other), classes)
        else:
            distance = tf.abs(logits - tf.gather(logits, targets, batch_dims=1)[:, None])
            count = tf.minimum(self.nearest, classes - 1)
            found = tf.math.top_k(-tf.where(one_hot > 0, tf.float32.max, distance), count)
            others = tf.reduce_mean(tf.one_hot(found.indices, classes), axis=1)
        return one_hot - self.alpha * others
