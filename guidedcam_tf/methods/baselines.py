"""Pictures that stand for the absence of a picture."""

from __future__ import annotations

from typing import Literal

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.networks import Network

Baseline = Literal["black", "mean", "blur"]
BLUR_SIZE = 11
BLUR_SIGMA = 5.0


def baseline_inputs(network: Network, images: tf.Tensor, baseline: Baseline) -> tf.Tensor:
    """Return what the model takes for the baselines of pictures.

    Args:
        network: The network, whose preprocessing is used.
        images: Float32 RGB in 0..255, `[N, H, W, 3]`.
        baseline: `"black"` is a black picture; `"mean"` is zeros in the preprocessed input, which
            is the ImageNet mean colour for the caffe and torch modes of preprocessing, and mid-grey
            for the tf mode; `"blur"` is the picture smoothed by an 11 x 11 Gaussian of sigma 5.

    Returns:
        Float32 preprocessed pictures `[N, H, W, 3]`.
    """
    if baseline == "black":
        return network.preprocess(tf.zeros_like(images))
    if baseline == "mean":
        return tf.zeros_like(network.preprocess(images))
    return network.preprocess(_blurred(images))


def _blurred(images: tf.Tensor) -> tf.Tensor:
    planes = [
        ops.gaussian_smooth(plane, size=BLUR_SIZE, sigma=BLUR_SIGMA)
        for plane in tf.unstack(images, axis=-1)
    ]
    return tf.stack(planes, axis=-1)
