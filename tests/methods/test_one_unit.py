"""A network of one unit is explained as the same function with two units is."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

layers = keras.layers
BOTH = [[0, 1]] * 3


def pixels(classes, activation):
    """A logistic regression of the pixels."""
    scores = layers.Dense(classes, activation=activation, name="scores")
    return keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), scores])


def averaged(classes, activation):
    """Scores of each position, averaged."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv1")(inputs)
    x = layers.Conv2D(classes, 1, name="scores")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Activation(activation)(x))


def gap(classes, activation):
    return build_toy("gap", classes=classes, activation=activation)


def flatten(classes, activation):
    model = build_toy("flatten", classes=classes, activation=activation)
    model.get_layer("fc").bias.assign(np.full(6, 2.0))
    return model


def one_and_two(build, bias):
    """Explainers of one function: with weights k, and with (-k/2, k/2), biases alike."""
    keras.utils.set_random_seed(4)
    one, two = build(1, "sigmoid"), build(2, "softmax")
    kernel = np.random.default_rng(8).uniform(0.1, 1, one.get_layer("scores").kernel.shape)
    kernel[..., ::2, :] *= -1  # Something speaks for each class.
    for ours, other in zip(one.layers, two.layers, strict=True):
        if ours.name == "scores":
            weights = [kernel, np.array([bias])]
            ours.set_weights(weights)
            other.set_weights([np.concatenate([-each, each], axis=-1) / 2 for each in weights])
        else:
            other.set_weights(ours.get_weights())
    return [gcam.Explainer(model) for model in (one, two)]


def run(explainer, images, method, **options):
    """What the kernel makes for both classes, as arrays."""
    kernel = explainer.pipeline.kernel(get_method(method, **options))
    result = kernel(tf.constant(images, tf.float32), tf.constant(BOTH, tf.int32))
    return {key: tensor.numpy() for key, tensor in result.items()}


def assert_alike(found, expected):
    for n, t in np.ndindex(expected.shape[:2]):
        scale = np.abs(expected[n, t]).max()
        assert scale > 0
        np.testing.assert_allclose(found[n, t], expected[n, t], rtol=0, atol=1e-4 * scale)


@pytest.mark.parametrize("bias", [0.0, -0.7])
@pytest.mark.parametrize("build", [gap, flatten, averaged, pixels])
def test_lrp_and_deeplift(build, bias, toy_images):
    one, two = one_and_two(build, bias)
    ours, other = (each.predict(toy_images)[:, -1] for each in (one, two))
    np.testing.assert_allclose(ours, other, atol=1e-6)
    found, expected = (run(each, toy_images, "lrp")["attribution"] for each in (one, two))
    assert_alike(found, expected)
    if build is not averaged:  # A score of the bias alone keeps its share.
        np.testing.assert_allclose(found.sum(axis=(2, 3)), 1, rtol=1e-4)
    # Contributions to the score, which the second network has half of.
    found, expected = (run(each, toy_images, "deeplift")["attribution"] for each in (one, two))
    assert_alike(found, 2 * expected)


@pytest.mark.parametrize("bias", [0.0, -0.7])
@pytest.mark.parametrize("build", [gap, flatten, averaged])
def test_relevance_cam(build, bias, toy_images):
    for init in ("clrp", "sglrp", "onehot"):
        found, expected = (
            run(each.at("conv1"), toy_images, "relevance_cam", init=init)
            for each in one_and_two(build, bias)
        )
        for output in ("saliency", "relevance"):
            assert_alike(found[output], expected[output])


@pytest.mark.parametrize("build", [gap, flatten, averaged])
def test_excitation_backprop(build, toy_images):
    for method in ("excitation_backprop", "contrastive_excitation_backprop"):
        found, expected = (
            run(each.at("conv1"), toy_images, method)["saliency"]
            for each in one_and_two(build, -0.7)
        )
        assert_alike(found, expected)


def test_the_class_that_the_unit_speaks_against(toy_images):
    one, two = one_and_two(gap, -9.0)
    assert (one.predict(toy_images) < 0.5).all()
    for method in ("lrp", "relevance_cam"):
        found = one.maps(toy_images, gcam.targets.negative(), method, raw=True)
        assert_alike(found[:, None], two.maps(toy_images, 0, method, raw=True)[:, None])
        np.testing.assert_array_equal(one.maps(toy_images, "top1", method, raw=True), found)
