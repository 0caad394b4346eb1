"""FullGrad sees a picture as the first trained layer does, and says what its terms miss."""

import warnings

import keras
import numpy as np
import pytest
from common import build_toy
from methods.test_fullgrad import build_rich

import guidedcam_tf as gcam
from guidedcam_tf.methods import fullgrad_completeness
from guidedcam_tf.networks import Network

layers, ops = keras.layers, keras.ops
METHODS = ("fullgrad", "smooth_fullgrad")


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


def standardized(x):
    return (x - ops.mean(x, axis=(1, 2), keepdims=True)) / 64


PREPARED = {
    "rescaling": (layers.Rescaling(1 / 127.5, -1), lambda x: x / 127.5 - 1),
    "normalization": (
        layers.Normalization(mean=[90.0, 100, 110], variance=[900.0, 1000, 1100]),
        lambda x: (x - np.array([90.0, 100, 110])) / np.sqrt([900.0, 1000, 1100]),
    ),
    "both": (
        keras.Sequential([layers.Rescaling(1 / 255), layers.Rescaling(4, -2)]),
        lambda x: x / 255 * 4 - 2,
    ),
    "own layer": (Signed(), lambda x: x / 127.5 - 1),
    "lambda": (layers.Lambda(caffe), caffe),
    "arithmetic": (caffe, caffe),
    "two paths": (standardized, standardized),
}
SAME_NOISE = ("rescaling", "both", "own layer")
"""Those that treat all channels alike, and so keep the noise of Smooth-FullGrad in proportion."""


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 255, (2, 8, 8, 3)).astype(np.uint8)


@pytest.mark.parametrize("name", PREPARED)
def test_preprocessing_in_the_model_is_as_outside_of_it(name, pictures):
    inside, outside = PREPARED[name]
    toy = build_toy("flatten", activation=None)
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, toy(inside(inputs)))

    def preprocess(images):
        return ops.cast(outside(images), "float32")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = gcam.Explainer(model, preprocess="none")
        expected = gcam.Explainer(toy, preprocess=preprocess)
        for method in METHODS[: 2 if name in SAME_NOISE else 1]:
            maps = [each.maps(pictures, [0, 2], method, raw=True) for each in (found, expected)]
            np.testing.assert_allclose(*maps, rtol=1e-3, atol=1e-4)
    parts = fullgrad_completeness(found.network, pictures, [0, 2])
    np.testing.assert_allclose(parts.residuals, 0, atol=1e-4)


def test_trained_layers_and_changes_of_size_are_not_preprocessing():
    for first in (layers.Conv2D(3, 1), Shift(), layers.ZeroPadding2D(1), layers.MaxPooling2D(2)):
        inputs = keras.Input((8, 8, 3))
        x = layers.Flatten()(layers.Conv2D(2, 3)(first(inputs)))
        graph = Network(keras.Model(inputs, layers.Dense(3)(x))).graph
        assert graph.prepared == graph.input


def inside(middle):
    """A network with something between its convolutions."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="first")(inputs)
    x = layers.Conv2D(5, 3, activation="relu", name="second")(middle(x))
    return keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)), name="net")


@pytest.mark.parametrize(
    ("middle", "cause"),
    [
        (Shift(name="shift"), r"Biases inside 'shift' \(Shift\) cannot be seen"),
        (layers.Rescaling(1.0, 300.0), "add up only where all is linear between ReLUs"),
        (lambda x: x + 300.0, "add up only where"),
        (lambda x: ops.sigmoid(x / 100), "add up only where"),
        (lambda x: x * x / 100, "add up only where"),
        (layers.Lambda(lambda x: ops.relu(x - 30.0)), "add up only where"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_missed_is_said(method, middle, cause, pictures):
    with pytest.warns(UserWarning, match=rf"{method} is incomplete for model 'net'.*{cause}") as w:
        gcam.Explainer(inside(middle)).maps(pictures, 1, method)
    assert [each.filename for each in w if "incomplete" in str(each.message)] == [__file__]


@pytest.mark.parametrize(
    "middle", [layers.ReLU(), layers.LeakyReLU(), layers.PReLU(), layers.MaxPooling2D(1), ops.abs]
)
def test_what_adds_up_is_not_warned_of(middle, pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gcam.Explainer(inside(middle)).maps(pictures, 1, "fullgrad")


@pytest.mark.parametrize("dtype", ["float32", "mixed_float16"])
@pytest.mark.parametrize("head", ["gap", "flatten"])
def test_rounding_is_no_bias(head, dtype, pictures):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", ".*pools globally")
        gcam.Explainer(build_toy(head, dtype=dtype)).maps(pictures, 1, "fullgrad")


def test_other_activations_are_said(pictures):
    with pytest.warns(UserWarning, match=r"its terms miss \d+% of the logit"):
        gcam.Explainer(build_rich("swish")).maps(pictures, 1, "fullgrad")
