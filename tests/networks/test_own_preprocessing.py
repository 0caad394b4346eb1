"""What a model does to pictures before its first trained layer is as outside of the model."""

import warnings

import keras
import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf import metrics
from guidedcam_tf.errors import InputError
from guidedcam_tf.figures.curve_figures import class_score
from guidedcam_tf.methods import METHODS
from guidedcam_tf.networks import Network

layers, ops = keras.layers, keras.ops
SIZE = 16


class Signed(layers.Layer):
    def call(self, x):
        return x / 127.5 - 1


class Shift(layers.Layer):
    """Adds numbers of its own."""

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(2))

    def call(self, x):
        return x + self.shift


def caffe(x):
    return keras.applications.imagenet_utils.preprocess_input(x, data_format="channels_last")


MEAN, VARIANCE = [90.0, 100.0, 110.0], [900.0, 1000.0, 1100.0]

PREPARED = {
    "rescaling": (layers.Rescaling(1 / 127.5, -1), lambda x: x / 127.5 - 1),
    "normalization": (
        layers.Normalization(mean=MEAN, variance=VARIANCE),
        lambda x: (x - np.array(MEAN)) / np.sqrt(VARIANCE),
    ),
    "a model of several": (
        keras.Sequential([layers.Rescaling(1 / 255), layers.Dropout(0.5), layers.Rescaling(4, -2)]),
        lambda x: x / 255 * 4 - 2,
    ),
    "a user's layer": (Signed(), lambda x: x / 127.5 - 1),
    "lambda": (layers.Lambda(caffe), caffe),
    "arithmetic": (caffe, caffe),
    "after augmentation": (
        keras.Sequential(
            [layers.RandomFlip(), layers.GaussianNoise(0.5), layers.Rescaling(1 / 127.5, -1)]
        ),
        lambda x: x / 127.5 - 1,
    ),
}


def two_explainers(name):
    """The same network with its preprocessing inside, and outside."""
    inside, outside = PREPARED[name]
    toy = build_toy("flatten", size=SIZE, activation=None)
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(inputs, toy(inside(inputs)))
    return gcam.Explainer(model, preprocess="none"), gcam.Explainer(
        toy, preprocess=lambda images: ops.cast(outside(images), "float32")
    )


@pytest.fixture
def pictures(rng):
    found = rng.integers(0, 256, (2, SIZE, SIZE, 3)).astype(np.uint8)
    # Each has black and white, which LRP takes for bounds where it does not know the model's range.
    found[:, 0, :2] = [[0] * 3, [255] * 3]
    return found


FEWER = {
    "cameras": {"sizes": (SIZE, SIZE + 8)},
    "prediction_difference": {"samples": 2},
    "rise": {"samples": 8, "cells": 2},
    "smooth_fullgrad": {"samples": 2},
}
"""Options that keep methods of many passes short."""


def assert_same(maps):
    np.testing.assert_allclose(*maps, rtol=1e-3, atol=1e-4 * np.abs(maps[1]).max())


@pytest.mark.parametrize("method", METHODS)
def test_every_method_gives_the_map_of_preprocessing_outside(method, pictures):
    if method in ("cam", "legrad", "attention_rollout"):
        pytest.skip("not for this network")
    options = FEWER.get(method, {})
    found = two_explainers("rescaling")
    assert_same([each.maps(pictures, [0, 2], method, **options) for each in found])


@pytest.mark.parametrize("name", PREPARED)
@pytest.mark.parametrize("method", ["input_x_gradient", "occlusion", "scorecam", "smooth_fullgrad"])
def test_whatever_prepares(method, name, pictures):
    found = two_explainers(name)
    options = {"raw": True, **FEWER.get(method, {})}
    assert_same([each.maps(pictures, [0, 2], method, **options) for each in found])


@pytest.mark.parametrize("name", PREPARED)
def test_predictions_and_masked_predictions(name, pictures, rng):
    found = two_explainers(name)
    saliency = rng.random((SIZE, SIZE)).astype(np.float32)
    assert_same([each.predict(pictures) for each in found])
    curves = []
    for each in found:
        inputs = each.network.preprocess(pictures.astype(np.float32)).numpy()[0]
        curves.append(metrics.deletion(inputs, saliency, class_score(each, 1), step=32).scores)
    assert_same(curves)


NOT_PREPARING = {
    "trained": layers.Conv2D(3, 1),
    "a user's weights": Shift(),
    "a learned scale": layers.BatchNormalization(),
    "padded": layers.ZeroPadding2D(1),
    "pooled": layers.MaxPooling2D(2),
    "blurred": layers.AveragePooling2D(3, strides=1, padding="same"),
    "rectified": layers.ReLU(),
    "squared": lambda x: x * x,
    "turned": lambda x: ops.flip(x, axis=1),
    "left as it is": layers.RandomFlip(),
}


@pytest.mark.parametrize("name", NOT_PREPARING)
def test_what_is_no_preprocessing_stays_in_the_network(name):
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Flatten()(layers.Conv2D(2, 3)(NOT_PREPARING[name](inputs)))
    network = Network(keras.Model(inputs, layers.Dense(3)(x)))
    assert not network.own_preprocessing.steps
    np.testing.assert_array_equal(network.preprocess(np.ones((1, SIZE, SIZE, 3))), 1)


def test_what_another_input_takes_part_in_stays_in_the_network():
    inputs, scale = keras.Input((SIZE, SIZE, 3), name="image"), keras.Input((1, 1, 1), name="scale")
    x = layers.Flatten()(layers.Conv2D(2, 3)(layers.Multiply()([inputs, scale])))
    model = keras.Model([inputs, scale], layers.Dense(3)(x))
    assert not Network(model, input="image").own_preprocessing.steps


def test_changed_statistics_are_followed(pictures):
    toy = build_toy("flatten", size=SIZE, activation=None)
    inputs = keras.Input((SIZE, SIZE, 3))
    prepare = layers.Normalization()
    prepare.adapt(pictures.astype(np.float32) / 3)
    model = keras.Model(inputs, toy(prepare(inputs)))
    explainer = gcam.Explainer(model, preprocess="none")
    before = explainer.maps(pictures, [0, 2], "occlusion", raw=True)
    prepare.adapt(pictures.astype(np.float32))
    try:
        found = explainer.maps(pictures, [0, 2], "occlusion", raw=True)
    except InputError:
        return
    expected = gcam.Explainer(model, preprocess="none").maps(
        pictures, [0, 2], "occlusion", raw=True
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert np.abs(found - before).max() > 1e-3


def test_it_is_no_layer_to_explain_and_no_warning_comes(pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inside, _ = two_explainers("rescaling")
        inside.maps(pictures, 1)
    assert inside.layer == "toy_flatten/conv2"
    (step,) = inside.network.own_preprocessing.steps
    assert isinstance(step.layer, layers.Rescaling)
    assert list(inside.network.layers) == ["toy_flatten/conv1", "toy_flatten/pool1", inside.layer]
