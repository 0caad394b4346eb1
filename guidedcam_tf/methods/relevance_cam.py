"""Relevance-CAM: channels weighted by the relevance that LRP passes back to them."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.propagation import has_pair
from guidedcam_tf.methods.propagation import of_one_unit
from guidedcam_tf.methods.propagation import propagate
from guidedcam_tf.methods.propagation import recorder
from guidedcam_tf.methods.relevance_rules import rule_of
from guidedcam_tf.methods.weighted import SMOOTH
from guidedcam_tf.methods.weighted import added
from guidedcam_tf.networks import LayerView


@method
class RelevanceCAM(OnePass):
    """S = sum_k w_k A^k, w_k being the mean relevance (1 / Z) sum_ij R^k_ij of channel k.

    A^k is channel k of the layer, Z the number of its elements. R starts at the logits and is
    passed back layer by layer, each by its rule in `relevance_rules`, down to the layer.

    There is no ReLU at the end, so S has both signs. Normalising then puts its lowest value at 0:
    a position that is not relevant at all is not at zero heat when another is negative.

    The second output is the relevance itself, sum_k R^k, LRP's own map at the layer.
    """

    name = "relevance_cam"
    reference = "Lee et al. 2021, CVPR; SGLRP is Iwana et al. 2019, ICCVW"
    outputs = ("saliency", "relevance")

    init: Literal["clrp", "sglrp", "onehot"] = option(
        "clrp",
        "relevance of the logits: 1 for the target c and, for the N - 1 others, -1/N (clrp), "
        "-p_j / (1 - p_c) with p the softmax (sglrp), or 0 (onehot)",
    )
    conv_bias: Literal["twice", "none"] = option(
        "twice",
        "a convolution's bias in both halves of its z+ rule, as in the authors' code (twice), or "
        "in neither (none)",
    )
    smooth: bool = option(default=False, meaning=SMOOTH)

    def check(self, view: LayerView) -> None:
        """Refuse a network with a layer on the way to the logits that has no rule, by its name."""
        view.refuse_tokens(self.name)
        for step in view.network.graph.downstream(view.step):
            rule_of(step)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, and pass each target's relevance back to the layer."""
        graph, explained = view.network.graph, view.step.outputs[0]
        rules = of_one_unit({step: rule_of(step) for step in graph.downstream(view.step)})
        known, passes = recorder(graph, rules, self.conv_bias)(inputs, [explained])
        activations, logits = known[explained], known[graph.logits]
        class_ids = resolve_ranks(class_ids, logits)

        def passed_back(start: tf.Tensor) -> tf.Tensor:
            return propagate(passes, {graph.logits: start})[explained]

        def of_target(target: tf.Tensor) -> Maps:
            start = initial_relevance(self.init, target, logits)
            if has_pair(rules):  # The sign of a unit's relevance says whose it is.
                relevance = passed_back(tf.nn.relu(start)) - passed_back(tf.nn.relu(-start))
            else:
                relevance = passed_back(start)
            relevance.set_shape(activations.shape)  # Not all gradients know their rank.
            weights = tf.reduce_mean(relevance, axis=[1, 2])
            return {
                "saliency": added(weights, activations, self.smooth),
                "relevance": tf.reduce_sum(relevance, axis=-1),
            }

        maps = by_target(of_target, class_ids, self.outputs)
        return {**maps, "class_ids": class_ids, "logits": logits}


def initial_relevance(init: str, targets: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """The logits' relevance: 1 for the target, and none or a negative one for the others.

    SGLRP's own p_c (1 - p_c) and -p_c p_j are divided by p_c (1 - p_c), which normalising a map
    takes out anyway, so that nothing underflows where the network is sure.

    Args:
        init: As in `RelevanceCAM`.
        targets: Int32 `[N]`.
        logits: Float32 `[N, classes]`.

    Returns:
        Float32 `[N, classes]`.
    """
    classes = tf.shape(logits)[1]
    target = tf.one_hot(targets, classes)
    others = 1.0 - target
    if init == "clrp":
        return target - others / tf.cast(classes, tf.float32)
    if init == "sglrp":
        return target - others * tf.nn.softmax(tf.where(others > 0, logits, tf.float32.min))
    return target
