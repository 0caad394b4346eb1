"""The gradient at the pixels, times the picture, guided, and guided times Grad-CAM."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import HEADS
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods.guided_backprop import positive_gradient

IDS = [0, 1, 2]


def slow_gradients(explainer, images, step=1e-5):
    """d logit / d pixels by central differences of the NumPy network, `[N, 8, 8, 3]`."""
    slow, rows = ToyNumpy(explainer.network.model), np.arange(len(images))
    gradients = np.zeros(images.shape)
    for index in np.ndindex(*images.shape[1:]):
        moved = np.zeros(images.shape)
        moved[(slice(None), *index)] = step
        above, below = (
            slow.logits(slow.activations(images + sign * moved))[rows, IDS] for sign in (1, -1)
        )
        gradients[(slice(None), *index)] = (above - below) / (2 * step)
    return gradients


@pytest.mark.parametrize("head", HEADS)
def test_gradients_match_differences(head, toy_images):
    explainer = toy_explainer(head)
    gradients = slow_gradients(explainer, toy_images.astype(np.float64))
    expected = {
        "gradient": np.abs(gradients).max(axis=-1),
        "input_x_gradient": np.maximum((toy_images * gradients).sum(axis=-1), 0),
    }
    for method, reference in expected.items():
        raw = explainer.maps(toy_images, IDS, method, raw=True)
        np.testing.assert_allclose(raw, reference, rtol=1e-3, atol=1e-4 * reference.max())


def pixel_model(units, activation="linear", bias=False):
    """A dense network on a picture of 1 x 2 pixels and one channel, with given kernels."""
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(1, 1, use_bias=False, name="features")(inputs)
    x = keras.layers.Flatten()(x)
    for place, kernel in enumerate(units):
        last = place == len(units) - 1
        x = keras.layers.Dense(
            len(kernel[0]), activation="linear" if last else activation, use_bias=bias
        )(x)
    model = keras.Model(inputs, x)
    model.get_layer("features").set_weights([np.ones((1, 1, 1, 1))])
    dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
    for layer, kernel in zip(dense, units, strict=True):
        layer.set_weights([np.array(kernel, float), *([np.zeros(len(kernel[0]))] if bias else [])])
    return model


def test_by_hand():
    # Hidden units h1 = relu(x1 + x2), h2 = relu(x1 - x3), Y = (h1 - 2 h2, h4 of no matter).
    hidden = [[1, 1], [1, 0], [0, -1], [0, 0]]
    explainer = gcam.Explainer(pixel_model([hidden, [[1, 0], [-2, 1]]], "relu"))
    picture = np.array([[[[3.0], [1.0]], [[1.0], [5.0]]]], np.float32)  # h = (4, 2), Y_0 = 0
    # dY_0/dx = h1' (1, 1, 0, 0) - 2 h2' (1, 0, -1, 0) = (-1, 1, 2, 0).
    expected = {
        "gradient": [[1, 1], [2, 0]],
        "input_x_gradient": [[0, 1], [2, 0]],
        # The negative gradient -2 stops at h2: (1, 1, 0, 0).
        "guided_backprop": [[1, 1], [0, 0]],
    }
    for method, reference in expected.items():
        raw = explainer.maps(picture, [0], method, raw=True)
        np.testing.assert_allclose(raw[0], reference, atol=1e-6, err_msg=method)


@pytest.mark.parametrize("kind", ["held", "layer", "relu_layer", "relu6"])
def test_guided_backprop_stops_at_every_kind_of_relu(kind, toy_images):
    """Against Keras's own network with the gradient of its ReLUs replaced."""
    keras.utils.set_random_seed(11)
    layers = keras.layers
    kinds = {
        "layer": lambda: layers.Activation("relu"),
        "relu_layer": lambda: layers.ReLU(),
        "relu6": lambda: layers.ReLU(max_value=6),
    }

    @tf.custom_gradient
    def guided_relu(x):
        return tf.nn.relu(x), lambda g: tf.where((x > 0) & (g > 0), g, 0.0)

    convolutions = [layers.Conv2D(5, 3, name=f"conv{i}") for i in range(2)]
    inputs = x = keras.Input((8, 8, 3))
    for i in range(2):
        if kind == "held":
            convolutions[i] = layers.Conv2D(5, 3, activation="relu", name=f"conv{i}")
            x = convolutions[i](x)
        else:
            x = kinds[kind]()(convolutions[i](x))
    dense = layers.Dense(2)
    model = keras.Model(inputs, dense(layers.Flatten()(x)))
    x = tf.constant(toy_images[:1])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x
        for convolution in convolutions:
            y = guided_relu(tf.nn.conv2d(y, convolution.kernel, 1, "VALID") + convolution.bias)
        score = (tf.reshape(y, [1, -1]) @ dense.kernel)[0, 1]
    expected = np.abs(tape.gradient(score, x)).max(axis=-1)
    raw = gcam.Explainer(model).maps(toy_images[:1], [1], "guided_backprop", raw=True)
    plain = gcam.Explainer(model).maps(toy_images[:1], [1], "gradient", raw=True)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)
    assert np.abs(plain - expected).max() > 0.1 * expected.max()


def test_guided_backprop_is_the_gradient_without_relus(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="tanh")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    explainer = gcam.Explainer(model)
    guided, plain = (
        explainer.maps(toy_images, IDS, method, raw=True)
        for method in ("guided_backprop", "gradient")
    )
    assert plain.max() > 0
    np.testing.assert_array_equal(guided, plain)


def test_input_times_gradient_is_complete_without_biases(toy_images):
    explainer = gcam.Explainer(build_toy("flatten", bias=False))
    explanation = explainer.pipeline.explain(
        gcam.methods.get_method("input_x_gradient"),
        tf.constant(toy_images),
        tf.constant([[0, 1, 2]] * 3),
    )
    sums = tf.reduce_sum(explanation["attribution"], axis=[2, 3])
    np.testing.assert_allclose(sums, explanation["logits"], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("head", HEADS)
def test_guided_gradcam_is_a_product(head, toy_images):
    explainer = toy_explainer(head)
    maps = {
        name: explainer.maps(toy_images, [[0, 1], [2, 0], [1, 2]], name, raw=True)
        for name in ("guided_gradcam", "guided_backprop", "gradcam")
    }
    coarse = tf.image.resize(maps["gradcam"].reshape(6, 4, 4)[..., None], (8, 8))
    expected = coarse.numpy().reshape(3, 2, 8, 8) * maps["guided_backprop"]
    assert expected.max() > 0
    np.testing.assert_allclose(maps["guided_gradcam"], expected, rtol=1e-5, atol=1e-7)


def test_positive_gradient_changes_no_value():
    x = tf.constant([-1.0, 2.0, 3.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = positive_gradient(x) * [1.0, -1.0, 2.0]
    np.testing.assert_array_equal(y, [-1, -2, 6])
    np.testing.assert_array_equal(tape.gradient(y, x), [1, 0, 2])
