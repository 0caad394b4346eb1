"""The same methods of other toolkits, on a small network; skipped where they are not installed."""

import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

IDS = np.array([0, 1, 2])
ONE_HOT = np.eye(3, dtype=np.float32)[IDS]


@pytest.fixture(scope="module")
def model():
    """A toy network whose output is its logits."""
    model = build_toy("flatten", activation=None)
    model.get_layer("fc").bias.assign(np.full(6, 1.0))
    return model


@pytest.fixture(scope="module")
def explainer(model):
    return gcam.Explainer(model, scores="logits")


def agree(ours, theirs):
    theirs = np.squeeze(np.asarray(theirs))
    assert np.abs(theirs).max() > 1e-3
    np.testing.assert_allclose(ours, theirs, atol=1e-3 * np.abs(theirs).max())


def attribution(explainer, images, method, **options):
    """The signed sum over the channels, `[N, H, W]`."""
    kernel = explainer.pipeline.kernel(get_method(method, **options))
    return kernel(tf.constant(images), tf.constant(IDS[:, None], tf.int32))["attribution"].numpy()[
        :, 0
    ]


def xplique_maps(name, model, images, **options):
    """What a class of xplique gives for the same logits."""
    attributions = pytest.importorskip("xplique.attributions")
    return getattr(attributions, name)(model, **options).explain(images, ONE_HOT)


def test_gradient_of_xplique(model, explainer, toy_images):
    agree(
        explainer.maps(toy_images, IDS, "gradient", raw=True),
        xplique_maps("Saliency", model, toy_images, reducer="max"),
    )


def test_input_x_gradient_of_xplique(model, explainer, toy_images):
    agree(
        attribution(explainer, toy_images, "input_x_gradient"),
        xplique_maps("GradientInput", model, toy_images, reducer="sum"),
    )


def test_integrated_gradients_of_xplique(compiled, model, explainer, toy_images):
    """Theirs is the trapezoid rule, so both take many steps."""
    agree(
        attribution(explainer, toy_images, "integrated_gradients", steps=2000, block_size=500),
        xplique_maps("IntegratedGradients", model, toy_images, reducer="sum", steps=2000),
    )


def test_guided_backprop_of_xplique(model, explainer, toy_images):
    theirs = xplique_maps("GuidedBackprop", model, toy_images, reducer=None)
    agree(
        explainer.maps(toy_images, IDS, "guided_backprop", raw=True),
        np.abs(theirs).max(axis=-1),
    )


def test_occlusion_of_xplique(model, explainer, toy_images):
    agree(
        attribution(explainer, toy_images, "occlusion", size=2, stride=2, score="logit"),
        xplique_maps(
            "Occlusion", model, toy_images, patch_size=2, patch_stride=2, occlusion_value=0
        ),
    )


def test_gradcam_of_xplique(model, explainer, toy_images):
    theirs = np.asarray(xplique_maps("GradCAM", model, toy_images, conv_layer="conv2"))
    ours = explainer.maps(toy_images, IDS, "gradcam", raw=True)[..., None]
    agree(tf.image.resize(ours, (8, 8), method="bicubic")[..., 0], theirs)


def test_gradient_of_tf_keras_vis(model, explainer, toy_images):
    saliency = pytest.importorskip("tf_keras_vis.saliency")
    scores = pytest.importorskip("tf_keras_vis.utils.scores").CategoricalScore(IDS.tolist())
    agree(
        explainer.maps(toy_images, IDS, "gradient", raw=True),
        saliency.Saliency(model)(scores, toy_images, normalize_map=False),
    )


@pytest.mark.parametrize(
    ("method", "module", "name"),
    [
        ("gradcam", "gradcam", "Gradcam"),
        ("layercam", "layercam", "Layercam"),
    ],
)
def test_cams_of_tf_keras_vis(method, module, name, model, explainer, toy_images):
    """Without their enlarging, which has another convention (`scipy.ndimage.zoom`)."""
    peer = pytest.importorskip(f"tf_keras_vis.{module}")
    scores = pytest.importorskip("tf_keras_vis.utils.scores").CategoricalScore(IDS.tolist())
    found = getattr(peer, name)(model)(
        scores, toy_images, penultimate_layer="conv2", expand_cam=False, normalize_cam=False
    )
    agree(explainer.maps(toy_images, IDS, method, raw=True), found)
