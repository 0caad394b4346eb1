"""Quantus's and xplique's own metrics on this package's maps."""

from types import SimpleNamespace

import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.metrics import deletion
from guidedcam_tf.metrics import insertion
from guidedcam_tf.metrics.complexity import complexity
from guidedcam_tf.metrics.sparseness import sparseness

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


def test_maps_by_xplique_s_signature(explainer, toy_images):
    explain = gcam.xplique_explain(explainer, "occlusion", size=2)
    expected = explainer.maps(toy_images, IDS, "occlusion", size=2)
    np.testing.assert_array_equal(explain(toy_images, np.eye(3)[IDS]), expected)
    for targets in (IDS, np.full((3, 3), 0.5), np.ones((3, 3))):
        with pytest.raises(
            gcam.InputError, match=r"targets must be one-hot, \[N, classes\]; received"
        ):
            explain(toy_images, targets)
    with pytest.raises(gcam.InputError, match="xplique_explain takes an Explainer; received Func"):
        gcam.xplique_explain(explainer.network.model)
    with pytest.raises(gcam.InputError, match=r"xplique_explain needs .* does not preprocess"):
        gcam.xplique_explain(gcam.Explainer(explainer.network.model, preprocess="tf"))


def test_xplique_s_metrics_agree_with_ours(model, explainer, toy_images):
    """The areas under the curves of the softmax, and what looks at the maps alone."""
    theirs = pytest.importorskip("xplique.metrics")
    one_hot = np.eye(3, dtype=np.float32)[IDS]
    maps = gcam.xplique_explain(explainer, "gradient")(toy_images, one_hot)

    def area(curve, substrate, step=4):
        return np.mean(
            [
                curve(
                    picture,
                    saliency,
                    lambda block, at=at: model.predict(block, verbose=0)[:, at],
                    substrate=substrate,
                    step=step,
                ).auc
                for picture, saliency, at in zip(toy_images, maps, IDS, strict=True)
            ]
        )

    for name, curve, substrate in (("Deletion", deletion, 0.0), ("Insertion", insertion, 0.25)):
        metric = getattr(theirs, name)(
            model, toy_images, one_hot, baseline_mode=substrate, steps=16
        )
        assert metric(maps) == pytest.approx(area(curve, substrate), abs=1e-3)
    for name, ours in (("Sparseness", sparseness), ("Complexity", complexity)):
        expected = [ours(SimpleNamespace(saliency=saliency)) for saliency in maps]
        found = getattr(theirs, name)().detailed_evaluate(maps)
        np.testing.assert_allclose(found, expected, atol=1e-3)


def test_xplique_s_metrics_of_explainers(model, explainer, toy_images):
    """Stability asks for maps of neighbours, the sanity check for those of random weights."""
    theirs = pytest.importorskip("xplique.metrics")
    one_hot = np.eye(3, dtype=np.float32)[IDS]
    explain = gcam.xplique_explain(explainer, "gradcam")
    stability = theirs.AverageStability(model, toy_images, one_hot, radius=0.0, nb_samples=2)
    assert stability.evaluate(explain) == pytest.approx(0, abs=1e-4)
    before = [w.copy() for w in model.get_weights()]
    found = theirs.ModelRandomizationMetric(model, toy_images, one_hot).evaluate(explain)
    assert -1 <= found < 0.99
    assert explain.model is model
    for weight, unchanged in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, unchanged)
