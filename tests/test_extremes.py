"""Models and pictures at the edges: small, of any size, of few classes, without space."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import eager

import guidedcam_tf as gcam
from guidedcam_tf.again import explain_again
from guidedcam_tf.methods import get_method

layers = keras.layers


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(7).integers(0, 256, (2, 32, 32, 3), np.uint8)


def test_pictures_of_32_x_32(pictures):
    """The statistics are those of a few pictures, lest the random network vanish in float32."""
    keras.utils.set_random_seed(2)
    model = keras.applications.MobileNet((32, 32, 3), 0.25, weights=None, classes=2)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(pictures / 127.5 - 1, training=True)
    explainer = gcam.Explainer(model, preprocess="tf")
    assert explainer.network.default_layer_reason.startswith(
        "'conv_pw_11_relu' (ReLU, 2 x 2) is the last feature map with spatial extent"
    )
    raw = explainer.maps(pictures, [[0, 1]] * 2, raw=True)
    assert raw.shape == (2, 2, 2, 2)
    assert np.isfinite(raw).all()
    assert raw.any()
    message = r"'conv_pw_13_relu' cannot.*no spatial extent.*\(None, 1, 1, 256\).*'conv_pw_11_relu'"
    with pytest.raises(gcam.InputError, match=message):
        gcam.Explainer(model, layer="conv_pw_13_relu", preprocess="tf")


@pytest.mark.parametrize("method", ["guided", "eigencam"])
def test_pictures_too_small_for_a_network_of_any_size(pictures, method):
    """What the layer's extent is shows only when a picture comes."""
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 32, strides=32, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    explainer = gcam.Explainer(model)
    message = "'conv' has one position only for pictures of 32 x 32.*an earlier layer"
    with pytest.raises(gcam.InputError, match=message):
        explainer.maps(pictures, method=method)
    larger = np.tile(pictures, (1, 2, 2, 1))
    assert explainer.maps(larger, method=method, raw=True).shape == (2, 2, 2)


def classifier(units, activation=None):
    keras.utils.set_random_seed(3)
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 5, strides=4, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, layers.Dense(units, activation, name="scores")(layers.Flatten()(x)))


def test_two_classes_are_one_unit_and_its_opposite(pictures):
    """A softmax over (-z, z) is a sigmoid of 2 z; the map of class 1 is that of the unit."""
    one, two = classifier(1, "sigmoid"), classifier(2, "softmax")
    head = [np.concatenate([-w, w], axis=-1) for w in one.get_layer("scores").get_weights()]
    two.set_weights([*one.get_weights()[:2], *head])
    of_unit, of_two = gcam.Explainer(one), gcam.Explainer(two)
    expected = of_unit.maps(pictures, [1, 1], raw=True)
    assert expected.any()
    np.testing.assert_allclose(
        of_two.maps(pictures, [1, 1], raw=True), expected, rtol=1e-4, atol=1e-6
    )
    against = of_unit.maps(pictures, [0, 0], raw=True)
    np.testing.assert_allclose(
        of_two.maps(pictures, [0, 0], raw=True), against, rtol=1e-4, atol=1e-6
    )
    assert np.abs(against - expected).max() > 1e-3 * expected.max()
    logits = of_unit.pipeline.logits(of_unit.pipeline.fitted(pictures))
    np.testing.assert_allclose(logits[:, 0], -logits[:, 1])
    np.testing.assert_allclose(of_two.predict(pictures), tf.sigmoid(2 * logits), atol=1e-5)


def test_a_network_without_features():
    """Layers that prepare a picture keep its extent, and are no feature map."""
    inputs = keras.Input((32, 32, 3))
    x = layers.GaussianNoise(0.1)(
        layers.RandomFlip()(layers.Rescaling(1 / 255, name="scaled")(inputs))
    )
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)), name="dense")
    explainer = gcam.Explainer(model)
    message = "'guided' explains a layer, and model 'dense' has no layer with spatial extent"
    with pytest.raises(
        gcam.InputError, match=rf"{message}.*: none; .*need none: .*gradient, .*rise"
    ):
        explainer.explain(np.zeros((32, 32, 3), np.uint8))
    with pytest.raises(gcam.InputError, match="layer 'x' is not in 'dense'; nearest: none"):
        gcam.Explainer(model, layer="x")
    with pytest.raises(gcam.InputError, match="layer 'scaled' cannot be explained: it prepares"):
        gcam.Explainer(model, layer="scaled")


LAYERLESS = [name for name in gcam.list_methods() if not get_method(name).needs_layer]


@pytest.fixture(scope="module")
def perceptron():
    """Two dense layers on a flattened picture of 8 x 8."""
    inputs = keras.Input((8, 8, 1))
    x = layers.Dense(16, activation="relu", name="hidden")(layers.Flatten()(inputs))
    keras.utils.set_random_seed(1)
    return keras.Model(inputs, layers.Dense(3, name="scores")(x), name="perceptron")


@pytest.fixture(scope="module")
def with_and_without(perceptron):
    """Its explainer, and one of the same network behind a convolution that changes nothing."""
    inputs = keras.Input((8, 8, 1))
    same = layers.Conv2D(1, 1, use_bias=False, kernel_initializer="ones", name="same")
    layered = keras.Model(inputs, perceptron(same(inputs)))
    return [
        gcam.Explainer(each, preprocess="none", scores="logits") for each in (layered, perceptron)
    ]


@pytest.mark.parametrize("method", LAYERLESS)
def test_what_explains_the_picture_asks_for_no_layer(method, with_and_without, rng):
    """As in the same network behind a convolution that changes nothing, and so has a layer."""
    layered, explainer = with_and_without
    options = {"samples": 20} if method in ("rise", "smooth_fullgrad") else {}
    pictures = rng.normal(size=(2, 8, 8, 1)).astype(np.float32)
    assert explainer.layer == ""
    found = explainer.maps(pictures, [0, 2], method, raw=True, **options)
    assert found.shape == (2, 8, 8)
    assert np.ptp(found) > 0
    if method != "lrp":  # Its rule for the layer that sees the picture is another.
        with eager():
            expected = layered.maps(pictures, [0, 2], method, raw=True, **options)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_an_explanation_without_a_layer_is_saved_and_made_again(perceptron, tmp_path, rng):
    file = tmp_path / "perceptron.keras"
    perceptron.save(file)
    picture = tmp_path / "picture.npy"
    np.save(picture, rng.normal(size=(8, 8, 1)).astype(np.float32))
    explainer = gcam.Explainer(file, preprocess="none", scores="logits")
    explanation = explainer.explain(picture, [1], "integrated_gradients")
    assert "by integrated_gradients of perceptron" in repr(explanation)
    saved = explanation.save(tmp_path / "out")
    again = explain_again(saved[-1])
    np.testing.assert_array_equal(again.maps, explanation.maps)


def test_where_no_gradient_passes_other_methods_do(pictures):
    """The error offers Score-CAM, which has to work there."""
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 5, strides=4, activation="relu", name="conv")(inputs)
    gate = layers.Lambda(lambda x: tf.cast(x > 9, tf.float32), name="gate")(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(gate)))
    explainer = gcam.Explainer(model, layer="conv")
    with pytest.raises(gcam.InputError, match=r"layer 'gate' \(Lambda\) in between.*scorecam"):
        explainer.maps(pictures)
    assert explainer.maps(pictures, method="scorecam").any()
