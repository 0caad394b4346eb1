"""Excitation backpropagation: which positions win when a class asks for its evidence."""

from __future__ import annotations

from typing import ClassVar

import keras
import tensorflow as tf
from keras.src.ops.numpy import Add

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.propagation import by_sign
from guidedcam_tf.methods.propagation import of_one_unit
from guidedcam_tf.methods.propagation import propagate
from guidedcam_tf.methods.propagation import recorder
from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.methods.relevance_rules import PassBack
from guidedcam_tf.methods.relevance_rules import Rule
from guidedcam_tf.methods.relevance_rules import averaged
from guidedcam_tf.methods.relevance_rules import is_weighted
from guidedcam_tf.methods.relevance_rules import rule_of
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.graph import Step


@method
class ExcitationBackprop(OnePass):
    """S = sum_k P^k: the probability that a walk from the target's logit comes by a position.

    The walk goes from a unit j to a unit i below it with probability proportional to a_i w+_ij, the
    positive part of what i adds to j: P_i = sum_j a_i w+_ij / (sum_i a_i w+_ij) P_j, down to the
    explained layer, where S adds up to 1. Sums of branches go by their positive parts, max pooling
    by the winner, and biases take no part. A unit without any positive input ends the walk.
    """

    name = "excitation_backprop"
    reference = "Zhang et al. 2016, ECCV (arXiv 1608.00507), eq. 1"
    contrastive: ClassVar[bool] = False

    def check(self, view: LayerView) -> None:
        """Refuse a layer that the walk cannot reach, with the reason."""
        view.refuse_tokens(self.name)
        steps = view.network.graph.downstream(view.step)
        for step in steps:
            _rule_of(step, self.name)
        if self.contrastive and not any(is_weighted(step) for step in steps):
            raise InputError(
                f"{self.name} negates the weights of the last layer, but no dense layer or "
                f"convolution follows {view.layer!r}; choose an earlier layer"
            )

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, and walk back from each target's logit to the layer."""
        graph = view.network.graph
        steps = graph.downstream(view.step)
        rules = of_one_unit({step: _rule_of(step, self.name) for step in steps})
        if self.contrastive:
            last = [step for step in steps if is_weighted(step)][-1]
            rules[last] = _contrasted(rules[last])
        known, passes = recorder(graph, rules)(inputs, [])
        logits = known[graph.logits]
        class_ids = resolve_ranks(class_ids, logits)

        def of_target(target: tf.Tensor) -> Maps:
            start = tf.one_hot(target, tf.shape(logits)[1])
            walk = propagate(passes, {graph.logits: start})[view.step.outputs[0]]
            return {"saliency": tf.nn.relu(tf.reduce_sum(walk, axis=-1))}

        maps = by_target(of_target, class_ids)
        return {**maps, "class_ids": class_ids, "logits": logits}


@method
class ContrastiveExcitationBackprop(ExcitationBackprop):
    """S = ReLU(sum_k (P^k - N^k)): the walk from the target, less the one from its opposite.

    N is the walk from a unit with the last layer's negated weights, so what speaks for the target
    and for the others alike goes out. Before the ReLU, the map adds up to 0.
    """

    name = "contrastive_excitation_backprop"
    reference = "Zhang et al. 2016, ECCV (arXiv 1608.00507), section 3.3"
    contrastive: ClassVar[bool] = True


def _rule_of(step: Step, method: str) -> Rule:
    is_sum = isinstance(step.layer, (keras.layers.Add, Add))
    return averaged if is_sum else rule_of(step, method)


def _contrasted(rule: Rule) -> Rule:
    """Less the walk from the opposite unit, whose weights are negated."""
    signed = by_sign(rule)

    def contrasted(call: Call) -> PassBack:
        walk = signed(call)
        return lambda relevance: [walk(relevance)[0] - walk(-relevance)[0]]

    return contrasted
