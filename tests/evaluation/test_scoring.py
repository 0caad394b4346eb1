"""Scoring: every metric of the registry by its name, against direct calls; no class is no class."""

import math
from dataclasses import replace

import numpy as np
import pytest
from common import build_toy

from guidedcam_tf import metrics
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.samples import Label
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import Protocol
from guidedcam_tf.evaluation.measuring.evidence import masked_predictions
from guidedcam_tf.evaluation.measuring.evidence import mean_colour
from guidedcam_tf.evaluation.measuring.groups import group_methods
from guidedcam_tf.evaluation.measuring.maps import MapMaker
from guidedcam_tf.evaluation.measuring.pairs import Pair
from guidedcam_tf.evaluation.measuring.scoring import Scorer
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import get_method


@pytest.fixture(scope="module")
def explainer():
    return Explainer(build_toy("flatten"), preprocess="caffe")


@pytest.fixture(scope="module")
def picture():
    pixels = np.random.default_rng(4).integers(0, 256, (20, 30, 3), np.uint8)
    mask = np.zeros((20, 30), bool)
    mask[3:12, 5:20] = True
    labels = (
        Label("cat", (1, 2), ((5, 3, 20, 12),), (False,), (), mask),
        Label("person", ()),
        Label("dog", (0,), ((0, 0, 4, 4),), (True,)),
    )
    return Loaded("one", pixels, labels)


METHODS = {name: get_method(name) for name in ("guided", "gradcam", "scorecam")}


def score(explainer, picture, names, **protocol):
    wanted = [metrics.METRICS[name] for name in names]
    scorer = Scorer(explainer, Protocol(areas=(0.5,), **protocol), wanted, 32)
    chunk = scorer.chunk([picture])
    rows = [row for group in group_methods(METHODS) for row in scorer.rows(chunk, group)]
    return chunk, rows


def test_every_metric_of_the_registry_can_be_run_by_its_name(explainer, picture):
    _, rows = score(explainer, picture, metrics.METRICS)
    assert {row.metric for row in rows} == set(metrics.METRICS)
    for row in rows:
        assert row.method in METHODS
        low, high = metrics.METRICS[row.metric].range
        assert np.isnan(row.value) or low <= row.value <= high
        if np.isnan(row.value):
            assert row.note


def test_values_are_those_of_direct_calls(explainer, picture):
    names = ["soft_iou", "energy_pointing_game", "localization_ratio", "insertion", "deletion"]
    _, rows = score(explainer, picture, names)
    found = {(row.class_name, row.method, row.metric): row.value for row in rows}
    label = picture.labels[0]
    logits = explainer.pipeline.logits(explainer.pipeline.fitted(picture.picture[None])).numpy()[0]
    target = max(label.class_ids, key=lambda index: logits[index])
    saliency = explainer.explain(picture.picture, target, "gradcam").maps[0]
    box = metrics.box_mask(label.boxes, saliency.shape)
    expected = {
        "soft_iou": metrics.overlap(saliency, label.mask).iou,
        "energy_pointing_game": metrics.energy_pointing_game(saliency, box),
        "localization_ratio": metrics.localization_ratio(saliency, box),
    }
    for name, value in expected.items():
        assert found["cat", "gradcam", name] == pytest.approx(value, abs=1e-6)
    fitted = explainer.pipeline.fitted(picture.picture[None])
    inputs = explainer.network.preprocess(fitted).numpy()[0]
    top = int(logits.argmax())
    at_network = explainer.maps(fitted.numpy(), [top], "gradcam")[0]
    clean_name = explainer.network.classes.names[top]
    for trace, name in ((metrics.insertion, "insertion"), (metrics.deletion, "deletion")):
        curve = trace(
            inputs,
            at_network,
            lambda block: explainer.pipeline.probabilities(block).numpy()[:, top],
            step=math.ceil(at_network.size / 28),
        )
        assert found[clean_name, "gradcam", name] == pytest.approx(curve.auc, abs=1e-6)


def test_what_is_missing_is_said(explainer, picture):
    _, rows = score(explainer, picture, ["pointing_game", "dice"])
    notes = {(row.class_name, row.metric): row.note for row in rows}
    assert notes["person", "dice"] == notes["person", "pointing_game"] == "no class of the network"
    assert notes["dog", "pointing_game"] == "all boxes difficult"
    assert notes["dog", "dice"] == "no mask"
    assert {row.target for row in rows if row.class_name == "person"} == {None}


