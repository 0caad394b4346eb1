"""CAM: channels weighted by the last layer's own weights."""

from __future__ import annotations

import keras
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.weighted import SMOOTH
from guidedcam_tf.methods.weighted import added
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.class_pair import ClassPair
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import GLOBAL_AVERAGES
from guidedcam_tf.networks.traits import Trait

CONVOLUTIONS = (keras.layers.Conv1D, keras.layers.Conv2D, keras.layers.Conv3D)


@method
class CAM(OnePass):
    """S = ReLU(sum_k W^k M^k), W^k being the weight from channel k to the target's logit.

    Only for a layer that global average pooling and one linear layer turn into the logits. There
    the logit is the mean of sum_k W^k M^k plus a bias, and S is Grad-CAM's map times h * w.
    """

    name = "cam"
    reference = "Zhou et al. 2016, CVPR, eq. 2"
    any_extent = True

    relu: bool = option(
        True, "cut off what speaks against the target; the paper's own map is signed (False)"
    )
    smooth: bool = option(default=False, meaning=SMOOTH)

    def check(self, view: LayerView) -> None:
        """Refuse a layer that more than global average pooling and one linear layer follow."""
        view.refuse_tokens(self.name)
        _classifier(view)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network forwards only."""
        activations, logits = view.forward(inputs)
        class_ids = resolve_ranks(class_ids, logits)
        by_class = tf.reshape(_classifier(view).kernel, [activations.shape[-1], -1])
        if view.network.has_pair:
            by_class = tf.concat([-by_class, by_class], axis=1)
        weights = tf.cast(tf.transpose(by_class), tf.float32)

        def of_target(target: tf.Tensor) -> Maps:
            saliency = added(tf.gather(weights, target), activations, self.smooth)
            return {"saliency": tf.nn.relu(saliency) if self.relu else saliency}

        maps = by_target(of_target, class_ids, rank=len(view.step.shape) - 1)
        return {**maps, "class_ids": class_ids, "logits": logits}


def _classifier(view: LayerView) -> keras.layers.Layer:
    """The one linear layer between the pooled layer and the logits."""
    pooling, *later = view.network.graph.downstream(view.step)
    head = [
        step
        for step in later
        if Trait.SAME_VALUES not in step.traits and not isinstance(step.layer, ClassPair)
    ]
    if not isinstance(pooling.layer, GLOBAL_AVERAGES):
        raise _no_cam(view, pooling)
    if not head:
        raise InputError(
            f"method 'cam' needs a linear layer between {pooling.name!r} and the scores; "
            f"{view.network.name!r} has none"
        )
    if not _is_linear_classifier(head[0]):
        raise _no_cam(view, head[0])
    if len(head) > 1:
        raise _no_cam(view, head[1])
    return head[0].layer


def _is_linear_classifier(step: Step) -> bool:
    if isinstance(step.layer, CONVOLUTIONS):
        return set(step.layer.kernel_size) == {1} and step.layer.groups == 1
    return isinstance(step.layer, keras.layers.Dense)


def _no_cam(view: LayerView, obstacle: Step) -> InputError:
    name, kind = obstacle.name, type(obstacle.layer).__name__
    return InputError(
        f"method 'cam' needs exactly global average pooling and one linear layer between "
        f"{view.layer!r} and the scores; {name!r} ({kind}) stands in the way"
    )
