"""Integrated Grad-CAM: a slow reference, hand computation, rules of integration, identities."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.counting import CountRows
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import get_method

RULES = {
    "left": ([0, 1 / 3, 2 / 3], [1 / 3, 1 / 3, 1 / 3]),
    "right": ([1 / 3, 2 / 3, 1], [1 / 3, 1 / 3, 1 / 3]),
    "midpoint": ([1 / 6, 3 / 6, 5 / 6], [1 / 3, 1 / 3, 1 / 3]),
    "trapezoid": ([0, 1 / 3, 2 / 3, 1], [1 / 6, 1 / 3, 1 / 3, 1 / 6]),
}
"""The points of three steps and their weights."""


def preprocess(images):
    """What the toy networks' explainers feed: 0..255 to -1..1, so black is -1 and zero is grey."""
    return images / 127.5 - 1


@pytest.fixture(scope="module", params=["gap", "flatten"])
def explainer(request):
    """An explainer of each toy network, shared, so that options are traced once for all tests."""
    return gcam.Explainer(build_toy(request.param), preprocess=preprocess)


@pytest.fixture
def pictures(rng):
    """Pictures for the toy networks, float32 `[3, 8, 8, 3]` in 0..255."""
    return rng.uniform(0, 255, size=(3, 8, 8, 3)).astype(np.float32)


def integrated(explainer, images, class_ids, **options):
    return explainer.maps(images, class_ids, "integrated_gradcam", raw=True, **options)


def blurred(picture):
    """An 11 x 11 Gaussian of sigma 5, the edge mirrored, as OpenCV does it."""
    return cv2.GaussianBlur(picture, (11, 11), 5, borderType=cv2.BORDER_REFLECT)


def loops_integrated(slow, start, end, target, points, weights, *, subtract):
    """The formula for one point of the path and one channel at a time."""
    initial = slow.activations(start[None])[0]
    total = 0
    for t, weight in zip(points, weights, strict=True):
        activations = slow.activations((start + t * (end - start))[None])
        gradients = slow.gradients(activations, [target])[0]
        saliency = np.zeros(initial.shape[:2])
        for k in range(initial.shape[2]):
            change = t * (activations[0, :, :, k] - initial[:, :, k])
            weighted = change if subtract else activations[0, :, :, k]
            saliency += gradients[:, :, k].mean() * weighted
        total += weight * np.maximum(saliency, 0)
    return total


@pytest.mark.parametrize(
    ("rule", "baseline", "subtract"),
    [
        ("left", "black", False),
        ("right", "black", True),
        ("midpoint", "mean", True),
        ("trapezoid", "blur", False),
    ],
)
def test_matches_slow_reference(explainer, pictures, rule, baseline, subtract):
    slow = ToyNumpy(explainer.network.model)
    starts = {
        "black": lambda picture: np.full_like(picture, -1),
        "mean": np.zeros_like,
        "blur": lambda picture: preprocess(blurred(picture)),
    }
    options = {"rule": rule, "baseline": baseline, "subtract_baseline": subtract}
    maps = integrated(explainer, pictures[:2], [[0, 1, 2]] * 2, steps=3, **options)
    assert maps.shape == (2, 3, 4, 4)
    assert maps.dtype == np.float32
    assert maps.max() > 0
    for n, target in np.ndindex(2, 3):
        start, end = starts[baseline](pictures[n]), preprocess(pictures[n])
        expected = loops_integrated(slow, start, end, target, *RULES[rule], subtract=subtract)
        np.testing.assert_allclose(maps[n, target], expected, rtol=1e-4, atol=1e-5 * maps.max())


