"""Networks of channels first are explained as those of channels last."""

import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.kinds import chain
from models.kinds import give_weights
from models.kinds import state

import guidedcam_tf as gcam
from guidedcam_tf.methods import fullgrad_completeness
from guidedcam_tf.networks import open_network

layers = keras.layers


def channels_first(steps):
    inputs = keras.Input((3, 8, 8))
    return keras.Model(inputs, chain(steps, inputs), name="first")


FIRST = {"data_format": "channels_first"}


def runs_channels_first():
    """Whether TensorFlow has such a convolution for this processor: oneDNN's, where it is used."""
    try:
        tf.nn.conv2d(tf.zeros([1, 1, 2, 2]), tf.zeros([1, 1, 1, 1]), 1, "SAME", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


ONEDNN = "TF_ENABLE_ONEDNN_OPTS"
HERE = runs_channels_first()
needs_channels_first = pytest.mark.skipif(
    not HERE, reason=f"TensorFlow has no channels-first convolution here without {ONEDNN}=1"
)
lacks_channels_first = pytest.mark.skipif(HERE, reason="TensorFlow has what it needs here")


@needs_channels_first
def test_channels_first_is_explained_as_channels_last(reference, pictures):
    keras.utils.set_random_seed(1)
    model = channels_first(
        [
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1", **FIRST),
            layers.MaxPooling2D(2, name="pool1", **FIRST),
            layers.Conv2D(5, 3, padding="same", name="conv2", **FIRST),
            layers.BatchNormalization(axis=1, name="norm2"),
            layers.ReLU(name="relu2"),
            layers.Flatten(name="flatten", **FIRST),
            layers.Dense(3, "softmax", name="scores"),
        ]
    )
    give_weights(model, reference)
    before = state(model)
    explainer, last = gcam.Explainer(model), gcam.Explainer(reference)
    assert explainer.network.input_size == (8, 8)
    np.testing.assert_allclose(explainer.predict(pictures), last.predict(pictures), atol=1e-6)
    for method in ("guided", "fullgrad", "ablationcam", "relevance_cam", "scorecam"):
        np.testing.assert_allclose(
            explainer.maps(pictures, [0, 1, 2], method, raw=True),
            last.maps(pictures, [0, 1, 2], method, raw=True),
            atol=1e-5,
            err_msg=method,
        )
    assert state(model) == before


@needs_channels_first
def test_layers_without_a_channels_last_twin_are_turned(pictures):
    inputs = keras.Input((3, 8, 8))
    x = layers.Permute((1, 3, 2))(layers.Permute((1, 3, 2))(inputs))
    x = layers.Conv2D(4, 3, activation="relu", **FIRST)(x)
    x = layers.LayerNormalization(axis=1)(x)
    x = keras.ops.concatenate([x, -x], axis=1)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    explainer = gcam.Explainer(model)
    expected = tf.nn.softmax(model(pictures.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-5)
    assert explainer.maps(pictures, raw=True).shape == (3, 6, 6)


@needs_channels_first
def test_rows_that_become_columns_are_refused():
    inputs = keras.Input((3, 8, 8))
    x = layers.Conv2D(4, 3, **FIRST)(layers.Permute((1, 3, 2), name="turn")(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(gcam.InputError, match="'turn' puts its positions in another order"):
        gcam.Explainer(model)


@needs_channels_first
@pytest.mark.parametrize(
    "middle",
    [
        [layers.BatchNormalization(axis=1)],
        [layers.BatchNormalization(axis=2)],
        [layers.BatchNormalization(axis=-1)],
        [layers.Dense(6)],
        [layers.Permute((2, 3, 1)), layers.Conv2D(4, 3)],
    ],
    ids=["channels", "rows", "columns", "dense", "turned convolution"],
)
def test_a_bias_lies_along_the_axis_of_its_layer(middle, pictures):
    keras.utils.set_random_seed(1)
    steps = [layers.Conv2D(6, 3, **FIRST), *middle, layers.ReLU(), layers.Flatten()]
    model = channels_first([*steps, layers.Dense(3)])
    for variable in model.weights:
        variable.assign(keras.random.uniform(variable.shape, 0.1, 1.0))
    parts = fullgrad_completeness(open_network(model), pictures, [0, 1, 2])
    np.testing.assert_allclose(parts.residuals, 0, atol=1e-4 * np.abs(parts.logits).max())
    assert np.all(np.abs(parts.bias_terms) > 1e-2 * np.abs(parts.logits))


@needs_channels_first
@pytest.mark.parametrize("filters", [4, 7])  # With as many as columns, Keras adds it to those.
def test_the_bias_of_one_channels_first_layer(filters, pictures):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((8, 8, 3))
    x = layers.Permute((3, 1, 2))(layers.Conv2D(5, 3, activation="relu")(inputs))
    x = layers.ReLU()(layers.Conv2D(filters, 3, bias_initializer="normal", **FIRST)(x))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    parts = fullgrad_completeness(gcam.Explainer(model).network, pictures, [0, 1, 2])
    np.testing.assert_allclose(parts.residuals, 0, atol=1e-4 * np.abs(parts.logits).max())


BETWEEN = {
    "nothing": ([], []),
    "rows": ([layers.BatchNormalization(axis=2)], [layers.BatchNormalization(axis=1)]),
    "columns": ([layers.BatchNormalization(axis=-1)], [layers.BatchNormalization(axis=2)]),
    "dense": (
        [layers.Dense(7)],
        [layers.Permute((1, 3, 2)), layers.Dense(7), layers.Permute((1, 3, 2))],
    ),
    "turned convolution": (
        [layers.Permute((2, 3, 1)), layers.Conv2D(4, 3), layers.Permute((3, 1, 2))],
        [layers.Conv2D(4, 3)],
    ),
}


@needs_channels_first
@pytest.mark.parametrize("method", ["relevance_cam", "lrp", "excitation_backprop", "deeplift"])
@pytest.mark.parametrize("between", BETWEEN)
def test_relevance_goes_through_layers_that_keep_their_order(between, method, pictures):
    keras.utils.set_random_seed(1)
    mine, same = BETWEEN[between]
    end = [layers.ReLU(), layers.Flatten(), layers.Dense(3)]
    model = channels_first([layers.Conv2D(5, 3, name="conv", **FIRST), layers.ReLU(), *mine, *end])
    inputs = keras.Input((8, 8, 3))
    end = [layers.ReLU(), layers.Permute((3, 1, 2)), layers.Flatten(), layers.Dense(3)]
    steps = [layers.Conv2D(5, 3, name="conv"), layers.ReLU(), *same, *end]
    last = keras.Model(inputs, chain(steps, inputs))
    last.set_weights(model.get_weights())
    one, other = (
        gcam.Explainer(each, layer="conv").maps(pictures, [0, 1, 2], method, raw=True)
        for each in (model, last)
    )
    np.testing.assert_allclose(one, other, atol=1e-5 * np.abs(other).max())
    assert np.ptp(other) > 0


@lacks_channels_first
def test_where_tensorflow_cannot_compute_it_that_is_said():
    inputs = keras.Input((3, 8, 8))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu", **FIRST)(inputs))
    model = keras.Model(inputs, layers.Dense(3)(x), name="first")
    with pytest.raises(gcam.InputError, match=f"'first' is channels-first, .*{ONEDNN}=1"):
        gcam.Explainer(model)


@lacks_channels_first
def test_with_onednn_the_other_tests_pass():
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env={**os.environ, ONEDNN: "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


class Windows(layers.Layer):
    """Says how large its windows are, and not where channels lie, as KerasHub's SAM does."""

    kernel_size = (2, 2)

    def call(self, inputs):
        return 2 * inputs


def test_a_layer_with_a_kernel_and_no_data_format_is_channels_last():
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(Windows()(inputs))
    explainer = gcam.Explainer(keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))))
    assert explainer.layer == "conv"
