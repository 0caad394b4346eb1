"""Score-CAM: channels weighted by the score of the picture seen through them."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import kernel_signature
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.methods.channels import scores_by_channel
from guidedcam_tf.methods.masking import BLOCK
from guidedcam_tf.methods.masking import SCORE
from guidedcam_tf.methods.masking import Score
from guidedcam_tf.methods.masking import scores_of
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView


@method
class ScoreCAM(Method):
    """S = ReLU(sum_k s^k A^k), s^k = f_c(x * H^k), H^k = min-max of A^k upsampled to the input.

    x is the preprocessed picture, so where the mask H^k is 0 the network sees the colour that
    preprocessing makes zero: the ImageNet mean for Keras Applications. f_c is the score of target
    c. A constant channel has no H^k: its s^k is 0 and no pass is spent on it. The paper's increase
    of confidence f_c(x * H^k) - f_c(x_b) needs a `baseline` x_b; `"none"` is the authors' code.

    All targets of a picture share its passes.
    """

    name = "scorecam"
    reference = "Wang et al. 2020, CVPR Workshops, Algorithm 1, weights as in the authors' code"
    many_passes = "a forward pass for each channel of the layer"

    score: Score = option("prob", SCORE)
    baseline: Literal["none", "black", "mean", "blur"] = option(
        "none",
        "picture x_b whose score is subtracted: black, zeros in the preprocessed input (the mean "
        "colour), or the picture blurred (11 x 11 Gaussian, sigma 5)",
    )
    normalize_weights: Literal["none", "channel_softmax"] = option(
        "none", "channel_softmax makes the s^k positive with sum 1; it cancels the baseline"
    )
    block_size: Count = option(32, BLOCK)

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over blocks of masked pictures."""
        network = view.network
        _, height, width, channel_count = view.step.shape
        masks_of = view.enlarger(masks_from)

        @view.compiled(kernel_signature(view))
        def first_pass(images: tf.Tensor, class_ids: tf.Tensor) -> tuple[tf.Tensor, ...]:
            inputs = network.preprocess(images)
            activations, logits = view.forward(inputs)
            class_ids = resolve_ranks(class_ids, logits)
            channels = tf.transpose(activations, [0, 3, 1, 2])
            baseline = self._baseline_scores(view, images, class_ids)
            return inputs, channels, class_ids, logits, baseline

        @view.compiled(
            [
                tf.TensorSpec([None, *network.graph.input_shape[1:]], tf.float32),
                tf.TensorSpec([None, channel_count, height, width], tf.float32),
                tf.TensorSpec([None, None], tf.int32),
                tf.TensorSpec([None, 2], tf.int64),
            ]
        )
        def masked_scores(
            inputs: tf.Tensor, channels: tf.Tensor, class_ids: tf.Tensor, pairs: tf.Tensor
        ) -> tf.Tensor:
            pictures, size = pairs[:, 0], tf.shape(inputs)[1:3]
            masks = masks_of(tf.gather_nd(channels, pairs), size)
            masked = tf.gather(inputs, pictures) * masks[..., None]
            targets = tf.gather(class_ids, pictures)
            return scores_of(view, self.score, view.forward(masked)[1], targets)

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs, channels, class_ids, logits, baseline = first_pass(images, class_ids)
            live = self.live(channels)
            scores = scores_by_channel(
                lambda pairs: masked_scores(inputs, channels, class_ids, pairs),
                live=live,
                targets=class_ids.shape[1],
                block_size=self.block_size,
                description=self.name,
            )
            weights = self._weights(scores, baseline, live)
            saliency = tf.nn.relu(tf.einsum("ntk,nkhw->nthw", weights, channels))
            return {"saliency": saliency, "class_ids": class_ids, "logits": logits}

        return kernel

    def live(self, channels: tf.Tensor) -> tf.Tensor:
        """Which channels are used, bool `[N, K]`: those that vary in space, `[N, K, h, w]`."""
        return tf.reduce_any(ops.min_max(channels) > 0, axis=[-2, -1])

    def _baseline_scores(
        self, view: LayerView, images: tf.Tensor, class_ids: tf.Tensor
    ) -> tf.Tensor:
        """f_c(x_b), float32 `[N, T]`; zero where there is no baseline."""
        if self.baseline == "none":
            return tf.zeros_like(class_ids, tf.float32)
        inputs = baseline_inputs(view.network, images, self.baseline)
        return scores_of(view, self.score, view.forward(inputs)[1], class_ids)

    def _weights(self, scores: tf.Tensor, baseline: tf.Tensor, live: tf.Tensor) -> tf.Tensor:
        """s^k from the masked scores `[N, T, K]`; zero for channels that are not live."""
        live, increases = live[:, None, :], scores - baseline[..., None]
        if self.normalize_weights == "channel_softmax":
            increases = tf.nn.softmax(tf.where(live, increases, increases.dtype.min))
        return tf.where(live, increases, 0.0)


def masks_from(channels: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """H^k: the min-max of channels `[M, h, w]` resized, float32 `[M, H, W]` in `[0, 1]`."""
    return ops.min_max(ops.resize_maps(channels, size))
