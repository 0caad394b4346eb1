"""Relevance-CAM: loops, hand computation, the closed form before global pooling, identities."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.relevance_numpy import closed_form
from methods.relevance_numpy import loops_relevance_cam
from methods.relevance_numpy import relevance_maps
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.relevance_cam import initial_relevance

INITS = ["clrp", "sglrp", "onehot"]


@pytest.mark.parametrize(
    ("layer", "init"), [*(("conv1", init) for init in INITS), ("conv2", "clrp")]
)
def test_matches_slow_reference(opened, toy_images, layer, init):
    slow = ToyNumpy(opened.network.model)
    explainer = opened.at(layer)
    found = np.stack(relevance_maps(explainer, toy_images, [[0, 1, 2]] * 3, init=init), axis=2)
    expected = np.array(
        [
            [
                loops_relevance_cam(slow, image.astype(np.float64), target, init, layer)
                for target in range(3)
            ]
            for image in toy_images
        ]
    )
    scale = np.abs(expected).max(axis=(0, 1, 3, 4), keepdims=True)
    assert scale.min() > 0
    np.testing.assert_allclose(found / scale, expected / scale, rtol=1e-3, atol=1e-5)


def tiny_model(*layers, channels=2):
    """A model whose layer `maps` is its input, 2 x 2, as long as that is not negative."""
    model = keras.Sequential(
        [
            keras.Input((2, 2, channels)),
            keras.layers.Conv2D(channels, 1, activation="relu", use_bias=False, name="maps"),
            *layers,
        ]
    )
    model.get_layer("maps").set_weights([np.eye(channels)[None, None]])
    return model


def test_hand_computed_at_global_pooling():
    # The means of the two channels are a = (1, 2).
    image = np.stack([[[1, 3], [0, 0]], [[0, 0], [4, 4]]], axis=-1)[None]
    model = tiny_model(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, name="scores"))
    model.get_layer("scores").set_weights([np.array([[1, -1], [1, 2]]), np.array([5, -5])])
    # W+ = [[1, 0], [1, 2]], so a W+ = (3, 4). Target 0 has R = (1, -1/2):
    #   R_0 = 1 (1/3) = 1/3 and R_1 = 2 (1/3 - 2/8) = 1/6; w = R / 4 = (1/12, 1/24).
    # Target 1 has R = (-1/2, 1):
    #   R_0 = -1/6 and R_1 = 2 (-1/6 + 2/4) = 2/3; w = (-1/24, 1/6).
    saliency, relevance = relevance_maps(gcam.Explainer(model, layer="maps"), image, [[0, 1]])
    expected = [[[1 / 12, 1 / 4], [1 / 6, 1 / 6]], [[-1 / 24, -1 / 8], [2 / 3, 2 / 3]]]
    np.testing.assert_allclose(saliency[0], expected, rtol=1e-5)
    # R_0 is shared 1 : 3 : 0 : 0, and R_1 0 : 0 : 1 : 1.
    expected = [[[1 / 12, 1 / 4], [1 / 12, 1 / 12]], [[-1 / 24, -1 / 8], [1 / 3, 1 / 3]]]
    np.testing.assert_allclose(relevance[0], expected, rtol=1e-5)


def test_hand_computed_through_a_residual_block():
    pattern = np.array([[1, 2], [0, 1]])
    inputs = keras.Input((2, 2, 2))
    maps = keras.layers.Conv2D(2, 1, activation="relu", use_bias=False, name="maps")(inputs)
    branches = [keras.layers.Conv2D(1, 1, use_bias=False, name=f"branch{i}")(maps) for i in (0, 1)]
    x = keras.layers.ReLU()(keras.layers.Add()(branches))
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(1, use_bias=False, name="scores")(x))
    weights = {"maps": [[1, 0], [0, 1]], "branch0": [1, 1], "branch1": [-3, 1], "scores": [1]}
    for name, values in weights.items():
        kernel = model.get_layer(name).kernel
        kernel.assign(np.reshape(values, kernel.shape))
    # The channels are u and 2 u, with u the pattern; the branches u + 2 u = 3 u and 2 u - 3 u = -u,
    # their sum 2 u. Of its relevance 1 the branches get 3/2 and -1/2. The first gives 1 : 2 of that
    # to the channels, (1/2, 1). The second has one positive term, so it gives (0, -1/2). Together
    # (1/2, 1/2), in space 1 : 2 : 0 : 1. So w = (1/8, 1/8) and S = u/8 + 2 u/8.
    image = np.stack([pattern, 2 * pattern], axis=-1)[None]
    saliency, relevance = relevance_maps(gcam.Explainer(model, layer="maps"), image, [[0]])
    np.testing.assert_allclose(relevance[0, 0], [[1 / 4, 2 / 4], [0, 1 / 4]], rtol=1e-5)
    np.testing.assert_allclose(saliency[0, 0], [[3 / 8, 6 / 8], [0, 3 / 8]], rtol=1e-5)


def test_closed_form_on_the_toy_network(toy_images):
    model = build_toy("gap")
    activations = ToyNumpy(model).activations(toy_images)
    kernel = model.get_layer("scores").kernel.numpy().astype(np.float64)
    found = relevance_maps(gcam.Explainer(model), toy_images, [[0, 1, 2]] * 3)
    for n, target in np.ndindex(3, 3):
        expected = closed_form(activations[n], kernel, target)
        for maps, reference in zip(found, expected, strict=True):
            assert np.abs(reference).max() > 1e-3
            np.testing.assert_allclose(maps[n, target], reference, rtol=1e-4, atol=1e-6)


def test_initial_relevance():
    # softmax of (ln 1, ln 2, ln 5) is (1, 2, 5) / 8; of the others than 1, (1, 5) / 6.
    logits = tf.constant([np.log([1.0, 2.0, 5.0])], tf.float32)
    expected = {
        "clrp": [[-1 / 3, 1, -1 / 3]],
        "sglrp": [[-1 / 6, 1, -5 / 6]],
        "onehot": [[0, 1, 0]],
    }
    for init, relevance in expected.items():
        found = initial_relevance(init, tf.constant([1]), logits)
        np.testing.assert_allclose(found, relevance, rtol=1e-6)


def test_sglrp_of_a_sure_or_single_score_is_finite():
    logits = tf.constant([[1000.0, 0.0, 0.0]])
    np.testing.assert_array_equal(
        initial_relevance("sglrp", tf.constant([0]), logits), [[1, -0.5, -0.5]]
    )
    for init in INITS:
        np.testing.assert_array_equal(
            initial_relevance(init, tf.constant([0]), tf.constant([[3.0]])), [[1]]
        )


def test_maps_are_linear_in_the_initial_relevance(opened, toy_images):
    explainer = opened.at("conv1")
    ids = [[0, 1, 2]] * 3
    single, _ = relevance_maps(explainer, toy_images, ids, init="onehot")
    logits = explainer.pipeline.logits(tf.constant(toy_images))
    for init in ("clrp", "sglrp"):
        maps, _ = relevance_maps(explainer, toy_images, ids, init=init)
        for target in range(3):
            start = initial_relevance(init, tf.fill([3], target), logits)
            expected = np.einsum("nj,njhw->nhw", start, single)
            np.testing.assert_allclose(
                maps[:, target], expected, rtol=1e-4, atol=1e-5 * np.abs(single).max()
            )


def test_scaled_and_shifted_logits_change_nothing(toy, toy_images):
    explainer = gcam.Explainer(toy)
    ids = [[0, 1, 2]] * 3
    before, _ = relevance_maps(explainer, toy_images, ids)
    scores = toy.get_layer("scores")
    scores.kernel.assign(3 * scores.kernel)
    scores.bias.assign(scores.bias + 7)
    after, _ = relevance_maps(explainer, toy_images, ids)
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-6)


def test_conv_bias_is_left_out_when_told(toy_images):
    explainer = gcam.Explainer(build_toy("gap"), layer="conv1")
    _, twice = relevance_maps(explainer, toy_images, [[0]] * 3, init="onehot")
    _, none = relevance_maps(explainer, toy_images, [[0]] * 3, init="onehot", conv_bias="none")
    np.testing.assert_allclose(none.sum(axis=(2, 3)), 1, rtol=1e-4)
    assert np.abs(twice.sum(axis=(2, 3)) - 1).min() > 0.005


def test_pictures_and_targets_are_apart_and_traced_once(compiled, opened, toy_images):
    explainer = opened.at("conv1")
    ids = np.array([[0, 1], [2, 0], [1, 2]])
    batch = explainer.maps(toy_images, ids, "relevance_cam", raw=True)
    for n, t in np.ndindex(*ids.shape):
        alone = explainer.maps(toy_images[n : n + 1], [ids[n, t]], "relevance_cam", raw=True)
        np.testing.assert_allclose(batch[n, t], alone[0], rtol=1e-4, atol=1e-7)
    halves = explainer.maps(toy_images, ids, "relevance_cam", raw=True, batch_size=2)
    np.testing.assert_allclose(halves, batch, rtol=1e-4, atol=1e-7)
    kernel = explainer.pipeline.kernel(get_method("relevance_cam"))
    assert kernel.experimental_get_tracing_count() == 1


def test_best_class_is_found(opened, toy_images):
    best = opened.predict(toy_images).argmax(axis=1)
    np.testing.assert_array_equal(
        opened.maps(toy_images, None, "relevance_cam", raw=True),
        opened.maps(toy_images, best, "relevance_cam", raw=True),
    )


def test_raw_map_is_signed_and_zero_relevance_is_not_zero_heat():
    # The top left speaks for class 0, the top right against it, the bottom for neither.
    image = np.zeros((1, 2, 2, 2))
    image[0, 0, 0, 0] = image[0, 0, 1, 1] = 4
    model = tiny_model(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, name="scores"))
    model.get_layer("scores").set_weights([np.eye(2), np.zeros(2)])
    explainer = gcam.Explainer(model, layer="maps")
    # R = (1, -1/2) and a = (1, 1), so w = (1/4, -1/8).
    raw = explainer.maps(image, [0], "relevance_cam", raw=True)
    np.testing.assert_allclose(raw, [[[1, -0.5], [0, 0]]], rtol=1e-5)
    shown = explainer.maps(image, [0], "relevance_cam")
    np.testing.assert_allclose(shown, [[[1, 0], [1 / 3, 1 / 3]]], rtol=1e-5)


@pytest.mark.parametrize("init", INITS)
def test_degenerate_pictures_are_finite(opened, init):
    flat = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 255.0)])
    explainer = opened.at("conv1")
    raw = explainer.maps(flat, [[0, 1, 2]] * 2, "relevance_cam", raw=True, init=init)
    assert np.isfinite(raw).all()


def test_nothing_active_and_nothing_in_favour_is_zero():
    model = tiny_model(keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(2, name="scores"))
    model.get_layer("scores").set_weights([np.array([[-1, 1], [-2, 1]]), np.zeros(2)])
    explainer = gcam.Explainer(model, layer="maps")
    images = np.stack([np.full((2, 2, 2), -1.0), np.arange(8.0).reshape(2, 2, 2)])
    maps = explainer.maps(images, [0, 0], "relevance_cam", init="onehot", raw=True)
    np.testing.assert_array_equal(maps, np.zeros((2, 2, 2)))
    maps = explainer.maps(images, [0, 0], "relevance_cam", init="onehot")
    np.testing.assert_array_equal(maps, np.zeros((2, 2, 2)))


def test_layers_without_a_rule_are_refused_before_anything_is_computed():
    layers = keras.layers
    model = tiny_model(
        layers.Conv2D(2, 1, activation="gelu", name="smooth"),
        layers.LayerNormalization(name="norm"),
        layers.GlobalAveragePooling2D(),
        layers.Dense(2),
    )
    network = gcam.Explainer(model).network
    with pytest.raises(InputError, match=r"no rule for activation 'gelu' of layer 'smooth'"):
        get_method("relevance_cam").compile(network.view("maps"))
    with pytest.raises(InputError, match="no rule for layer 'norm' of type LayerNormalization"):
        get_method("relevance_cam").compile(network.view("smooth"))
    # What comes before the explained layer needs no rule.
    get_method("relevance_cam").compile(network.view("norm"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"init": "softmax"}, "init must be one of 'clrp', 'sglrp', 'onehot'; received 'softmax'"),
        ({"conv_bias": True}, "conv_bias must be one of 'twice', 'none'; received True"),
        ({"alpha": 2}, "has no option 'alpha'; it has augmented, init, conv_bias, smooth"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(InputError, match=message):
        get_method("relevance_cam", **options)


def test_behind_global_max_pooling_each_channel_s_relevance_is_at_its_maximum(rng):
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="maps")(inputs)
    outputs = layers.Dense(2, use_bias=False)(layers.GlobalMaxPooling2D()(x))
    explainer = gcam.Explainer(keras.Model(inputs, outputs), scores="logits", layer="maps")
    pictures = rng.uniform(size=(2, 8, 8, 3)).astype(np.float32)
    found = explainer.maps(pictures, [0, 1], "relevance_cam", raw=True)
    kept = layers.Flatten()(layers.GlobalMaxPooling2D(keepdims=True)(x))
    twin = keras.Model(inputs, layers.Dense(2, use_bias=False)(kept))
    twin.set_weights(explainer.network.model.get_weights())
    twin = gcam.Explainer(twin, scores="logits", layer="maps")
    expected = twin.maps(pictures, [0, 1], "relevance_cam", raw=True)
    assert expected.any()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
