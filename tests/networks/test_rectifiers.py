"""A ReLU is one however it is written, and what only has its name is none."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.relevance_rules import is_rectifier
from guidedcam_tf.networks import Network

layers, ops = keras.layers, keras.ops
WITH_RULES = (
    "guided_backprop",
    "guided_gradcam",
    "lrp",
    "deeplift",
    "relevance_cam",
    "excitation_backprop",
    "contrastive_excitation_backprop",
)


class Rectify(layers.Layer):
    def call(self, x):
        return ops.where(x > 0, x, ops.zeros_like(x))


def relu(x):
    """Has the name of a ReLU, and lets a part of what is negative through."""
    return ops.where(x > 0, x, 0.5 * x)


def build(activation=None, between=lambda x: x, last="softmax"):
    """Two convolutions and two dense layers, with something after each but the last."""
    keras.utils.set_random_seed(9)
    random = {"activation": activation, "bias_initializer": "random_normal"}
    inputs = keras.Input((12, 12, 3))
    x = between(layers.Conv2D(4, 3, name="first", **random)(inputs))
    x = between(layers.Conv2D(5, 3, name="second", **random)(layers.MaxPooling2D(2)(x)))
    x = between(layers.Dense(6, **random)(layers.Flatten()(x)))
    return keras.Model(inputs, layers.Dense(3, activation=last)(x), name="net")


WRITTEN = {
    "a Lambda": {"between": lambda x: layers.Lambda(tf.nn.relu)(x)},
    "the larger of zero": {"between": lambda x: ops.maximum(x, 0)},
    "the larger, zero first": {"between": lambda x: ops.maximum(0.0, x)},
    "clipped": {"between": lambda x: ops.clip(x, 0, float("inf"))},
    "a leak of nothing": {"between": lambda x: layers.LeakyReLU(0.0)(x)},
    "a user's layer": {"between": lambda x: Rectify()(x)},
    "a user's function": {"activation": lambda x: tf.maximum(x, 0)},
    "an Activation of one": {
        "between": lambda x: layers.Activation(lambda y: ops.maximum(y, 0))(x)
    },
}


@pytest.fixture
def pictures(rng):
    return rng.uniform(-1, 1, (2, 12, 12, 3)).astype(np.float32)


@pytest.mark.parametrize("name", WRITTEN)
def test_maps_are_those_of_keras_s_relu(name, pictures):
    usual, other = (
        gcam.Explainer(build(**each), preprocess="none")
        for each in ({"activation": "relu"}, WRITTEN[name])
    )
    names = (usual.layer, other.layer)
    for method in WITH_RULES:
        maps = [each.maps(pictures, [0, 2], method, raw=True) for each in (usual, other)]
        np.testing.assert_allclose(*maps, rtol=1e-4, atol=1e-6, err_msg=f"{method} at {names}")


@pytest.mark.parametrize(
    "between",
    [
        relu,
        lambda x: ops.maximum(x, -0.5),
        lambda x: ops.clip(x, 0, 6),
        ops.abs,
        ops.silu,
        layers.LeakyReLU(0.2),
        layers.Lambda(lambda x: tf.nn.relu(x) + 0.1),
    ],
)
def test_what_differs_from_a_relu_is_none(between):
    graph = Network(build(between=between)).graph
    assert not any(map(is_rectifier, graph.picture_steps))


def test_a_function_is_not_taken_for_a_relu_by_its_name(pictures):
    explainer = gcam.Explainer(build(activation=relu), preprocess="none")
    with pytest.raises(InputError, match="lrp has no rule for activation 'relu' of layer 'first'"):
        explainer.maps(pictures, 1, "lrp")


class Block(layers.Layer):
    """Holds a convolution with an activation, and another one as a layer."""

    def __init__(self, activation, last, **rest):
        super().__init__(**rest)
        self.inner = layers.Conv2D(4, 3, padding="same", activation=activation)
        self.last = last

    def call(self, x):
        return self.last(x + self.inner(x))


@pytest.mark.parametrize("method", ["guided_backprop", "guided_gradcam"])
@pytest.mark.parametrize(
    ("activation", "last", "hides"),
    [
        ("relu", layers.Activation("swish"), True),
        ("swish", layers.ReLU(), True),
        ("swish", layers.Activation("tanh"), False),
    ],
)
def test_relus_within_a_layer_are_said_to_be_left_out(method, activation, last, hides, pictures):
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(4, 3, activation="relu")(inputs)
    x = layers.Conv2D(4, 3, activation="relu")(Block(activation, last, name="mine")(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)), name="net")
    explainer = gcam.Explainer(model, preprocess="none", scores="logits")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        explainer.maps(pictures, 1, method)
    told = f"{method} takes the plain gradient at the ReLUs within 'mine' of model 'net'"
    assert any(told in str(each.message) for each in caught) == hides


@pytest.mark.parametrize("method", ["guided_backprop", "guided_gradcam"])
def test_a_network_without_relus_is_said_to_have_none(method, pictures):
    explainer = gcam.Explainer(build(activation="swish"), preprocess="none")
    with pytest.warns(
        UserWarning, match=f"'net' has no ReLU, so {method} takes the plain gradient"
    ):
        explainer.maps(pictures, 1, method)
