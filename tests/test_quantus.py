"""Quantus's own metrics on this package's maps."""

import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam

IDS = np.array([0, 1, 2])


@pytest.fixture(scope="module")
def model():
    return build_toy("flatten")


@pytest.fixture(scope="module")
def explainer(model):
    return gcam.Explainer(model, preprocess="none")


def test_maps_by_quantus_s_signature(model, explainer, toy_images):
    explain = gcam.quantus_explain(explainer, "occlusion", size=2)
    found = explain(model=model, inputs=toy_images, targets=IDS, device=None)
    expected = explainer.maps(toy_images, IDS, "occlusion", size=2)
    assert expected.max() == pytest.approx(1)
    np.testing.assert_array_equal(found[:, 0], expected)


def test_another_model_is_explained_in_its_own_right(explainer, toy_images):
    other = build_toy("flatten")
    rng = np.random.default_rng(1)
    other.set_weights([np.abs(rng.normal(size=w.shape)) for w in other.get_weights()])
    found = gcam.quantus_explain(explainer, "gradcam")(other, toy_images, IDS)
    expected = gcam.Explainer(other, preprocess="none").maps(toy_images, IDS, "gradcam")
    np.testing.assert_allclose(found[:, 0], expected, atol=1e-6)
    assert np.abs(expected - explainer.maps(toy_images, IDS, "gradcam")).max() > 0.1


def test_an_explainer_that_preprocesses_is_refused(model):
    explainer = gcam.Explainer(model, preprocess="tf")
    with pytest.raises(gcam.InputError, match=r"does not preprocess.*preprocess=.none"):
        gcam.quantus_explain(explainer)
    with pytest.raises(gcam.InputError, match="'nothing' is not known"):
        gcam.quantus_explain(gcam.Explainer(model, preprocess="none"), "nothing")


def test_quantus_s_metrics(model, explainer, toy_images):
    quantus = pytest.importorskip("quantus")
    options = {"disable_warnings": True, "display_progressbar": False}
    batch = {"x_batch": toy_images, "y_batch": IDS, "channel_first": False}
    for metric in (
        quantus.Sparseness(**options),
        quantus.PixelFlipping(features_in_step=8, perturb_baseline="mean", **options),
    ):
        explain = gcam.quantus_explain(explainer, "gradient")
        ours = metric(model=model, explain_func=explain, a_batch=None, **batch)
        maps = explainer.maps(toy_images, IDS, "gradient")
        theirs = metric(model=model, a_batch=maps, **batch)
        assert len(ours) == 3
        np.testing.assert_allclose(ours, theirs, rtol=1e-5)
        assert np.ptp(np.asarray(ours, float)) > 0