def test_an_empty_mask_is_no_miss(explainer, picture):
    """Polygons thinner than a pixel leave none."""
    labels = tuple(
        replace(one, mask=np.zeros_like(picture.labels[0].mask)) for one in picture.labels
    )
    _, rows = score(explainer, replace(picture, labels=labels), ["dice", "soft_iou"])
    of_cat = [row for row in rows if row.class_name == "cat"]
    assert of_cat
    assert all(np.isnan(row.value) and row.note == "no object" for row in of_cat)


def test_objects_without_a_class_are_counted_by_the_pictures_metrics_too(explainer, picture):
    names = ["saliency_drop", "deletion", "sparseness"]
    _, rows = score(explainer, picture, names, zone_class="object")
    mine = [row for row in rows if row.class_name == "person" and row.method == "gradcam"]
    assert {(row.metric, row.area) for row in mine} == {
        *(("saliency_drop", ""), ("saliency_drop", "0.5"), ("deletion", ""), ("sparseness", ""))
    }
    assert len(mine) == 4
    assert all(np.isnan(row.value) and row.note == "no class of the network" for row in mine)
    _, rows = score(explainer, picture, names)
    assert not [row for row in rows if row.class_name == "person"]


def test_a_pair_without_a_class_is_never_explained(explainer, picture):
    chunk, _ = score(explainer, picture, ["dice"])
    (group,) = group_methods({"gradcam": METHODS["gradcam"]})
    pairs = [Pair(0, "cat", 1, None), Pair(0, "person", None, None)]
    with pytest.raises(InputError, match="class 'person' stands for no class of the network"):
        MapMaker((explainer.pipeline,)).raw(chunk, group, pairs)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_the_mean_colour_is_what_preprocessing_takes_to_zero(mode):
    network = Explainer(build_toy("flatten"), preprocess=mode).network
    colour = mean_colour(network)
    seen = network.preprocess(np.broadcast_to(colour, (1, 1, 1, 3))).numpy()
    np.testing.assert_allclose(seen, 0, atol=1e-4)


def test_masks_that_are_alike_go_through_the_network_once(explainer, monkeypatch, rng):
    inputs, passed = rng.normal(size=(2, 8, 8, 3)).astype("float32"), []
    one, other = rng.random((2, 8, 8)) > 0.5
    places, masks = [0, 0, 1, 0], np.stack([one, other, one, one])
    real = type(explainer.pipeline).masked_probabilities

    def counted(self, inputs, places, masks, *rest):
        passed.append(len(masks))
        return real(self, inputs, places, masks, *rest)

    monkeypatch.setattr(type(explainer.pipeline), "masked_probabilities", counted)
    found = masked_predictions(
        explainer.pipeline, inputs, places, [0, 0, 0, 2], masks, clean=np.ones(4)
    )
    assert passed == [3, 3]
    for at, class_id in enumerate([0, 0, 0, 2]):
        cut = masks[at][..., None] * inputs[places[at]]
        expected = explainer.pipeline.probabilities(cut[None]).numpy()[0, class_id]
        assert math.isclose(found.saliency[at], expected, rel_tol=1e-5)


def test_a_part_that_is_the_whole_picture_increases_nothing(rng):
    """Another batch rounds otherwise: a quarter of the whole pictures had been an increase."""
    pipeline = Explainer(build_toy("flatten"), preprocess="none").pipeline
    inputs = 3 * rng.normal(size=(40, 8, 8, 3)).astype("float32")
    places, targets = np.arange(40), np.arange(40) % 3
    clean = np.stack([pipeline.probabilities(each[None]).numpy()[0] for each in inputs])
    clean = clean[places, targets]
    for whole, part in (("saliency", 1), ("context", 0)):
        for kind in (bool, np.float32):
            masks = np.full((40, 8, 8), part, kind)
            masks[0, 0, 0] = 1 - part
            found = masked_predictions(pipeline, inputs, places, targets, masks, clean=clean)
            values = getattr(found, whole)
            np.testing.assert_array_equal(values[1:], clean[1:])
            cut = inputs[0].copy()
            cut[0, 0] = 0
            expected = pipeline.probabilities(cut[None]).numpy()[0, 0]
            assert math.isclose(values[0], expected, rel_tol=1e-5)
            assert values[0] != clean[0]
