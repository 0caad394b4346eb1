"""Occlusion and RISE: by hand, against slow references, and what their masks must obey."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from methods.counting import CountRows
from methods.one_pass import toy_explainer

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.baselines import baseline_inputs

METHOD = "prediction_difference"
IDS = [[0, 1], [2, 0], [1, 2]]
FEW = {
    "rise": {"samples": 50, "cells": 3},
    "occlusion": {"size": 3, "stride": 2},
    "prediction_difference": {"samples": 2},
}


def linear_explainer(weights, bias=0.0):
    """A linear network of pictures of one channel: logits [w . x + b, 0]."""
    height, width = weights.shape
    inputs = keras.Input((height, width, 1))
    counter = CountRows(name="counter")
    x = keras.layers.Conv2D(1, 1, use_bias=False, name="features")(counter(inputs))
    outputs = keras.layers.Dense(2, name="scores")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    model.get_layer("features").set_weights([np.ones((1, 1, 1, 1))])
    kernel = np.stack([weights.ravel(), np.zeros(weights.size)], axis=1)
    model.get_layer("scores").set_weights([kernel, np.array([bias, 0.0])])
    return gcam.Explainer(model), counter


def signed(explainer, images, method, ids, **options):
    """The kernel's second output for one target each, `[N, H, W]`."""
    kernel = explainer.pipeline.kernel(get_method(method, **options))
    return kernel(tf.constant(images), tf.constant(ids)[:, None])["attribution"].numpy()[:, 0]


def test_occlusion_by_hand():
    weights = np.array([[1.0, 2, 3, 0], [0, -1, 0, 0], [4, 0, 0, 1]])
    explainer, _ = linear_explainer(weights, bias=5.0)
    picture = np.ones((1, 3, 4, 1), np.float32)
    # Patches of 2 x 2, one pixel apart: the drop of Y is the sum of the weights they cover.
    drops = np.array([[2.0, 4, 3], [3, -1, 1]])
    mean = [
        [2, 3, 3.5, 3],
        [(2 + 3) / 2, (2 + 4 + 3 - 1) / 4, (4 + 3 - 1 + 1) / 4, (3 + 1) / 2],
        [3, 1, 0, 1],
    ]
    assert drops.shape == (2, 3)
    options = {"size": 2, "stride": 1, "score": "logit"}
    found = signed(explainer, picture, "occlusion", [0], **options)
    np.testing.assert_allclose(found[0], mean, atol=1e-5)
    against = signed(explainer, -picture, "occlusion", [0], **options)
    np.testing.assert_allclose(against[0], -np.array(mean), atol=1e-5)
    raw = explainer.maps(-picture, [0], "occlusion", raw=True, **options)
    np.testing.assert_allclose(raw[0], np.maximum(-np.array(mean), 0), atol=1e-5)


@pytest.mark.parametrize(
    ("fill", "score"), [("black", "prob"), ("mean", "logit"), ("blur", "prob")]
)
def test_occlusion_matches_a_loop(fill, score, toy_images):
    explainer = gcam.Explainer(toy_explainer("flatten").network.model, preprocess=lambda x: x - 0.2)
    size, stride, model = 3, 2, explainer.network.model
    covers = baseline_inputs(explainer.network, tf.constant(toy_images), fill).numpy()
    found = signed(
        explainer,
        toy_images,
        "occlusion",
        [0, 1, 2],
        size=size,
        stride=stride,
        fill=fill,
        score=score,
    )
    starts = [(top, left) for top in (0, 2, 4, 5) for left in (0, 2, 4, 5)]
    places = [(slice(top, top + size), slice(left, left + size)) for top, left in starts]
    for n, image in enumerate(toy_images - np.float32(0.2)):
        pictures = np.stack([image] * (1 + len(places)))
        for picture, place in zip(pictures[1:], places, strict=True):
            picture[place] = covers[n][place]
        outputs = model(pictures) if score == "prob" else explainer.network.logits_of(pictures)
        own, *rest = outputs.numpy()[:, n]
        total, count = np.zeros((8, 8)), np.zeros((8, 8))
        for place, value in zip(places, rest, strict=True):
            total[place] += own - value
            count[place] += 1
        np.testing.assert_allclose(found[n], total / count, rtol=1e-4, atol=1e-6)


