"""CAM."""

import itertools

import keras
import numpy as np
import pytest
from common import build_toy
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

METHOD = "cam"
layers = keras.layers


def headed(*head, last="features"):
    """A network whose layer `last` is followed by the layers in `head`."""
    inputs = x = keras.Input((8, 8, 3))
    for layer in (layers.Conv2D(4, 3, activation="relu", name=last), *head):
        x = layer(x)
    return keras.Model(inputs, x, name="headed")


@pytest.mark.parametrize("relu", [True, False])
def test_matches_slow_reference(toy_images, relu):
    slow = ToyNumpy(toy_explainer("gap").network.model)
    activations = slow.activations(toy_images)
    expected = np.zeros((3, 3, 4, 4))
    for t, (n, i, j, k) in itertools.product(range(3), np.ndindex(*activations.shape)):
        expected[n, t, i, j] += slow["scores/kernel"][k, t] * activations[n, i, j, k]
    if relu:
        expected = np.maximum(expected, 0)
    raw = toy_explainer("gap").maps(toy_images, [[0, 1, 2]] * 3, METHOD, raw=True, relu=relu)
    np.testing.assert_allclose(raw, expected, rtol=1e-5, atol=1e-6)


def test_by_hand():
    # Two channels, M^0 = x and M^1 = 2 x. W = 3 and -1 for class 0, so S = 3 x - 2 x = x;
    # W = 1 and -1 for class 1, so the sum is -x.
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            layers.Conv2D(2, 1, use_bias=False, name="features"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, use_bias=False, name="scores"),
        ]
    )
    model.get_layer("features").set_weights([np.array([[[[1.0, 2.0]]]])])
    model.get_layer("scores").set_weights([np.array([[3.0, 1.0], [-1.0, -1.0]])])
    explainer = gcam.Explainer(model)
    images = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    raw = explainer.maps(images, [[0, 1]], METHOD, raw=True)
    np.testing.assert_allclose(raw[0], [[[1, 2], [3, 4]], [[0, 0], [0, 0]]])
    signed = explainer.maps(images, [1], METHOD, raw=True, relu=False)
    np.testing.assert_allclose(signed[0], [[-1, -2], [-3, -4]])


def test_is_gradcam_times_the_number_of_positions(toy_images):
    explainer = toy_explainer("gap")
    raw = explainer.maps(toy_images, [0, 1, 2], METHOD, raw=True)
    gradcam = explainer.maps(toy_images, [0, 1, 2], "gradcam", raw=True)
    np.testing.assert_allclose(raw, 16 * gradcam, rtol=1e-5, atol=1e-6)


def test_the_signed_maps_mean_is_the_logit_without_its_bias(toy_images):
    slow = ToyNumpy(toy_explainer("gap").network.model)
    logits = slow.logits(slow.activations(toy_images))
    raw = toy_explainer("gap").maps(toy_images, [[0, 1, 2]] * 3, METHOD, raw=True, relu=False)
    expected = logits - slow["scores/bias"]
    np.testing.assert_allclose(raw.mean(axis=(2, 3)), expected, rtol=1e-4, atol=1e-6)


def test_follows_weights_that_change_after_it_is_compiled(toy_images):
    model = build_toy("gap")
    explainer = gcam.Explainer(model)
    before = explainer.maps(toy_images, [0, 1, 2], METHOD, raw=True)
    scores = model.get_layer("scores")
    scores.set_weights([2 * array for array in scores.get_weights()])
    after = explainer.maps(toy_images, [0, 1, 2], METHOD, raw=True)
    np.testing.assert_allclose(after, 2 * before, rtol=1e-6)


HEADS = {
    "dropout": [
        layers.GlobalAveragePooling2D,
        lambda: layers.Dropout(0.5),
        lambda: layers.Dense(3),
    ],
    "kept_dimensions": [
        lambda: layers.GlobalAveragePooling2D(keepdims=True),
        layers.Flatten,
        lambda: layers.Dense(3, activation="softmax"),
    ],
    "convolution": [
        lambda: layers.GlobalAveragePooling2D(keepdims=True),
        lambda: layers.Conv2D(3, 1),
        lambda: layers.Reshape((3,)),
        layers.Softmax,
    ],
}


@pytest.mark.parametrize("head", HEADS)
def test_heads_that_are_linear_in_the_pooled_layer(toy_images, head):
    explainer = gcam.Explainer(headed(*(make() for make in HEADS[head])), layer="features")
    raw = explainer.maps(toy_images, [[0, 1, 2]] * 3, METHOD, raw=True)
    gradcam = explainer.maps(toy_images, [[0, 1, 2]] * 3, "gradcam", raw=True)
    assert gradcam.max() > 0
    np.testing.assert_allclose(raw, 36 * gradcam, rtol=1e-5, atol=1e-5 * raw.max())


OBSTACLES = {
    "flat (Flatten)": [lambda: layers.Flatten(name="flat"), lambda: layers.Dense(3)],
    "pool (MaxPooling2D)": [
        lambda: layers.MaxPooling2D(name="pool"),
        layers.GlobalAveragePooling2D,
        lambda: layers.Dense(3),
    ],
    "norm (BatchNormalization)": [
        layers.GlobalAveragePooling2D,
        lambda: layers.BatchNormalization(name="norm"),
        lambda: layers.Dense(3),
    ],
    "hidden (Dense)": [
        layers.GlobalAveragePooling2D,
        lambda: layers.Dense(5, activation="relu", name="hidden"),
        lambda: layers.Dense(3),
    ],
    "second (Dense)": [
        layers.GlobalAveragePooling2D,
        lambda: layers.Dense(5),
        lambda: layers.Dense(3, activation="softmax", name="second"),
    ],
}


@pytest.mark.parametrize("obstacle", OBSTACLES)
def test_names_what_stands_in_the_way(toy_images, obstacle):
    name, kind = obstacle.split(" ", 1)
    explainer = gcam.Explainer(headed(*(make() for make in OBSTACLES[obstacle])), layer="features")
    with pytest.raises(gcam.InputError) as caught:
        explainer.maps(toy_images, [0, 1, 2], METHOD)
    assert str(caught.value) == (
        "method 'cam' needs exactly global average pooling and one linear layer between "
        f"'features' and the scores; '{name}' {kind} stands in the way"
    )


def test_a_network_without_a_linear_layer(toy_images):
    explainer = gcam.Explainer(headed(layers.GlobalAveragePooling2D(name="gap")), layer="features")
    message = "method 'cam' needs a linear layer between 'gap' and the scores; 'headed' has none"
    with pytest.raises(gcam.InputError, match=message):
        explainer.maps(toy_images, [0, 1, 2], METHOD)


def test_option_of_another_kind():
    with pytest.raises(gcam.InputError, match="cam: relu must be True or False; received 'no'"):
        get_method(METHOD, relu="no")
