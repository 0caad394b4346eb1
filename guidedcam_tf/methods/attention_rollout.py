"""Attention rollout: the attention of all blocks, multiplied."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.attention import read_attention


@method
class AttentionRollout(OnePass):
    """S = the class token's row of R = R_L ... R_1, with R_l = (mean_heads A_l + I) / 2.

    A_l is the attention of block l, `[heads, T, T]`; the unit matrix stands for the path around it.
    Where the scores are made of several tokens, such as all patches, S is the mean of their rows;
    which ones they are is found out by trying. No gradient and no target enter: every target has
    the same map. All blocks are explained: the layer that an explainer is opened at does not
    matter.
    """

    name = "attention_rollout"
    reference = "Abnar and Zuidema 2020, ACL (arXiv 2005.00928), eq. 1"
    reads_attention = True

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, and multiply."""
        attention = read_attention(view.network, self.name)
        graph = attention.graph
        *weights, logits = graph.run({graph.input: inputs}, [*attention.weights, graph.logits])
        logits = tf.cast(logits, tf.float32)
        unit = tf.constant(np.eye(attention.grid.count, dtype=np.float32))
        rollout = unit
        for each in weights:
            rollout = (tf.reduce_mean(tf.cast(each, tf.float32), axis=1) + unit) / 2 @ rollout
        row = tf.reduce_mean(tf.boolean_mask(rollout, attention.read, axis=1), axis=1)
        saliency = attention.placed(row)[:, None]
        return {
            "saliency": tf.repeat(saliency, tf.shape(class_ids)[1], axis=1),
            "class_ids": resolve_ranks(class_ids, logits),
            "logits": logits,
        }