@pytest.mark.parametrize("rule", RULES)
def test_points_and_weights(rule):
    points, weights = get_method("integrated_gradcam", steps=3, rule=rule).path()
    np.testing.assert_allclose(points, RULES[rule][0], rtol=1e-6)
    np.testing.assert_allclose(weights, RULES[rule][1], rtol=1e-6)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"rule": "left"}, [[0, 0], [2, 0]]),
        ({"rule": "midpoint"}, [[1, 0], [4, 1]]),
        ({"rule": "trapezoid"}, [[1, 0], [5, 1]]),
        ({"rule": "right"}, [[2, 0], [8, 2]]),
        ({"rule": "right", "subtract_baseline": True}, [[2, 0], [7, 2]]),
    ],
)
def test_hand_computed(options, expected):
    # One channel, A = ReLU(x - 2); Y = 8 GAP(A), so lambda = 8 / 4 = 2. The picture is
    # [[4, 0], [8, 4]], the baseline 0, where A = 0. Two steps visit, as maps 2 A(t x):
    #   t = 0, 1/4:  zero                  t = 1/2:  2 ReLU([[2, 0], [4, 2]] - 2) = [[0, 0], [4, 0]]
    #   t = 3/4:     2 ReLU([[3, 0], [6, 3]] - 2) = [[2, 0], [8, 2]]
    #   t = 1:       2 ReLU([[4, 0], [8, 4]] - 2) = [[4, 0], [12, 4]]
    # left: (t=0 + t=1/2) / 2. midpoint: (t=1/4 + t=3/4) / 2. right: (t=1/2 + t=1) / 2.
    # trapezoid: (t=0)/4 + (t=1/2)/2 + (t=1)/4 = [[1, 0], [2 + 3, 1]].
    # The scaled change: (1/2 (t=1/2) + (t=1)) / 2 = [[2, 0], [1 + 6, 2]].
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(1, 1, activation="relu", name="features")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(x))
    model.set_weights([np.ones((1, 1, 1, 1)), np.array([-2.0]), np.array([[8.0, -8.0]])])
    picture = np.array([[4.0, 0.0], [8.0, 4.0]], np.float32).reshape(1, 2, 2, 1)
    maps = integrated(gcam.Explainer(model), picture, [[0, 1]], steps=2, **options)
    np.testing.assert_allclose(maps[0], [expected, np.zeros((2, 2))], rtol=1e-6)


@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
def test_one_step_to_the_picture_itself_is_gradcam(explainer, pictures, baseline):
    options = {"steps": 1, "rule": "right", "baseline": baseline}
    maps = integrated(explainer, pictures, [[0, 1]] * 3, **options)
    gradcam = explainer.maps(pictures, [[0, 1]] * 3, "gradcam", raw=True)
    np.testing.assert_allclose(maps, gradcam, rtol=1e-5, atol=1e-6 * gradcam.max())


def test_behind_global_pooling_it_is_the_mean_of_class_activation_maps(pictures):
    model = build_toy("gap")
    explainer = gcam.Explainer(model, preprocess=preprocess)
    weights = model.get_layer("scores").kernel.numpy()[:, 2] / 16
    slow, maps = ToyNumpy(model), []
    for t in np.arange(50) / 50:
        inputs = -1 + t * (preprocess(pictures) + 1)
        maps.append(np.maximum(slow.activations(inputs) @ weights, 0))
    expected = np.mean(maps, axis=0)
    result = integrated(explainer, pictures, [2] * 3)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_on_resnet50_it_is_the_mean_of_gradcam_maps_of_darker_pictures(resnet50, photographs):
    dark = [t * photographs[:1].astype(np.float32) for t in (0, 0.5)]
    maps = [resnet50.maps(images, [285], "gradcam", raw=True) for images in dark]
    expected = np.mean(maps, axis=0)
    result = integrated(resnet50, photographs[:1], [285], steps=2, block_size=3)
    np.testing.assert_allclose(result, expected, rtol=1e-3, atol=1e-4 * expected.max())


