"""Regions of a segmentation as targets: by value, and refused."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from targets.by_hand import GENERATOR
from targets.by_hand import NAMES
from targets.by_hand import PICTURES
from targets.by_hand import build_segmenter
from targets.by_hand import refused
from targets.by_hand import segmenter_by_hand

import guidedcam_tf as gcam
from guidedcam_tf.targets.regions import RegionScores


def test_a_region_is_the_sum_of_a_class_over_a_mask(segmenter):
    masks = GENERATOR.random((3, 8, 8)) < 0.4

    def score(logits):
        return tf.stack(
            [tf.reduce_sum(logits[i, ..., c] * masks[i]) for i, c in enumerate([1, 2, 0])]
        )

    expected, _ = segmenter_by_hand(segmenter.network.model, PICTURES, score)
    target = gcam.targets.region([1, "car", "sky"], masks)
    found = segmenter.maps(PICTURES, target, "hirescam", raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    in_parts = segmenter.maps(PICTURES, target, "hirescam", raw=True, batch_size=2)
    np.testing.assert_allclose(in_parts, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["guided", "gradcam"])
def test_in_openvino_regions_are_tensorflow_s(segmenter, method):
    other = gcam.Explainer(segmenter.network.model, layer="conv", runtime="openvino")
    targets = [gcam.targets.region(0, (2, 1, 9, 12)), gcam.targets.region(2)]
    expected, found = (
        each.maps(PICTURES, targets, method, raw=True) for each in (segmenter, other)
    )
    assert expected[:, 0].any() and expected[:, 1].any()
    np.testing.assert_allclose(found, expected, atol=1e-5 * np.abs(expected).max())


def test_a_box_is_a_mask_of_what_has_its_middle_inside(segmenter):
    mask = np.zeros((16, 16), bool)
    mask[2:10, 4:13] = True
    by_box, by_mask, by_grid = (
        segmenter.maps(PICTURES, gcam.targets.region(1, where), "hirescam", raw=True)
        for where in ((4, 2, 13, 10), mask, mask[1::2, 1::2])
    )
    np.testing.assert_array_equal(by_box, by_mask)
    np.testing.assert_array_equal(by_box, by_grid)


@pytest.mark.parametrize("activation", [None, "softmax", "sigmoid"])
def test_by_default_it_is_where_the_class_is_predicted(activation):
    model = build_segmenter(activation)
    explainer = gcam.Explainer(model, layer="conv")
    answers = model.predict(PICTURES, verbose=0)
    there = answers[..., 1] > 0.5 if activation == "sigmoid" else answers.argmax(-1) == 1
    expected, values = segmenter_by_hand(
        model, PICTURES, lambda logits: tf.reduce_sum(logits[..., 1] * there, axis=[1, 2])
    )
    found = explainer.maps(PICTURES, gcam.targets.region(1), "hirescam", raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    explanation = explainer.explain(PICTURES[1], "class 1", "hirescam")
    np.testing.assert_allclose(explanation.probabilities, values[1:2], rtol=1e-4)
    assert (explanation.names, explanation.targets.tolist()) == (["class 1"], [1])
    assert explanation.quantity == "value"


@pytest.mark.usefixtures("compiled")
def test_many_classes_and_regions_share_one_kernel(monkeypatch):
    calls, scores = [], RegionScores.__call__
    monkeypatch.setattr(RegionScores, "__call__", lambda *a: calls.append(1) or scores(*a))
    explainer = gcam.Explainer(build_segmenter(), layer="conv", class_names=NAMES)
    explainer.explain(PICTURES[0], ["class road in 0,0,9,9", "class 2 in 3,3,16,16"], "hirescam")
    traced = len(calls)
    for class_id in range(3):
        explainer.maps(PICTURES, gcam.targets.region(class_id, (class_id, 0, 9, 9)), "hirescam")
    assert len(calls) == traced


@pytest.mark.parametrize(
    "method", ["scorecam", "guided", "integrated_gradcam", "rise", "ablationcam"]
)
def test_a_batch_with_values_is_its_pictures_one_by_one(segmenter, method):
    boxes = np.array([[0, 0, 8, 8], [4, 4, 16, 16], [2, 0, 9, 16]])
    options = {"samples": 8} if method == "rise" else {}
    whole = segmenter.maps(PICTURES, gcam.targets.region([0, 1, 2], boxes), method, **options)
    for place in range(3):
        target = gcam.targets.region(place, tuple(boxes[place]))
        alone = segmenter.maps(PICTURES[place : place + 1], target, method, **options)
        np.testing.assert_allclose(whole[place], alone[0], atol=1e-5)


REGIONS = {
    "mask's size": (
        np.ones((5, 7)),
        "a mask of 5 x 7; expected the picture's 16 x 16, or .* 8 x 8",
    ),
    "outside": ((0, 0, 17, 4), "box 0,0,17,4 must lie in the picture, 16 pixels wide and 16 high"),
    "turned": ((9, 0, 3, 4), "expected x_min, y_min, x_max, y_max in pixels from 0"),
    "small": ((0, 0, 1, 1), "0,0,1,1 of picture 0 holds the middle of no position.*8 x 8 of 2 x 2"),
    "shape": (
        np.ones(7),
        r"must be a mask \[H, W\], a file of one, or a box.*received shape \(7,\)",
    ),
    "not a number": (np.full((16, 16), np.nan), "mask_or_box must be finite numbers; received"),
    "texts": (("0", "0", "8", "8"), r"must be finite numbers; received \('0', '0', '8', '8'\)"),
    "ragged": ([[1, 0], [1]], "mask_or_box must be an array, or a list whose parts have one shape"),
    "number": (np.ones((2, 16, 16)), "mask must be one for all pictures, or one for each of the 3"),
    "file": ("no.png", "no.png does not exist"),
}


@pytest.mark.parametrize("name", REGIONS)
def test_what_is_no_region_is_refused(segmenter, name):
    where, message = REGIONS[name]
    assert re.search(
        message, refused(lambda: segmenter.maps(PICTURES, gcam.targets.region(1, where)))
    )


def test_a_class_that_is_predicted_nowhere_is_refused():
    model = build_segmenter()
    model.get_layer("out").bias.assign([0.0, -1e3, 0.0])
    explainer = gcam.Explainer(model, layer="conv", class_names=NAMES)
    message = refused(lambda: explainer.explain(PICTURES[0], gcam.targets.region("road")))
    assert "class 'road' is predicted nowhere in picture 0, so its region is empty" in message
    assert re.search("predicted are (sky|car).*: give mask_or_box=", message)


def test_a_mask_file_has_one_object(segmenter, tmp_path):
    levels = np.zeros((16, 16), np.uint8)
    levels[2:10, 4:13] = 255
    Image.fromarray(levels).save(tmp_path / "mask.png")
    by_file = segmenter.explain(PICTURES[0], f"class road in {tmp_path}/mask.png", "hirescam")
    by_box = segmenter.explain(PICTURES[0], gcam.targets.region(1, (4, 2, 13, 10)), "hirescam")
    np.testing.assert_array_equal(by_file.maps, by_box.maps)
    assert by_file.names == ["road in mask.png"]
    assert by_file.origin["targets"] == [f"class road in {tmp_path}/mask.png"]
    levels[0, 0] = 7
    Image.fromarray(levels).save(tmp_path / "mask.png")
    message = refused(lambda: segmenter.explain(PICTURES[0], f"class 1 in {tmp_path}/mask.png"))
    assert "must be grey, with 0 and one other value" in message


MOVES = {
    "mirrored": (lambda x: keras.ops.flip(x, 2), 1),
    "a crop enlarged": (
        lambda x: keras.layers.Resizing(24, 24, "nearest")(x[:, 4:16, 8:20]),
        0.5,
    ),
    "as it is": (lambda x: x, 1),
}


@pytest.mark.parametrize("strides", [1, 2])
@pytest.mark.parametrize("name", MOVES)
def test_a_region_lies_in_the_picture_whatever_moves_it_first(name, strides, rng):
    """The gradient reaches the region, and around it as far as the network looks."""
    move, cell = MOVES[name]
    inputs = keras.Input((24, 24, 3))
    x = keras.layers.Conv2D(6, 3, strides=strides, padding="same", name="conv")(move(inputs))
    model = keras.Model(inputs, keras.layers.Conv2D(3, 1)(x))
    explainer = gcam.Explainer(model, preprocess="none", scores="logits")
    mask = np.zeros((24, 24), bool)
    mask[6:10, 12:18] = True
    pictures = rng.random((1, 24, 24, 3)).astype(np.float32)
    for where in ((12, 6, 18, 10), mask):
        raw = explainer.maps(pictures, gcam.targets.region(1, where), "gradient", raw=True)[0]
        rows, columns = np.nonzero(raw)
        reach = int(np.ceil((strides + 1) * cell))
        assert 6 - reach <= rows.min() <= 7 and 8 <= rows.max() < 10 + reach
        assert 12 - reach <= columns.min() <= 13 and 16 <= columns.max() < 18 + reach
