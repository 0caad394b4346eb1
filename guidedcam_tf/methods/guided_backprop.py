"""Guided backpropagation, and its product with Grad-CAM."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import PixelMethod
from guidedcam_tf.methods.gradcam import GradCAM
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.relevance_rules import hides_rectifier
from guidedcam_tf.methods.relevance_rules import is_rectifier
from guidedcam_tf.networks import LayerView


@tf.custom_gradient
def positive_gradient(tensor: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
    """The identity, whose gradient lets through what is positive."""
    return tf.identity(tensor), tf.nn.relu


@method
class GuidedBackprop(PixelMethod):
    """S = max_c |D_c|, D being dY/dx where each ReLU passes positive gradients only.

    A ReLU passes a gradient back where its input is positive (as ever) and where the gradient
    itself is. On a network without ReLUs, D is the gradient. The map is sharp, but hardly depends
    on the class (Adebayo et al. 2018, arXiv 1810.03292).
    """

    name = "guided_backprop"
    reference = "Springenberg et al. 2015, ICLR Workshop (arXiv 1412.6806), section 3.4"

    def check(self, view: LayerView) -> None:
        """Warn of a network without ReLUs, and of those within a layer."""
        steps = view.network.graph.picture_steps
        hidden = ", ".join(repr(step.name) for step in steps if hides_rectifier(step))
        if hidden:
            warnings.warn(
                f"{self.name} takes the plain gradient at the ReLUs within {hidden} of model "
                f"{view.network.name!r}: make them layers of the model to guide them",
                stacklevel=6,
            )
        elif not any(map(is_rectifier, steps)):
            warnings.warn(
                f"model {view.network.name!r} has no ReLU, so {self.name} takes the plain gradient",
                stacklevel=6,
            )

    def maps(self, inputs: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """Return S."""
        return {"saliency": tf.reduce_max(tf.abs(gradients), axis=-1)}

    def logits_of(self, view: LayerView, inputs: tf.Tensor) -> tf.Tensor:
        """The forward pass, with `positive_gradient` behind each ReLU."""
        graph = view.network.graph
        slots = [step.outputs[0] for step in graph.picture_steps if is_rectifier(step)]
        edits = dict.fromkeys(slots, positive_gradient)
        (logits,) = graph.run({graph.input: inputs}, [graph.logits], edits)
        return tf.cast(logits, tf.float32)


@method
class GuidedGradCAM(GuidedBackprop):
    """S = U(Grad-CAM) * guided backpropagation: fine detail where the layer sees the class.

    U resizes Grad-CAM's map at the layer to the input's size, bilinearly.
    """

    name = "guided_gradcam"
    reference = "Selvaraju et al. 2017, ICCV, section 3.2"
    needs_layer = True
    of_picture = True

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Multiply the two maps."""
        fine, coarse = (
            kind.of_inputs(view, inputs, class_ids) for kind in (GuidedBackprop(), GradCAM())
        )
        maps = coarse["saliency"]
        flat = tf.reshape(maps, [-1, *tf.unstack(tf.shape(maps)[2:], len(view.step.shape) - 2)])
        resized = view.enlarger()(flat, tf.shape(inputs)[1:-1])
        return {
            **fine,
            "saliency": tf.reshape(resized, tf.shape(fine["saliency"])) * fine["saliency"],
        }
