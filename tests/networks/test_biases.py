"""What the linear steps of a network add."""

import keras
import numpy as np
import pytest
from common import build_toy

from guidedcam_tf.networks.biases import bias_of
from guidedcam_tf.networks.biases import biased_steps
from guidedcam_tf.networks.reading import read_graph

layers = keras.layers


def batch_normalized(**options):
    """A network of one batch normalisation of two channels, with mean [3, -1] and std [2, 0.5]."""
    inputs = keras.Input((2, 2, 2))
    normalization = layers.BatchNormalization(epsilon=0.01, name="bn", **options)
    x = layers.GlobalAveragePooling2D()(normalization(inputs))
    normalization.moving_mean.assign([3.0, -1.0])
    normalization.moving_variance.assign([4.0 - 0.01, 0.25 - 0.01])
    if normalization.scale:
        normalization.gamma.assign([2.0, 3.0])
    if normalization.center:
        normalization.beta.assign([1.0, 0.5])
    return keras.Model(inputs, x)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # beta - mean * gamma / std: 1 - 3 * 2 / 2, and 0.5 + 1 * 3 / 0.5.
        ({}, [-2.0, 6.5]),
        ({"center": False}, [-3.0, 6.0]),
        # 1 - 3 / 2, and 0.5 + 1 / 0.5.
        ({"scale": False}, [-0.5, 2.5]),
    ],
)
def test_batch_normalization_has_an_implicit_bias(options, expected):
    (step,) = biased_steps(read_graph(batch_normalized(**options)))
    np.testing.assert_allclose(bias_of(step), [[[expected]]], rtol=1e-6)


@pytest.mark.parametrize(
    ("axis", "shape"), [(1, (1, 2, 1, 1)), (2, (1, 1, 2, 1)), (-2, (1, 1, 2, 1))]
)
def test_a_bias_lies_along_the_axis_of_its_layer(axis, shape):
    (step,) = biased_steps(read_graph(batch_normalized(axis=axis)))
    np.testing.assert_allclose(bias_of(step), np.reshape([-2.0, 6.5], shape), rtol=1e-6)


class Frozen(layers.BatchNormalization):
    """As YOLO's and Mask R-CNN's: the same in training."""

    def call(self, inputs, training=False):
        return super().call(inputs, training=False)


class Scaled(layers.BatchNormalization):
    def call(self, inputs, training=None):
        return 3 * super().call(inputs, training=training) + 1


class Rectified(layers.BatchNormalization):
    def call(self, inputs, training=None):
        return keras.ops.relu(super().call(inputs, training=training))


class OfTwo(layers.BatchNormalization):
    def call(self, inputs, other):
        return super().call(inputs + other)


@pytest.mark.parametrize(
    ("kind", "known"), [(Frozen, True), (Scaled, False), (Rectified, False), (OfTwo, False)]
)
@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
def test_a_normalization_with_a_call_of_its_own_is_known_by_its_values(kind, known, dtype):
    inputs = keras.Input((2, 2, 2))
    normalization = kind(axis=1, name="bn", dtype=dtype)
    x = normalization(inputs, inputs) if kind is OfTwo else normalization(inputs)
    normalization.moving_mean.assign([3.0, -1.0])
    steps = biased_steps(read_graph(keras.Model(inputs, layers.Flatten()(x))))
    assert [step.name for step in steps] == ["bn"] * known


def test_activations_are_split_from_what_adds_the_bias():
    model = build_toy("flatten")
    steps = biased_steps(read_graph(model))
    assert [step.name for step in steps] == [
        "conv1",
        "conv2",
        "fc",
        "scores",
    ]
    for step in steps:
        np.testing.assert_array_equal(np.squeeze(bias_of(step)), step.layer.bias)


def every_kind_of_layer(use_bias):
    inputs = keras.Input((4, 4, 3))
    x = layers.SeparableConv2D(3, 1, use_bias=use_bias, name="separable")(inputs)
    x = layers.DepthwiseConv2D(1, use_bias=use_bias, activation="relu", name="depthwise")(x)
    x = layers.Conv2DTranspose(3, 2, use_bias=use_bias, name="transposed")(x)
    x = layers.Activation("relu")(x)
    x = layers.Conv2D(3, 1, use_bias=use_bias, name="convolution")(x)
    x = layers.Flatten()(layers.MaxPooling2D(2)(x))
    return keras.Model(inputs, layers.Dense(2, use_bias=use_bias, name="dense")(x))


def test_every_kind_of_layer_with_a_bias_is_found():
    names = [step.name for step in biased_steps(read_graph(every_kind_of_layer(use_bias=True)))]
    assert names == ["separable", "depthwise", "transposed", "convolution", "dense"]


def test_layers_without_a_bias_are_left_out():
    assert biased_steps(read_graph(every_kind_of_layer(use_bias=False))) == []
