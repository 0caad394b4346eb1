"""What a change of the scores or of the precision does to the maps of every gradient method."""

from dataclasses import dataclass
from functools import cache

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import FORMULAS
from methods.one_pass import HEADS
from methods.one_pass import together

import guidedcam_tf as gcam
from guidedcam_tf.methods.base import GradientMethod

OPTIONS = {
    "fullgrad": {},
    "smooth_fullgrad": {"samples": 3},
    "cameras": {"sizes": (8, 12)},
    "integrated_gradcam": {"steps": 3, "rule": "right"},
}
"""The methods that take gradients in a way of their own, with options that keep them short."""

GRADIENT_METHODS = (*FORMULAS, *OPTIONS)
EPSILON_BESIDE_THE_GRADIENT = ("fullgrad", "smooth_fullgrad")
IMAGES = np.random.default_rng(7).normal(size=(3, 8, 8, 3)).astype(np.float32)


@cache
def raw_maps(head, *, factor=1.0, offset=0.0, dtype="float32"):
    """Every gradient method's maps of a toy network whose logits Y became factor * Y + offset."""
    model = build_toy(head, dtype=dtype)
    model.set_weights(build_toy(head).get_weights())
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([factor * kernel, factor * bias + offset])
    explainer, ids = gcam.Explainer(model), [0, 1, 2]
    by_itself = {
        name: explainer.maps(IMAGES, ids, name, raw=True, **options)
        for name, options in OPTIONS.items()
    }
    return {**together(explainer, IMAGES, ids), **by_itself}


def min_max(maps):
    lowest = maps.min(axis=(1, 2), keepdims=True)
    extent = maps.max(axis=(1, 2), keepdims=True) - lowest
    assert (extent > 0).any()
    return (maps - lowest) / np.where(extent > 0, extent, 1)


def by_largest(maps):
    largest = maps.max(axis=(1, 2), keepdims=True)
    assert (largest > 0).any()
    return maps / np.where(largest > 0, largest, 1)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize("head", HEADS)
def test_scaled_logits_plus_a_constant(head, method):
    before, after = raw_maps(head)[method], raw_maps(head, factor=30, offset=50)[method]
    change = np.abs(by_largest(after) - by_largest(before)).max()
    if method == "gradcam++" and head == "flatten":
        # alpha = 1 / (2 + grad * T) weighs positions otherwise where the gradient is larger.
        assert change > 0.01
    else:
        assert change < (1e-2 if method in EPSILON_BESIDE_THE_GRADIENT else 1e-5)


SQUARED = {
    "guided": {},
    "guided with smooth": {"smooth": True},
    "gradcam with smooth": {"smooth": True},
    "eigengradcam": {},
}
"""What takes products of gradients, which are too small for float32 before the gradients are."""


@pytest.mark.parametrize("method", SQUARED)
@pytest.mark.parametrize("head", HEADS)
def test_scores_with_tiny_gradients_have_the_same_maps(head, method):
    """Such as the probability of a class that a network is sure not to see."""
    explainer, name = gcam.Explainer(build_toy(head)), method.split()[0]
    for sign in (1, -1):
        maps = [
            explainer.maps(
                IMAGES, lambda logits, f=factor: f * logits[:, 1], name, **SQUARED[method]
            )
            for factor in (sign, sign * 1e-16, sign * 1e-20, sign * 1e-30)
        ]
        if maps[0].any():
            break
    assert maps[0].any()
    for other in maps[1:]:
        np.testing.assert_allclose(other, maps[0], atol=1e-4)


@pytest.mark.parametrize("method", GRADIENT_METHODS)
@pytest.mark.parametrize("head", HEADS)
def test_mixed_precision(head, method):
    maps = raw_maps(head, dtype="mixed_float16")[method]
    assert maps.dtype == np.float32
    np.testing.assert_allclose(min_max(maps), min_max(raw_maps(head)[method]), atol=1e-4)


@dataclass(frozen=True)
class Variation(GradientMethod):
    """How far the gradient is from its mean over the positions, and how large it is."""

    name = "variation"
    outputs = ("saliency", "size")

    def maps(self, activations, gradients):
        mean = tf.reduce_mean(gradients, axis=[1, 2], keepdims=True)
        return {
            "saliency": tf.reduce_max(tf.abs(gradients - mean), axis=-1),
            "size": tf.reduce_max(tf.abs(gradients), axis=-1),
        }


@pytest.mark.parametrize(("head", "is_constant"), [("gap", True), ("flatten", False)])
def test_gradient_of_a_softmax_score(head, is_constant):
    # A softmax whose values another layer changes is not taken off.
    model = build_toy(head)
    scored = keras.Model(model.input, keras.layers.Rescaling(0.5)(model.output))
    kernel = gcam.Explainer(scored, layer="conv2").pipeline.kernel(Variation())
    result = kernel(tf.constant(IMAGES), tf.constant([[0, 1, 2]] * 3))
    np.testing.assert_allclose(tf.reduce_sum(result["logits"], axis=1), np.full(3, 0.5), rtol=1e-6)
    variation = tf.reduce_max(result["saliency"], axis=[2, 3]) / tf.reduce_max(
        result["size"], axis=[2, 3]
    )
    assert ((variation.numpy() < 1e-6) == is_constant).all()


@pytest.fixture
def half_precision():
    """Build what is built meanwhile in mixed precision."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy(before)


def test_mixed_precision_of_resnet50(resnet50, photographs, half_precision):
    half = keras.applications.ResNet50(weights=None)
    half.set_weights(resnet50.network.model.get_weights())
    explainer = gcam.Explainer(half, layer=resnet50.layer, preprocess="caffe")
    maps = together(explainer, photographs[:1], [285])
    expected = together(resnet50, photographs[:1], [285])
    for name in FORMULAS:
        np.testing.assert_allclose(
            min_max(maps[name]), min_max(expected[name]), atol=1e-4, err_msg=name
        )
