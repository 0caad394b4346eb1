"""Grad-CAM++."""

import numpy as np
import pytest
from common import build_toy
from methods.one_pass import HEADS
from methods.one_pass import apply
from methods.one_pass import check_against_loops
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

METHOD = "gradcam++"


def loops(activations, gradients, *, normalize=True, score=0.3):
    """The derivatives of exp(Y) as the authors' code takes them, element by element."""
    height, width, channels = activations.shape
    saliency = np.zeros((height, width))
    for k in range(channels):
        total, alpha = activations[:, :, k].sum(), np.zeros((height, width))
        first = np.exp(score) * gradients[:, :, k]
        for i, j in np.ndindex(height, width):
            second = np.exp(score) * gradients[i, j, k] ** 2
            third = np.exp(score) * gradients[i, j, k] ** 3
            alpha[i, j] = second / ((2 * second + third * total) or 1)
        if normalize:
            alpha /= alpha[first > 0].sum() or 1
        saliency += (alpha * np.maximum(first, 0)).sum() * activations[:, :, k]
    return np.maximum(saliency, 0) / np.exp(score)


@pytest.mark.parametrize("head", HEADS)
def test_matches_slow_reference(head, toy_images):
    check_against_loops(head, toy_images, METHOD, loops)


@pytest.mark.parametrize("head", HEADS)
def test_matches_slow_reference_without_normalising(head, toy_images):
    def reference(activations, gradients):
        return loops(activations, gradients, normalize=False)

    check_against_loops(head, toy_images, METHOD, reference, alpha_normalize=False)


ACTIVATIONS = [[[1, 9], [3, 0]], [[0, 0], [0, 0]]]
GRADIENTS = [[[1, -1], [-1, -2]], [[0, 0], [2, 0]]]


def test_by_hand():
    # Channel 0: T = 4, and the gradient is 1 and 2 where it is positive, so alpha is
    # 1 / (2 + 4) = 1/6 and 1 / (2 + 8) = 1/10. Their sum is 4/15: normalised, 5/8 and 3/8.
    # w = 5/8 * 1 + 3/8 * 2 = 11/8. Channel 1 has no positive gradient: w = 0.
    expected = [[1.375, 4.125], [0, 0]]
    np.testing.assert_allclose(apply(METHOD, ACTIVATIONS, GRADIENTS), expected, rtol=1e-6)


def test_by_hand_without_normalising():
    # w = 1/6 * 1 + 1/10 * 2 = 11/30.
    expected = [[11 / 30, 33 / 30], [0, 0]]
    raw = apply(METHOD, ACTIVATIONS, GRADIENTS, alpha_normalize=False)
    np.testing.assert_allclose(raw, expected, rtol=1e-6)


def test_a_denominator_of_zero_gives_no_weight():
    # T = -2 and the gradient is 1: 2 + 1 * T = 0. Elsewhere 1/2 gives 1 / (2 - 1) = 1.
    activations = [[[-3], [1]]]
    np.testing.assert_allclose(apply(METHOD, activations, [[[1], [0]]]), [[0, 0]])
    np.testing.assert_allclose(apply(METHOD, activations, [[[1], [0.5]]]), [[0, 0.5]])


def test_gradients_whose_cube_leaves_float32_count(rng):
    activations = rng.uniform(0, 2, size=(3, 3, 4))
    gradients = rng.normal(size=(3, 3, 4)) * 1e-20
    expected = loops(activations, gradients * 1e15) / 1e15
    raw = apply(METHOD, activations, gradients)
    assert expected.max() > 1e-21
    # With gradients this small alpha is 1/2 everywhere, up to the scaled reference's own 1e-5 T.
    np.testing.assert_allclose(raw, expected, rtol=1e-3)


def test_scores_beyond_the_range_of_exp(toy_images):
    model = build_toy("flatten")
    before = gcam.Explainer(model).maps(toy_images, [0, 1, 2], METHOD, raw=True)
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel, bias + 1000])
    after = gcam.Explainer(model).maps(toy_images, [0, 1, 2], METHOD, raw=True)
    np.testing.assert_allclose(after, before, rtol=1e-5)


def test_is_gradcam_with_positive_weights_where_the_network_pools_globally(toy_images):
    model = build_toy("gap")
    slow = ToyNumpy(model)
    positive = np.maximum(slow["scores/kernel"], 0) / 16
    expected = np.einsum("nhwk,kt->nthw", slow.activations(toy_images), positive)
    raw = gcam.Explainer(model).maps(toy_images, [[0, 1, 2]] * 3, METHOD, raw=True)
    np.testing.assert_allclose(raw, expected, rtol=1e-5, atol=1e-7)


def test_option_of_another_kind():
    message = r"gradcam\+\+: alpha_normalize must be True or False; received 'yes'"
    with pytest.raises(gcam.InputError, match=message):
        get_method(METHOD, alpha_normalize="yes")