def test_occlusion_covers_every_pixel_and_spends_one_pass_a_patch():
    explainer, counter = linear_explainer(np.ones((9, 14)))
    counter.rows, options = 0, {"size": 4, "stride": 3, "score": "logit"}
    raw = explainer.maps(np.ones((2, 9, 14, 1)), [0, 0], "occlusion", raw=True, **options)
    assert counter.rows == 2 * (1 + 3 * 5)  # Rows from 0, 3, 5; columns from 0, 3, 6, 9, 10.
    np.testing.assert_allclose(raw, 16, rtol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 9}, "occlusion: size must be at most 8, the shorter side.*8 x 8; received 9"),
        ({"size": 3, "stride": 4}, "occlusion: stride must be at most size, 3.*received 4"),
        ({"size": 0}, "occlusion: size must be a whole number of at least 1 pixels, or None"),
    ],
)
def test_patches_that_do_not_fit(options, message, toy_images):
    with pytest.raises(gcam.InputError, match=message):
        toy_explainer("gap").maps(toy_images, [0, 1, 2], "occlusion", **options)


def test_prediction_difference_by_hand():
    """p = sigmoid(w . x), so that one content changes the log odds by what it changes of w . x."""
    weights = np.array([[1.0, 2, 0, 0], [0, -1, 0, 0]])
    explainer, _ = linear_explainer(weights)
    picture = np.array([[3.0, 1, 0, 2], [0, 1, 4, 0]])
    options = {"size": 1, "stride": 1, "samples": 1, "count": 10**12}
    found = signed(explainer, picture[None, ..., None].astype(np.float32), METHOD, [0], **options)
    (top, left) = np.random.default_rng(0).integers(0, (2, 4), (1, 2))[0]
    shifted = np.roll(picture, (top, left), axis=(0, 1))
    expected = weights * (picture - shifted) / np.log(2)
    assert expected.any()
    np.testing.assert_allclose(found[0], expected, atol=1e-3)


def test_prediction_difference_matches_a_loop(toy_images):
    explainer, samples, size = toy_explainer("flatten"), 4, 4
    options = {"samples": samples, "size": size, "stride": 2, "seed": 5, "count": 1000}
    found = signed(explainer, toy_images, METHOD, [0, 1, 2], **options)
    shifts = np.random.default_rng(5).integers(0, (8, 8), (samples, 2))
    places = [(slice(t, t + size), slice(s, s + size)) for t in (0, 2, 4) for s in (0, 2, 4)]

    def log_odds(p):
        return np.log2((1000 * p + 1) / (1000 * (1 - p) + 1))

    for n, image in enumerate(toy_images):
        total, count = np.zeros((8, 8)), np.zeros((8, 8))
        own = explainer.network.model(image[None]).numpy()[0, n]
        for place in places:
            pictures = np.stack([image] * samples)
            for picture, shift in zip(pictures, shifts, strict=True):
                picture[place] = np.roll(image, shift, axis=(0, 1))[place]
            without = explainer.network.model(pictures).numpy()[:, n].mean()
            total[place] += log_odds(own) - log_odds(without)
            count[place] += 1
        np.testing.assert_allclose(found[n], total / count, rtol=1e-3, atol=1e-5)


def test_prediction_difference_is_finite_where_the_network_is_sure():
    explainer, _ = linear_explainer(np.full((7, 7), 1000.0))
    picture = np.arange(49.0).reshape(1, 7, 7, 1)
    for sign in (1, -1):
        assert np.isfinite(explainer.maps(sign * picture, [0], METHOD, raw=True)).all()


def test_prediction_difference_needs_probabilities(toy_images):
    with pytest.raises(gcam.InputError, match=r"needs probabilities.*functions.*use occlusion"):
        toy_explainer("gap").maps(toy_images, lambda logits: logits[:, 0], METHOD)


def rise_masks(samples, cells, keep, size, seed=0):
    """The masks that RISE makes, `[samples, *size]`."""
    method = get_method("rise", samples=samples, cells=cells, keep=keep, seed=seed)
    count, mask_of = method.masks(*size)
    assert count == samples
    return mask_of(tf.range(samples, dtype=tf.int64)).numpy()


def shifted_interpolations(cells, step):
    """The matrix `[pixels, cells]` of one axis at each shift: half-pixel bilinear, edges go on."""
    enlarged = (cells + 1) * step
    at = np.clip((np.arange(enlarged) + 0.5) * cells / enlarged - 0.5, 0, cells - 1)
    matrix = np.maximum(0, 1 - np.abs(at[:, None] - np.arange(cells)))
    return [matrix[shift : shift + cells * step] for shift in range(step)]


