"""FullGrad says what its terms miss."""

import warnings

import keras
import numpy as np
import pytest
from common import build_toy
from methods.test_fullgrad import build_rich

import guidedcam_tf as gcam

layers, ops = keras.layers, keras.ops
METHODS = ("fullgrad", "smooth_fullgrad")


class Shift(layers.Layer):
    """Adds numbers of its own."""

    def build(self, shape):
        self.shift = self.add_weight(shape=(shape[-1],), initializer=keras.initializers.Constant(2))

    def call(self, x):
        return x + self.shift


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 255, (2, 8, 8, 3)).astype(np.uint8)


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
