"""`smooth=True`: the first principal component of the weighted channels in place of their sum."""

from dataclasses import fields

import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import apply
from methods.one_pass import toy_explainer

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method

ADDING = {
    *("guided", "gradcam", "gradcam++", "xgradcam", "hirescam", "layercam", "cam"),
    *("finercam", "shapleycam", "relevance_cam"),
}


def test_by_hand():
    # Weights 1 and -1/2 of two channels (3, 4): X = [[3, -1.5], [4, -2]] is of rank one, and
    # X v = (3, 4) sqrt(1 + 1/4), where the sum is (3, 4) (1 - 1/2).
    channels = [[[3.0, 3.0], [4.0, 4.0]]]
    gradients = [[[1.0, -0.5], [1.0, -0.5]]]
    for name in ("gradcam", "hirescam"):
        np.testing.assert_allclose(apply(name, channels, gradients), [[1.5, 2]])
        smooth = apply(name, channels, gradients, smooth=True)
        np.testing.assert_allclose(smooth, [[3 * 1.25**0.5, 4 * 1.25**0.5]], rtol=1e-5)


REFERENCES = {
    "gradcam": lambda a, g: a * g.mean(axis=(0, 1)),
    "xgradcam": lambda a, g: a * ((g * a).sum(axis=(0, 1)) / a.sum(axis=(0, 1))),
    "hirescam": lambda a, g: a * g,
    "layercam": lambda a, g: a * np.maximum(g, 0),
    "guided": lambda a, g: (
        a * g.mean(axis=(0, 1)) * np.maximum((a * g).sum(axis=2, keepdims=True), 0)
    ),
}


@pytest.mark.parametrize("method", REFERENCES)
@pytest.mark.parametrize("size", [2, 4])
def test_matches_a_singular_value_decomposition(method, size, rng):
    """With fewer positions than channels, and with more."""
    activations = np.abs(rng.normal(size=(size, size, 6))) + 0.1
    gradients = rng.normal(size=(size, size, 6)) + 0.3
    parts = REFERENCES[method](activations, gradients).reshape(-1, 6)
    expected = parts @ np.linalg.svd(parts)[2][0]
    expected *= np.sign(expected @ parts.sum(axis=1))
    found = apply(method, activations, gradients, smooth=True)
    assert found.max() > 0
    np.testing.assert_allclose(
        found.ravel(), np.maximum(expected, 0), rtol=1e-3, atol=1e-4 * found.max()
    )


@pytest.fixture(scope="module")
def one_channel():
    """A toy network whose explained layer has one live channel."""
    model = build_toy("gap")
    kernel, bias = model.get_layer("conv2").get_weights()
    kernel[..., 1:], bias[1:] = 0, -1
    model.get_layer("conv2").set_weights([kernel, bias + 0.5])
    return gcam.Explainer(model).pipeline.view


@pytest.mark.parametrize("method", sorted(ADDING))
def test_one_channel_is_its_own_component(method, one_channel, toy_images):
    """For each class and picture."""
    plain, smooth = (
        get_method(method, smooth=each).of_inputs(
            one_channel, tf.constant(toy_images), tf.constant([[0, 1]] * 3)
        )["saliency"]
        for each in (False, True)
    )
    assert np.abs(plain).max() > 0
    np.testing.assert_allclose(smooth, plain, rtol=1e-4, atol=1e-6)


def test_hirescam_smooth_is_eigengradcam(toy_images):
    explainer = toy_explainer("flatten")
    smooth = explainer.maps(toy_images, [[0, 1]] * 3, "hirescam", raw=True, smooth=True)
    eigen = explainer.maps(toy_images, [[0, 1]] * 3, "eigengradcam", raw=True)
    assert eigen.max() > 0
    np.testing.assert_allclose(smooth, eigen, rtol=1e-5, atol=1e-6)


def test_methods_that_add_channels_alone_have_it():
    having = {name for name in METHODS if "smooth" in {f.name for f in fields(METHODS[name])}}
    assert having == ADDING
    with pytest.raises(gcam.InputError, match="method 'lrp' has no option 'smooth'; it has augmen"):
        get_method("lrp", smooth=True)
    with pytest.raises(gcam.InputError, match="method 'scorecam' has no option 'smooth'; it has"):
        get_method("scorecam", smooth=True)


def test_in_openvino(compiled, toy_images):
    live = toy_explainer("flatten")
    other = gcam.Explainer(live.network.model, runtime="openvino")
    expected, found = (
        each.maps(toy_images, 0, "hirescam", raw=True, smooth=True) for each in (live, other)
    )
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
