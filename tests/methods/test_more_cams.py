"""NormGrad, EigenGrad-CAM, FEM, Finer-CAM and ShapleyCAM."""

import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import HEADS
from methods.one_pass import apply
from methods.one_pass import check_against_loops
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods.fem import FEM
from guidedcam_tf.methods.finercam import FinerCAM

A = [[[3.0, 0.0], [0.0, 1.0]]]
G = [[[4.0, 3.0], [0.0, -2.0]]]


def test_normgrad_by_hand():
    # |g| = (5, 2), |A| = (3, 1).
    np.testing.assert_allclose(apply("normgrad", A, G), [[15, 2]], rtol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_normgrad_matches_loops(head, toy_images):
    def loops(activations, gradients):
        saliency = np.zeros(activations.shape[:2])
        for i, j in np.ndindex(*saliency.shape):
            outer = np.outer(gradients[i, j], activations[i, j])
            saliency[i, j] = np.sqrt((outer**2).sum())
        return saliency

    check_against_loops(head, toy_images, "normgrad", loops)


def test_eigengradcam_by_hand():
    # X = g * A = [[12, 0], [0, -2]]: v = (1, 0), X v = (12, 0).
    np.testing.assert_allclose(apply("eigengradcam", A, G, center=False), [[12, 0]], atol=1e-5)


@pytest.mark.parametrize("center", [True, False])
def test_eigengradcam_matches_singular_vectors(center, toy_images):
    def decompose(activations, gradients):
        x = (activations * gradients).reshape(16, -1)
        x = x - x.mean(axis=0) if center else x
        _, _, vectors = np.linalg.svd(x)
        projection = x @ vectors[0]
        projection *= np.sign((projection * x.sum(axis=1)).sum())
        return np.maximum(projection.reshape(4, 4), 0)

    check_against_loops("flatten", toy_images, "eigengradcam", decompose, center=center)


def test_fem_by_hand():
    # Channel 0 is 1, 1, 1, 5: mean 2, sigma sqrt(3). Above 2 + sqrt(3) = 3.7 is the 5 alone.
    # Channel 1 is 0, 4, 0, 0: mean 1, sigma sqrt(3). Channel 2 is constant.
    activations = tf.constant([[[[1.0, 0, 7], [1, 4, 7]], [[1, 0, 7], [5, 0, 7]]]])
    np.testing.assert_allclose(FEM(sigmas=1).active_map(activations)[0], [[0, 1], [0, 2]])
    np.testing.assert_allclose(FEM(sigmas=2).active_map(activations)[0], np.zeros((2, 2)))


def test_fem_matches_loops_and_ignores_the_class(toy_images):
    explainer = toy_explainer("gap")
    activations = ToyNumpy(explainer.network.model).activations(toy_images)
    expected = np.zeros((3, 4, 4))
    for n, i, j, k in np.ndindex(*activations.shape):
        channel = activations[n, :, :, k]
        if activations[n, i, j, k] > channel.mean() + 1.5 * channel.std():
            expected[n, i, j] += channel.mean()
    maps = explainer.maps(toy_images, [[0, 2]] * 3, "fem", raw=True, sigmas=1.5)
    assert expected.max() > 0
    for target in range(2):
        np.testing.assert_allclose(maps[:, target], expected, rtol=1e-5, atol=1e-6)


def test_finercam_by_hand():
    # Nearest to the first of 5, 4, 0, 6.5 is 4, then 6.5.
    logits, targets = tf.constant([[5.0, 4, 0, 6.5]]), tf.constant([0])
    for options, expected in (
        ({"nearest": 1}, [1, -1, 0, 0]),
        ({"nearest": 2, "alpha": 0.5}, [1, -0.25, 0, -0.25]),
        ({"other": 2, "alpha": 2}, [1, 0, -2, 0]),
    ):
        found = FinerCAM(**options).difference(logits, targets)
        np.testing.assert_allclose(found[0], expected)


@pytest.mark.parametrize("head", HEADS)
def test_finercam_matches_differences(head, toy_images):
    explainer = toy_explainer(head)
    slow = ToyNumpy(explainer.network.model)
    activations = slow.activations(toy_images)
    gradients = {c: slow.gradients(activations, np.full(3, c)) for c in (0, 2)}
    weights = (gradients[0] - 0.6 * gradients[2]).mean(axis=(1, 2))
    expected = np.maximum(np.einsum("nk,nhwk->nhw", weights, activations), 0)
    raw = explainer.maps(toy_images, [0] * 3, "finercam", raw=True, other=2, alpha=0.6)
    assert expected.max() > 0
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)
    plain = explainer.maps(toy_images, [0] * 3, "finercam", raw=True, nearest=2, alpha=0)
    np.testing.assert_array_equal(plain, explainer.maps(toy_images, [0] * 3, "gradcam", raw=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"other": 3}, "finercam: other must be a class of 'toy_gap', 0 to 2; received 3"),
        ({"other": -1}, "other must be the index of a class, a whole number from 0, or None;.*-1"),
        ({"nearest": 0}, "nearest must be a whole number of at least 1; received 0"),
        ({"alpha": "much"}, "alpha must be a finite number of at least 0; received 'much'"),
    ],
)
def test_finercam_of_another_form(options, message, toy_images):
    with pytest.raises(gcam.InputError, match=message):
        toy_explainer("gap").maps(toy_images, [0, 1, 2], "finercam", **options)


def test_finercam_needs_two_classes(toy_images):
    explainer = gcam.Explainer(build_toy(classes=1, activation=None), scores="regression")
    with pytest.raises(gcam.InputError, match="from others, and 'toy_gap' has one here"):
        explainer.maps(toy_images, [0, 0, 0], "finercam")


def rest(logits):
    """Each logit plus its log-softmax."""
    return 2 * logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("head", HEADS)
def test_shapleycam_matches_differences(head, toy_images):
    explainer = toy_explainer(head)
    slow = ToyNumpy(explainer.network.model)
    raw = explainer.maps(toy_images, [[0, 1, 2]] * 3, "shapleycam", raw=True)
    plain = explainer.maps(toy_images, [[0, 1, 2]] * 3, "gradcam", raw=True)
    activations = slow.activations(toy_images)
    utility = ToyNumpy(explainer.network.model)
    utility.logits = lambda a: rest(slow.logits(a))
    for target in range(3):
        ids, step = [target] * 3, 1e-3
        gradients = utility.gradients(activations, ids)
        above, below = (utility.gradients(activations * (1 + s), ids) for s in (step, -step))
        curvature = (above - below) / (2 * step)
        weights = (gradients - curvature / 2).mean(axis=(1, 2), keepdims=True)
        expected = np.maximum((weights * activations).sum(axis=-1), 0)
        np.testing.assert_allclose(raw[:, target], expected, rtol=1e-2, atol=2e-4)
    assert np.abs(raw - plain).max() > 0.01 * plain.max()


@pytest.mark.parametrize("head", HEADS)
def test_shapleycam_of_a_logit_is_gradcam(head, toy_images):
    explainer = toy_explainer(head)
    ids = [[0, 1], [2, 0], [1, 2]]
    raw = explainer.maps(toy_images, ids, "shapleycam", raw=True, utility="logit")
    plain = explainer.maps(toy_images, ids, "gradcam", raw=True)
    assert plain.max() > 0
    np.testing.assert_allclose(raw, plain, rtol=1e-4, atol=1e-6)
