"""LeGrad: what more attention to each token would do for the score, in every block."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import OnePass
from guidedcam_tf.methods.base import by_target
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.options import method
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.attention import read_attention


@method
class LeGrad(OnePass):
    """S = sum_l mean_(head, query) ReLU(dY^l / dA^l): a number for each key token of a place.

    A^l is the attention of block l, `[heads, T, T]`, and Y^l the target's logit that the rest of
    the network after its last block makes of the tokens after block l; Y^L is the logit itself.

    All blocks are explained: the layer that an explainer is opened at does not matter.
    """

    name = "legrad"
    reference = "Bousselham et al. 2024, arXiv 2404.03214, eq. 7 to 10"
    reads_attention = True

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, its end once more for each block, and differentiate each."""
        network = view.network
        attention = read_attention(network, self.name)
        graph, ends = attention.graph, attention.ends
        if not ends:
            raise InputError(
                f"legrad needs blocks of attention that are alike; those of {network.name!r} are "
                "not: choose attention_rollout, gradcam or another method of gradients"
            )
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            wanted = [*attention.weights, *ends, graph.logits]
            values = dict(zip(wanted, graph.run({graph.input: inputs}, wanted), strict=True))
            scores = [
                tf.cast(graph.run({ends[-1]: values[end]}, [graph.logits])[0], tf.float32)
                for end in ends
            ]
        class_ids = resolve_ranks(class_ids, scores[-1])

        def of_target(target: tf.Tensor) -> Maps:
            seed = tf.one_hot(target, tf.shape(scores[-1])[1])
            pairs = zip(attention.weights, scores, strict=True)
            gradients = [tape.gradient(score, values[slot], seed) for slot, score in pairs]
            total = tf.add_n([tf.reduce_mean(tf.nn.relu(g), axis=[1, 2]) for g in gradients])
            return {"saliency": attention.placed(tf.cast(total, tf.float32))}

        maps = by_target(of_target, class_ids)
        return {**maps, "class_ids": class_ids, "logits": scores[-1]}
