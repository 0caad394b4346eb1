"""The maps that a run measures: fused from several layers, and of a segmentation's classes."""

import keras
import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf import metrics
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.samples import Label
from guidedcam_tf.evaluation.config import Protocol
from guidedcam_tf.evaluation.measuring.groups import group_methods
from guidedcam_tf.evaluation.measuring.maps import MapMaker
from guidedcam_tf.evaluation.measuring.scoring import Scorer
from guidedcam_tf.methods import get_method

layers = keras.layers
BOX = (5, 3, 20, 12)
NAMES = ["energy_pointing_game", "pointing_game"]


def picture_with(*labels):
    pixels = np.random.default_rng(4).integers(0, 256, (20, 30, 3), np.uint8)
    return Loaded("one", pixels, labels)


def labelled(name, *class_ids):
    return Label(name, class_ids, (BOX,), (False,))


def rows_of(explainer, picture, methods, maker=None):
    wanted = [metrics.METRICS[name] for name in NAMES]
    scorer = Scorer(explainer, Protocol(), wanted, 32, maker)
    methods = {name: get_method(name) for name in methods}
    groups = group_methods(methods)
    chunk = scorer.chunk([picture, picture])
    return [row for group in groups for row in scorer.rows(chunk, group)]


def test_a_fused_map_is_measured_as_it_is_explained():
    explainer = gcam.Explainer(build_toy("flatten"), preprocess="unit", layer="conv1")
    picture = picture_with(labelled("cat", 1))
    at = tuple(explainer.at(name).pipeline for name in ("conv1", "conv2"))
    for fusion in ("mean", "layercam"):
        rows = rows_of(explainer, picture, ["gradcam"], MapMaker(at, fusion))
        fused = gcam.explain_layers(
            explainer, picture.picture, "conv1,conv2", 1, "gradcam", fusion=fusion
        )[-1].maps[0]
        expected = metrics.energy_pointing_game(fused, metrics.box_mask([BOX], fused.shape))
        values = [row.value for row in rows if row.metric == "energy_pointing_game"]
        assert values == pytest.approx([expected] * 2, abs=1e-6)


def segmenter(activation):
    keras.utils.set_random_seed(2)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    outputs = layers.Conv2D(3, 1, activation=activation, name="classes")(x)
    model = keras.Model(inputs, outputs)
    # Ground is -0.1 and dog -100 everywhere; cat is at least 0.
    kernel = np.zeros((1, 1, 4, 3), np.float32)
    kernel[..., 1] = (1, 2, 3, 4)
    model.get_layer("classes").set_weights([kernel, np.array([-0.1, 0, -100], np.float32)])
    return gcam.Explainer(model, preprocess="unit", class_names=["ground", "cat", "dog"])


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_an_object_of_a_segmentation_is_its_class_where_it_is_predicted(activation):
    explainer = segmenter(activation)
    picture = picture_with(labelled("cat", 1), labelled("dog", 2), labelled("pet", 1, 2))
    rows = rows_of(explainer, picture, ["hirescam", "gradcam"])
    found = {(row.class_name, row.method, row.metric): row for row in rows}
    saliency = explainer.explain(picture.picture, "class cat", "hirescam").maps[0]
    expected = metrics.energy_pointing_game(saliency, metrics.box_mask([BOX], saliency.shape))
    for name in ("cat", "pet"):
        row = found[name, "hirescam", "energy_pointing_game"]
        assert row.target == 1
        assert row.value == pytest.approx(expected, abs=1e-6)
    nowhere = found["dog", "hirescam", "pointing_game"]
    assert np.isnan(nowhere.value)
    assert nowhere.note == "class predicted nowhere"
