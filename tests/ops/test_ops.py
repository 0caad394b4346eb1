"""The kernels: against NumPy and other libraries, and what holds for any input."""

import cv2
import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.ndimage
import tensorflow as tf
from hypothesis import given
from hypothesis import settings

from guidedcam_tf import ops

maps = hnp.arrays(
    np.float32,
    st.tuples(st.integers(1, 3), st.integers(1, 6), st.integers(1, 6)),
    elements=st.floats(-1000, 1000, width=32),
)


def random(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_equations_1_and_3_to_6_in_numpy():
    activations, gradients = random(2, 3, 4, 5), random(2, 3, 4, 5, seed=1)
    weights = gradients.mean(axis=(1, 2))
    guidance = np.maximum((gradients * activations).sum(axis=-1), 0)
    unguided = np.maximum((weights[:, None, None] * activations).sum(axis=-1), 0)
    inside = activations * guidance[..., None]
    guided = np.maximum((weights[:, None, None] * inside).sum(axis=-1), 0)
    close = {"rtol": 1e-4, "atol": 1e-5}
    np.testing.assert_allclose(ops.activation_sum(activations), activations.sum(axis=-1), **close)
    np.testing.assert_allclose(ops.channel_weights(gradients), weights, **close)
    np.testing.assert_allclose(ops.global_guidance(gradients, activations), guidance, **close)
    np.testing.assert_allclose(ops.weighted_aggregation(weights, activations), unguided, **close)
    aggregated = ops.guided_aggregation(weights, guidance, activations)
    np.testing.assert_allclose(aggregated, guided, **close)


@settings(deadline=None)
@given(maps)
def test_min_max_is_in_range_and_finite(values):
    result = ops.min_max(values).numpy()
    assert np.isfinite(result).all()
    for before, after in zip(values, result, strict=True):
        if after.any():
            assert after.min() == 0
            assert after.max() == 1
            assert after.flat[before.argmax()] == 1
        else:
            # Numbers that are smaller than `tiny` are zero to TensorFlow.
            flat = max(1.01e-6 * np.abs(before).max(), np.finfo(np.float32).tiny)
            assert np.ptp(before) <= flat


@settings(deadline=None)
@given(maps, st.floats(0.01, 100))
def test_min_max_does_not_mind_a_positive_scale(values, scale):
    extent = np.ptp(values, axis=(1, 2))
    if (extent < 1e-3 * np.abs(values).max(axis=(1, 2))).any():
        return  # near the border between flat and not flat, rounding decides
    if (extent * scale < np.finfo(np.float32).tiny).any():
        return
    np.testing.assert_allclose(
        ops.min_max(values * np.float32(scale)), ops.min_max(values), atol=1e-3
    )


@pytest.mark.parametrize("value", [0.0, 5.0, -3.0, 1e-12, 1e30])
def test_a_flat_map_becomes_zero(value):
    np.testing.assert_array_equal(ops.min_max(np.full((1, 4, 4), value, np.float32)), 0)


def test_a_tiny_map_is_normalised():
    tiny = np.array([[[0, 1e-20], [2e-20, 4e-20]]], np.float32)
    np.testing.assert_allclose(ops.min_max(tiny), [[[0, 0.25], [0.5, 1]]], rtol=1e-5)


def test_maps_are_normalised_apart():
    both = random(2, 4, 4) * np.array([1, 100], np.float32)[:, None, None]
    alone = [ops.min_max(both[i : i + 1]).numpy()[0] for i in range(2)]
    np.testing.assert_array_equal(ops.min_max(both), alone)


@pytest.mark.parametrize(("size", "sigma"), [(3, 0.8), (5, 1.0), (7, 2.5)])
def test_smoothing_is_scipy_s(size, sigma):
    values = random(2, 7, 9)
    expected = [
        scipy.ndimage.gaussian_filter(value, sigma, radius=size // 2, mode="reflect")
        for value in values
    ]
    result = ops.gaussian_smooth(values, size=size, sigma=sigma)
    np.testing.assert_allclose(result, expected, atol=1e-5)


def test_smoothing_keeps_a_constant_and_the_smallest_map():
    constant = np.full((1, 1, 2), 4, np.float32)
    result = ops.gaussian_smooth(constant, size=3, sigma=0.8)
    np.testing.assert_allclose(result, constant, rtol=1e-6)


@pytest.mark.parametrize("size", [(224, 224), (31, 5), (3, 4), (1, 1)])
def test_bilinear_is_opencv_s(size):
    values = random(1, 7, 7)
    expected = cv2.resize(values[0], size[::-1], interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(ops.resize_maps(values, size)[0], expected, atol=1e-5)


def test_bicubic_is_clipped_and_hits_the_centres():
    values = np.zeros((1, 5, 5), np.float32)
    values[0, 2, 2] = 1
    result = ops.resize_maps(values, (15, 15), "bicubic").numpy()[0]
    assert result.min() == 0
    # Half-pixel centres: with a factor of three, pixel 7 is the centre of cell 2.
    assert result[7, 7] == pytest.approx(1)
    assert result[4, 7] == pytest.approx(0, abs=1e-6)


@settings(deadline=None)
@given(maps, st.sampled_from(["bilinear", "bicubic"]), st.sampled_from([0.0, 0.8]))
def test_postprocessing_ends_in_range(values, interpolation, sigma):
    process = ops.Postprocessing(smoothing_sigma=sigma, interpolation=interpolation)
    result = process(tf.constant(values), (9, 11)).numpy()
    assert result.shape == (len(values), 9, 11)
    assert result.min() >= 0
    assert result.max() <= 1
