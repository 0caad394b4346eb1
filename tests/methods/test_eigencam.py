"""EigenCAM."""

import numpy as np
import pytest
import tensorflow as tf
from methods.one_pass import HEADS
from methods.one_pass import check_against_loops
from methods.one_pass import runs_backwards
from methods.one_pass import toy_explainer

import guidedcam_tf as gcam
from guidedcam_tf import ops
from guidedcam_tf.methods import get_method

METHOD = "eigencam"


def svd(activations, *, center=False):
    """The definition, by NumPy's singular value decomposition."""
    height, width, channels = activations.shape
    x = activations.reshape(height * width, channels)
    if center:
        x = x - x.mean(axis=0)
    projection = x @ np.linalg.svd(x)[2][0]
    sign = 1 if projection @ x.sum(axis=1) >= 0 else -1
    return np.maximum(sign * projection, 0).reshape(height, width)


def principal_map(activations, **options):
    component = ops.first_component(tf.constant(activations, tf.float32), **options)
    return tf.nn.relu(component).numpy()


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("center", [False, True])
def test_matches_slow_reference(head, toy_images, center):
    def reference(activations, _):
        return svd(activations, center=center)

    check_against_loops(head, toy_images, METHOD, reference, center=center)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("channels", [2, 12, 40])
def test_matches_svd_with_fewer_and_with_more_channels_than_positions(rng, channels, center):
    activations = rng.normal(0.5, size=(4, 3, 4, channels)) * rng.uniform(0, 5, size=channels)
    expected = [svd(picture, center=center) for picture in activations]
    raw = principal_map(activations, center=center)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-5 * np.max(expected))


POSITIONS = np.array([[1.0, 2.0], [3.0, 4.0]])


def test_by_hand():
    # Both channels are multiples of one map: X = (1, 2, 3, 4) (3, 4)ᵀ, v = (3, 4) / 5, and
    # X v = 5 (1, 2, 3, 4).
    activations = POSITIONS[..., None] * np.array([3.0, 4.0])
    np.testing.assert_allclose(principal_map(activations[None]), [[[5, 10], [15, 20]]], rtol=1e-6)


def test_by_hand_centred():
    # Channel 0 is (0, 2, 4, 6), channel 1 is 7 everywhere: centred, (-3, -1, 1, 3) and 0.
    activations = np.stack([2 * POSITIONS - 2, np.full((2, 2), 7.0)], axis=-1)
    raw = principal_map(activations[None], center=True)
    np.testing.assert_allclose(raw, [[[0, 0], [1, 3]]], atol=1e-6)
    # Not centred the constant channel leads, and no position is left out.
    assert (principal_map(activations[None]) > 1).all()


def test_the_sign_follows_the_summed_activations(rng):
    # The map of -X is what ReLU took from the map of X: here, where X is not negative, everything.
    activations = rng.uniform(0, 1, size=(1, 4, 4, 6))
    assert (principal_map(activations) > 0).all()
    np.testing.assert_array_equal(principal_map(-activations), np.zeros((1, 4, 4)))
    positive, negative = (principal_map(s * activations, center=True) for s in (1, -1))
    assert ((positive > 0) ^ (negative > 0)).all()
    total = activations[0].sum(axis=-1)
    assert np.corrcoef((positive - negative).ravel(), total.ravel())[0, 1] > 0


def test_constant_channels_are_empty_once_centred(rng):
    activations = np.broadcast_to(rng.uniform(1, 9, size=(1, 1, 1, 6)), (1, 7, 9, 6))
    np.testing.assert_array_equal(principal_map(activations, center=True), np.zeros((1, 7, 9)))


@pytest.mark.parametrize("head", HEADS)
def test_every_target_has_the_same_map(head, toy_images):
    raw = toy_explainer(head).maps(toy_images, [[0, 1, 2]] * 3, METHOD, raw=True)
    np.testing.assert_array_equal(raw[:, 1:], raw[:, [0, 0]])
    assert np.abs(raw[1, 0] - raw[0, 0]).max() > 0


def test_needs_no_gradient():
    explainer = toy_explainer("flatten")
    assert runs_backwards(explainer, "gradcam")
    assert not runs_backwards(explainer, METHOD)


def test_option_of_another_kind():
    with pytest.raises(gcam.InputError, match="eigencam: center must be True or False; received 1"):
        get_method(METHOD, center=1)


def test_maps_that_add_up_to_zero_have_one_sign(rng):
    """Rounding of their sum had chosen it: otherwise in another batch, or for other units."""
    maps = rng.normal(size=(16, 4, 6, 8)).astype("float32")
    maps = (maps - maps.mean(-1, keepdims=True)) * rng.random(8).astype("float32")
    maps -= maps.mean(-1, keepdims=True)
    found = ops.first_component(maps, center=True).numpy()
    assert (found.max((1, 2)) >= -found.min((1, 2))).all()
    turned = ops.first_component(maps[..., ::-1], center=True).numpy()
    np.testing.assert_allclose(turned, found, rtol=1e-3, atol=1e-4)
