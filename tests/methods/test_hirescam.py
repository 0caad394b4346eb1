"""HiResCAM."""

import numpy as np
import pytest
from methods.one_pass import HEADS
from methods.one_pass import apply
from methods.one_pass import check_against_loops
from methods.one_pass import toy_explainer

METHOD = "hirescam"


def loops(activations, gradients):
    """The sum over the channels, one element at a time."""
    saliency = np.zeros(activations.shape[:2])
    for i, j, k in np.ndindex(*activations.shape):
        saliency[i, j] += gradients[i, j, k] * activations[i, j, k]
    return np.maximum(saliency, 0)


@pytest.mark.parametrize("head", HEADS)
def test_matches_slow_reference(head, toy_images):
    check_against_loops(head, toy_images, METHOD, loops)


def test_by_hand():
    # [[1*2 + 5*1, 2*3 - 1*4], [-3*1 + 1*2, 0]] = [[7, 2], [-1, 0]], then ReLU.
    activations = [[[1, 5], [2, 1]], [[3, 1], [4, 0]]]
    gradients = [[[2, 1], [3, -4]], [[-1, 2], [0, 9]]]
    np.testing.assert_array_equal(apply(METHOD, activations, gradients), [[7, 2], [0, 0]])


@pytest.mark.parametrize("head", HEADS)
def test_is_the_proposed_methods_guidance(head, toy_images):
    explainer = toy_explainer(head)
    for image in toy_images:
        picture = image - toy_images.min()
        guidance = explainer.explain(picture, [0, 1, 2], "guided").guidance
        raw = explainer.explain(picture, [0, 1, 2], METHOD).raw
        assert raw.max() > 0
        np.testing.assert_allclose(raw, guidance, rtol=1e-6)


def test_is_gradcam_where_the_network_pools_globally(toy_images):
    explainer = toy_explainer("gap")
    raw = explainer.maps(toy_images, [0, 1, 2], METHOD, raw=True)
    gradcam = explainer.maps(toy_images, [0, 1, 2], "gradcam", raw=True)
    np.testing.assert_allclose(raw, gradcam, rtol=1e-5, atol=1e-6 * gradcam.max())
