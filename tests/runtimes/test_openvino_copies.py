"""What OpenVINO keeps: a model for each size where one for all may never end, and no old values."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.runtimes.kinds import openvino
from guidedcam_tf.runtimes.openvino_model import OpenVINOModel

layers = keras.layers
SECONDS = 60
"""How long a thread may take for a call that takes one."""


class Gain(layers.Layer):
    """Multiplies by a variable that Keras does not know of."""

    def __init__(self, **rest):
        super().__init__(**rest)
        self.gain = tf.Variable(1.0, trainable=False)

    def call(self, numbers):
        return numbers * self.gain


def within(ask):
    """What a call gives; a failure where it does not end."""
    found = []
    thread = threading.Thread(target=lambda: found.append(ask()), daemon=True)
    thread.start()
    thread.join(SECONDS)
    assert found, "the call does not end"
    return found[0]


def of_size(sides, middle):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((*sides, 3))
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="first")(inputs)
    x = layers.GlobalAveragePooling2D()(middle(x))
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x))


@pytest.mark.parametrize(
    "middle",
    [
        lambda x: layers.Conv2D(8, 1)(x),
        lambda x: layers.SeparableConv2D(8, 3, strides=2)(x),
        lambda x: layers.Conv2DTranspose(8, 1)(x),
        lambda x: layers.Conv2D(8, 3, padding="same")(x),
    ],
    ids=["1 x 1", "separable", "transposed", "3 x 3"],
)
def test_a_network_of_any_size_is_tensorflows_at_each(middle, rng):
    model = of_size((None, None), middle)
    ours, theirs = (
        gcam.Explainer(model, layer="first", preprocess="unit", runtime=runtime)
        for runtime in ("tensorflow", "openvino")
    )
    for sides in ((16, 16), (17, 19), (16, 16), (12, 30)):
        pictures = rng.integers(0, 256, (2, *sides, 3), np.uint8)
        for method in ("hirescam", "gradient"):
            expected = ours.maps(pictures, [0, 2], method, raw=True)
            found = within(lambda: theirs.maps(pictures, [0, 2], method, raw=True))  # noqa: B023
            assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
        np.testing.assert_allclose(
            within(lambda: theirs.predict(pictures)),  # noqa: B023
            ours.predict(pictures),
            atol=1e-6,
        )


def models_of(explainer, method="hirescam"):
    kernel = explainer.pipeline.kernel(gcam.methods.get_method(method))
    return kernel._models


def test_the_models_of_the_last_sizes_are_kept(monkeypatch, rng):
    monkeypatch.setattr(openvino, "EXTENTS", 2)
    model = of_size((None, None), layers.Conv2D(8, 1))
    explainer = gcam.Explainer(model, layer="first", preprocess="unit", runtime="openvino")
    for side in (8, 9, 8, 10):
        explainer.maps(rng.integers(0, 256, (1, side, side, 3), np.uint8), [0], "hirescam")
    assert list(models_of(explainer)) == [((8, 8, 3),), ((10, 10, 3),)]


def test_a_network_of_one_size_has_one_model(rng):
    model = of_size((16, 16), layers.Conv2D(8, 1))
    explainer = gcam.Explainer(model, layer="first", preprocess="unit", runtime="openvino")
    for count, targets in ((1, [0]), (3, [0, 1, 2])):
        pictures = rng.integers(0, 256, (count, 20, 12, 3), np.uint8)
        explainer.maps(pictures, targets, "hirescam")
    assert list(models_of(explainer)) == [()]


@pytest.mark.parametrize("ask", ["predict", "maps"])
@pytest.mark.parametrize("where", ["a layer", "preprocess", "preprocess of Keras"])
def test_other_values_of_variables_beside_the_weights_are_no_answer(where, ask, rng):
    gain = Gain()
    shift = keras.Variable(0.0) if where == "preprocess of Keras" else tf.Variable(0.0)
    model = of_size((16, 16), lambda x: gain(x))
    given = "unit" if where == "a layer" else lambda images: images / 255 + shift
    pictures = rng.integers(0, 256, (1, 16, 16, 3), np.uint8)

    def opened():
        explainer = gcam.Explainer(model, layer="first", preprocess=given, runtime="openvino")
        return explainer, {
            "predict": lambda: explainer.predict(pictures),
            "maps": lambda: explainer.maps(pictures, [1], "gradcam"),
        }[ask]

    _, before = opened()
    np.testing.assert_array_equal(before(), before())
    (gain.gain if where == "a layer" else shift).assign(2.0)
    with pytest.raises(gcam.InputError, match=r"beside the model's weights .*new Explain"):
        before()
    explainer, after = opened()
    theirs = gcam.Explainer(model, layer="first", preprocess=given)
    np.testing.assert_allclose(explainer.predict(pictures), theirs.predict(pictures), atol=1e-6)
    after()


def answering(monkeypatch, **changes):
    """A conversion that answers otherwise, which cannot be had here: by name, what is changed."""
    call = OpenVINOModel.__call__
    names = sorted([*get_method("guided").outputs, "class_ids", "logits"])

    def changed(self, arguments):
        found = dict(zip(names, call(self, arguments), strict=True))
        return [changes.get(name, lambda x: x)(found[name]) for name in names]

    monkeypatch.setattr(OpenVINOModel, "__call__", changed)


@pytest.mark.parametrize(
    "changes",
    [
        {"saliency": lambda x: 1.2 * x},
        {"logits": lambda x: x[:, ::-1]},
        {"logits": lambda x: x[:, ::-1], "class_ids": lambda x: 2 - x},
    ],
    ids=["another map", "other scores", "other scores and their best class"],
)
def test_a_conversion_that_computes_otherwise_is_refused(changes, monkeypatch, rng):
    explainer = gcam.Explainer(of_size((8, 8), lambda x: x), preprocess="unit", runtime="openvino")
    answering(monkeypatch, **changes)
    with pytest.raises(gcam.InputError, match="an operation that computes as TensorFlow's"):
        explainer.maps(rng.integers(0, 255, (1, 8, 8, 3), np.uint8))


KINDS = {"guided": {}, "faster_scorecam": {}, "ablationcam": {}, "smoothgrad": {"samples": 2}}
"""Methods whose first function returns a dict, a tuple, or what has a list in it."""


@pytest.mark.parametrize("method", KINDS)
def test_another_of_two_classes_that_are_as_good_is_no_other_conversion(method, monkeypatch, rng):
    model, options = of_size((8, 8), lambda x: x), KINDS[method]
    image = rng.integers(0, 255, (1, 8, 8, 3), np.uint8)
    kernel, _ = model.layers[-1].get_weights()
    logits = gcam.Explainer(model, preprocess="unit").forward(image).numpy()[0]
    model.layers[-1].set_weights([kernel, np.array([-9, 0, logits[1] - logits[2]])])
    explainer = gcam.Explainer(model, preprocess="unit")
    maps = {each: explainer.maps(image, each, method, **options) for each in (1, 2)}
    assert np.abs(maps[1] - maps[2]).max() > 0.01
    other = 3 - explainer.predict(image).argmax()
    call = OpenVINOModel.__call__

    def rounded_otherwise(self, arguments):
        ranks = [a.dtype.kind == "i" and (a == -1).all() for a in arguments]
        given = [
            np.full_like(a, other) if is_rank else a
            for a, is_rank in zip(arguments, ranks, strict=True)
        ]
        return call(self, given)

    monkeypatch.setattr(OpenVINOModel, "__call__", rounded_otherwise)
    ours = gcam.Explainer(model, preprocess="unit", runtime="openvino")
    np.testing.assert_allclose(ours.maps(image, "top1", method, **options), maps[other], atol=1e-3)