def test_rise_is_unbiased_for_a_linear_network(compiled, rng):
    """E S = b + sum_j w_j x_j E[M_j M] / p in closed form, within the Monte Carlo error."""
    cells, step, keep, bias = 2, 3, 0.3, 0.7
    size = cells * step
    weights, picture = rng.normal(size=(2, size, size))
    explainer, _ = linear_explainer(weights, bias)
    products = np.zeros((size**2, size**2))
    for rows in shifted_interpolations(cells, step):
        for columns in shifted_interpolations(cells, step):
            shares = np.einsum("ia,jb->ijab", rows, columns).reshape(size**2, cells**2)
            products += keep**2 + keep * (1 - keep) * shares @ shares.T
    products /= step**2
    expected = (bias + products @ (weights * picture).ravel() / keep).reshape(size, size)
    samples = 8000
    options = {"samples": samples, "cells": cells, "keep": keep}
    raw = explainer.maps(
        picture[None, ..., None], [0], "rise", raw=True, score="logit", block_size=1000, **options
    )
    masks = rise_masks(size=(size, size), **options)
    terms = (bias + masks.reshape(samples, -1) @ (weights * picture).ravel())[:, None, None] * masks
    deviations = np.std(terms / keep, axis=0) / np.sqrt(samples)
    assert np.abs((raw[0] - expected) / deviations).max() < 4
    assert deviations.max() < 0.05 * np.ptp(expected)


def test_rise_masks(compiled, rng):
    masks = rise_masks(3000, 4, 0.4, (13, 18))
    assert masks.shape == (3000, 13, 18)
    assert masks.min() >= 0
    assert masks.max() <= 1
    np.testing.assert_allclose(masks.mean(axis=0), 0.4, atol=0.05)
    # Smooth: neighbours differ by less than a cell's whole height over a cell's width.
    assert np.abs(np.diff(masks, axis=1)).max() < 1.3 / 4
    other = rise_masks(3000, 4, 0.4, (13, 18), seed=1)
    assert np.abs(other - masks).max(axis=(1, 2)).min() > 0
    assert len(np.unique(masks.reshape(3000, -1), axis=0)) > 2900


def test_rise_matches_a_loop(compiled, toy_images):
    explainer = toy_explainer("flatten")
    masks = rise_masks(20, 3, 0.5, (8, 8))
    raw = explainer.maps(toy_images, IDS, "rise", raw=True, samples=20, cells=3)
    for n, t in np.ndindex(3, 2):
        masked = toy_images[n] * masks[..., None]
        scores = explainer.network.model(masked).numpy()[:, IDS[n][t]]
        expected = np.einsum("m,mhw->hw", scores, masks) / (20 * 0.5)
        np.testing.assert_allclose(raw[n, t], expected, rtol=1e-4)


@pytest.mark.parametrize("method", ["rise", "occlusion"])
def test_blocks_change_no_byte_where_the_network_s_sums_are_exact(compiled, method, rng):
    """A class is one pixel of the picture, so the network rounds nothing, at any batch size."""
    weights = np.zeros((6, 5))
    weights[2, 3] = 1
    explainer, _ = linear_explainer(weights)
    images = rng.normal(size=(3, 6, 5, 1)).astype("float32")
    options = FEW[method] | {"score": "logit"}
    found = [
        explainer.maps(images, [[0, 1]] * 3, method, raw=True, block_size=size, **options)
        for size in (1, 7, 32, 500)
    ]
    assert np.ptp(found[0]) > 0
    for maps in found[1:]:
        np.testing.assert_array_equal(maps, found[0])


@pytest.mark.parametrize("method", FEW)
def test_blocks_change_nothing_and_pictures_are_apart(compiled, method, toy_images):
    explainer = toy_explainer("flatten")
    found = {
        size: explainer.maps(toy_images, IDS, method, raw=True, block_size=size, **FEW[method])
        for size in (1, 7, 32, 500)
    }
    for maps in found.values():
        np.testing.assert_allclose(maps, found[1], rtol=1e-5, atol=1e-6)
    for n, t in np.ndindex(3, 2):
        alone = explainer.maps(toy_images[n : n + 1], [IDS[n][t]], method, raw=True, **FEW[method])
        np.testing.assert_allclose(alone[0], found[1][n, t], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("method", FEW)
def test_ranks_logits_and_flat_pictures(compiled, method, toy_images):
    explainer = toy_explainer("gap")
    kernel = explainer.pipeline.kernel(get_method(method, **FEW[method]))
    result = kernel(tf.constant(toy_images), tf.constant([[-1, -2]] * 3))
    logits = explainer.network.logits(toy_images).numpy()
    np.testing.assert_allclose(result["logits"], logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result["class_ids"], np.argsort(-logits)[:, :2])
    empty = explainer.maps(np.zeros((1, 8, 8, 3)), [0], method, **FEW[method])
    assert np.isfinite(empty).all()
    if method != "rise":  # Covering the mean colour with itself changes nothing.
        np.testing.assert_array_equal(empty, 0)


def test_networks_of_any_size(compiled):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    explainer = gcam.Explainer(keras.Model(inputs, keras.layers.Dense(2)(x)))
    for method, options in FEW.items():
        for size in ((8, 11), (12, 9)):
            assert explainer.maps(
                np.ones((1, *size, 3)), [0], method, raw=True, **options
            ).shape == (
                1,
                *size,
            )
