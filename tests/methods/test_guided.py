"""The proposed method and Grad-CAM: references, hand computation, identities."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import build_toy
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam

RESNET50_LAYERS = [
    "conv5_block3_out",
    "conv5_block3_3_conv",
    "conv4_block6_out",
    "conv3_block4_out",
]
VGG16_LAYERS = ["block5_conv3", "block5_pool", "block4_conv3", "block3_conv3"]
CLASSES = [285, 967]


def loops_gradcam(activations, gradients):
    """Equations 3 and 4 as loops over every element."""
    height, width, channels = activations.shape
    saliency = np.zeros((height, width))
    for k in range(channels):
        weight = gradients[:, :, k].sum() / (height * width)
        saliency += weight * activations[:, :, k]
    return np.maximum(saliency, 0)


def loops_guidance(activations, gradients):
    """Equation 5 as loops over every element."""
    guidance = np.zeros(activations.shape[:2])
    for i, j, k in np.ndindex(*activations.shape):
        guidance[i, j] += gradients[i, j, k] * activations[i, j, k]
    return np.maximum(guidance, 0)


def loops_guided(activations, gradients):
    """Equation 6 as it is printed: every channel is multiplied by G_M before it is weighted."""
    guidance = loops_guidance(activations, gradients)
    return np.maximum(
        sum(
            gradients[:, :, k].mean() * (guidance * activations[:, :, k])
            for k in range(activations.shape[2])
        ),
        0,
    )


@pytest.mark.parametrize(
    ("method", "reference"), [("gradcam", loops_gradcam), ("guided", loops_guided)]
)
def test_matches_slow_reference(toy, toy_images, method, reference):
    slow = ToyNumpy(toy)
    activations = slow.activations(toy_images)
    for target in range(3):
        gradients = slow.gradients(activations, np.full(3, target))
        expected = [reference(a, g) for a, g in zip(activations, gradients, strict=True)]
        raw = gcam.Explainer(toy).maps(toy_images, [target] * 3, method, raw=True)
        np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)
