"""Ablation-CAM: channels weighted by what the score loses without them."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.channels import scores_by_channel
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView

SMALLEST_SCORE = 1e-6


@method
class AblationCAM(Method):
    """S = ReLU(sum_k w^k A^k), w^k = (y - y_k) / |y|: the part of the score lost without channel k.

    y is the target's logit, y_k the same logit with channel k of the layer set to zero. The paper
    divides by y, which is |y| for a class the network believes in; where y is negative, dividing by
    it would turn the weights' signs around and show what speaks against the class. |y| below 1e-6
    counts as 1e-6: the map keeps its form and stays finite.

    Only the network's part after the layer runs for each channel, and none of it for a channel that
    is zero everywhere. All targets of a picture share its passes.
    """

    name = "ablationcam"
    reference = "Desai and Ramaswamy 2020, WACV"
    many_passes = "a pass through the layers after the explained one for each of its channels"

    block_size: Count = option(32, "ablated layer outputs that go through the head at a time")

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over blocks of ablated activations."""
        graph, layer = view.network.graph, view.step.outputs[0]
        frontier = graph.frontier(view.step)

        @view.compiled(kernel_signature(view))
        def first_pass(images: tf.Tensor, class_ids: tf.Tensor) -> dict[str, tf.Tensor]:
            inputs = view.network.preprocess(images)
            activations, logits, *crossing = graph.run(
                {graph.input: inputs},
                [layer, graph.logits, *frontier],
                edits={layer: lambda tensor: tf.cast(tensor, tf.float32)},
            )
            logits = tf.cast(logits, tf.float32)
            class_ids = resolve_ranks(class_ids, logits)
            known = [activations, *crossing]
            return {"known": known, "class_ids": class_ids, "logits": logits}

        known_signature = [
            tf.TensorSpec(tensor.shape, tensor.dtype)
            for tensor in first_pass.get_concrete_function().structured_outputs["known"]
        ]

        @view.compiled(
            [
                known_signature,
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None, 2], tf.int64),
            ]
        )
        def ablated_scores(
            known: list[tf.Tensor], class_ids: tf.Tensor, pairs: tf.Tensor
        ) -> tf.Tensor:
            pictures, channels = pairs[:, 0], pairs[:, 1]
            activations, *crossing = (tf.gather(tensor, pictures) for tensor in known)
            kept = 1.0 - tf.one_hot(channels, tf.shape(activations)[-1])
            values = dict(zip(frontier, crossing, strict=True))
            values[layer] = activations * kept[:, None, None, :]
            (logits,) = graph.run(values, [graph.logits])
            logits = tf.cast(logits, tf.float32)
            return tf.gather(logits, tf.gather(class_ids, pictures), batch_dims=1)

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            first = first_pass(images, class_ids)
            activations, class_ids = first["known"][0], first["class_ids"]
            ablated = scores_by_channel(
                lambda pairs: ablated_scores(first["known"], class_ids, pairs),
                # What an empty channel weighs does not matter: it adds nothing to the sum.
                live=tf.reduce_any(activations != 0, axis=[1, 2]),
                targets=class_ids.shape[1],
                block_size=self.block_size,
                description=self.name,
            )
            scores = tf.gather(first["logits"], class_ids, batch_dims=1)[..., None]
            weights = (scores - ablated) / tf.maximum(tf.abs(scores), SMALLEST_SCORE)
            saliency = tf.nn.relu(tf.einsum("ntk,nhwk->nthw", weights, activations))
            return {"saliency": saliency, "class_ids": class_ids, "logits": first["logits"]}

        return kernel