def test_pictures_and_targets_are_apart(explainer, pictures):
    ids = np.array([[0, 1], [2, 0], [1, 2]])
    batch = integrated(explainer, pictures, ids, steps=3)
    for image, targets, maps in zip(pictures, ids, batch, strict=True):
        alone = [integrated(explainer, image[None], [t], steps=3)[0] for t in targets]
        np.testing.assert_allclose(maps, alone, rtol=1e-5, atol=1e-6 * batch.max())


@pytest.mark.parametrize("block_size", [1, 4, 100])
def test_the_block_size_changes_nothing(explainer, pictures, block_size):
    options = {"steps": 3, "baseline": "blur", "rule": "trapezoid"}
    maps = integrated(explainer, pictures, [0, 1, 2], block_size=block_size, **options)
    expected = integrated(explainer, pictures, [0, 1, 2], **options)
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-6 * expected.max())


def test_a_rank_means_the_class_of_the_picture_not_of_the_path(explainer, pictures):
    result = explainer.pipeline.kernel(get_method("integrated_gradcam", steps=3))(
        tf.constant(pictures), tf.constant([[-1, -2]] * 3)
    )
    logits = explainer.pipeline.logits(pictures).numpy()
    np.testing.assert_allclose(result["logits"], logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result["class_ids"], np.argsort(-logits)[:, :2])
    maps = integrated(explainer, pictures, result["class_ids"].numpy(), steps=3)
    np.testing.assert_allclose(result["saliency"], maps, rtol=1e-5, atol=1e-6 * maps.max())


@pytest.mark.parametrize(
    ("options", "passes"),
    [
        ({}, 10 + 1),
        ({"rule": "trapezoid"}, 11 + 1),
        ({"subtract_baseline": True}, 10 + 2),
    ],
)
def test_passes_and_traces(compiled, pictures, options, passes):
    inputs = keras.Input((8, 8, 3))
    counter = CountRows()
    x = keras.layers.Conv2D(4, 3, activation="relu")(counter(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    explainer = gcam.Explainer(model)
    counter.rows = counter.traces = 0
    options = {"steps": 10, "block_size": 4, **options}
    integrated(explainer, pictures, [[0, 1]] * 3, **options)
    assert counter.rows == 3 * passes
    traces = counter.traces
    assert traces == 2 + options.get("subtract_baseline", False)
    integrated(explainer, pictures[:1], [[0, 1, 2]], **options)
    integrated(explainer, pictures[:2], None, **options)
    assert counter.traces == traces


@pytest.mark.parametrize("value", [0.0, 127.5, 200.0])
@pytest.mark.parametrize("subtract", [False, True])
def test_flat_pictures(explainer, value, subtract):
    image = np.full((1, 8, 8, 3), value, np.float32)
    options = {"steps": 3, "subtract_baseline": subtract}
    for raw in (True, False):
        maps = explainer.maps(image, [[0, 1, 2]], "integrated_gradcam", raw=raw, **options)
        assert np.isfinite(maps).all()
        assert (maps >= 0).all()
        if subtract and value == 0.0:
            np.testing.assert_array_equal(maps, np.zeros_like(maps))


def test_an_unsupported_target_is_empty(pictures):
    model = build_toy("gap")
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[:, 1] = -np.abs(kernel[:, 1])
    model.get_layer("scores").set_weights([kernel, bias])
    maps = integrated(gcam.Explainer(model), pictures, [1] * 3, steps=3)
    np.testing.assert_array_equal(maps, np.zeros((3, 4, 4)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "integrated_gradcam: steps must be a whole number of at least 1; received"),
        ({"steps": 2.5}, r"steps must be a whole number of at least 1; received 2\.5"),
        (
            {"baseline": "white"},
            "baseline must be one of 'black', 'mean', 'blur'; received 'white'",
        ),
        ({"rule": "simpson"}, "rule must be one of 'left', 'right', 'midpoint', 'trapezoid'"),
        ({"subtract_baseline": "yes"}, "subtract_baseline must be True or False; received 'yes'"),
        ({"block_size": True}, "block_size must be a whole number of at least 1; received True"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        get_method("integrated_gradcam", **options)
