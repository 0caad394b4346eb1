"""LayerCAM."""

import numpy as np
import pytest
from methods.one_pass import HEADS
from methods.one_pass import apply
from methods.one_pass import check_against_loops
from methods.one_pass import toy_explainer

METHOD = "layercam"


def loops(activations, gradients):
    """The sum over the channels, one element at a time."""
    saliency = np.zeros(activations.shape[:2])
    for i, j, k in np.ndindex(*activations.shape):
        if gradients[i, j, k] > 0:
            saliency[i, j] += gradients[i, j, k] * activations[i, j, k]
    return np.maximum(saliency, 0)


@pytest.mark.parametrize("head", HEADS)
def test_matches_slow_reference(head, toy_images):
    check_against_loops(head, toy_images, METHOD, loops)


def test_by_hand():
    # Negative gradients are left out: [[1*2 + 5*1, 2*3], [1*2 - 6*1, 0]] = [[7, 6], [-4, 0]]. The
    # -4 comes from a negative activation and goes with the last ReLU.
    activations = [[[1, 5], [2, 1]], [[-6, 1], [4, 0]]]
    gradients = [[[2, 1], [3, -4]], [[1, 2], [0, 9]]]
    np.testing.assert_array_equal(apply(METHOD, activations, gradients), [[7, 6], [0, 0]])


def test_is_gradcam_plus_plus_where_the_network_pools_globally(toy_images):
    explainer = toy_explainer("gap")
    raw = explainer.maps(toy_images, [0, 1, 2], METHOD, raw=True)
    positive = explainer.maps(toy_images, [0, 1, 2], "gradcam++", raw=True)
    np.testing.assert_allclose(raw, positive, rtol=1e-5, atol=1e-6 * positive.max())
