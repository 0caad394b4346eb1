"""Dice, IoU and the localisation ratio: Keras, SciPy, loops, identities."""

import math

import keras
import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st
from metrics.strategies import maps_with_masks
from scipy.spatial import distance

from guidedcam_tf import InputError
from guidedcam_tf import metrics
from guidedcam_tf.metrics import Overlap
from guidedcam_tf.metrics import overlap


def test_hand_computed():
    # |P| = 3, |G| = 4, 2 in both: Dice 4 / 7, IoU 2 / 5.
    prediction = np.array([[1, 1, 1], [0, 0, 0]], bool)
    truth = np.array([[0, 1, 1], [0, 1, 1]])
    areas = overlap(prediction, truth)
    assert areas == Overlap(intersection=2, predicted=3, truth=4)
    assert (areas.dice, areas.iou) == (4 / 7, 2 / 5)
    # Without the last column: |P| = 2, |G| = 2, 1 in both.
    areas = overlap(prediction, truth, void=[[0, 0, 1], [0, 0, 1]])
    assert (areas.dice, areas.iou) == (1 / 2, 1 / 3)


def test_soft_hand_computed():
    # sum HG = 1.25, sum H = 1.75, sum G = 2: Dice 2.5 / 3.75, IoU 1.25 / 2.5.
    areas = overlap(np.array([[0.25, 1.0], [0.5, 0]]), [[1, 1], [0, 0]])
    assert areas.dice == pytest.approx(2 / 3)
    assert areas.iou == 0.5


@given(maps_with_masks(count=2), st.booleans())
def test_identities(arrays, hard):
    saliency, truth, void = arrays
    areas = overlap(saliency >= 0.5 if hard else saliency, truth, void=void)
    assert 0 <= areas.iou <= areas.dice <= 1
    assert areas.dice == pytest.approx(2 * areas.iou / (1 + areas.iou))


@given(maps_with_masks(count=2))
def test_soft_matches_loops(arrays):
    saliency, truth, void = arrays
    kept = [i for i in np.ndindex(saliency.shape) if not void[i]]
    both = math.fsum(float(saliency[i]) * truth[i] for i in kept)
    sizes = math.fsum(float(saliency[i]) for i in kept) + sum(int(truth[i]) for i in kept)
    expected = 2 * both / sizes if sizes else 1
    assert overlap(saliency, truth, void=void).dice == pytest.approx(expected)


@given(maps_with_masks(count=2))
def test_void_pixels_change_nothing(arrays):
    saliency, truth, void = arrays
    assert overlap(saliency, truth, void=void) == overlap(
        np.where(void, 1, saliency), truth | void, void=void
    )


@pytest.mark.parametrize("hard", [True, False])
def test_empty_masks(hard):
    empty, full = np.zeros((3, 3)), np.ones((3, 3))
    predictions = [array.astype(bool) if hard else array for array in (empty, full)]
    for prediction, truth, expected in [
        (predictions[0], empty, 1.0),
        (predictions[0], full, 0.0),
        (predictions[1], empty, 0.0),
        (predictions[1], full, 1.0),
    ]:
        areas = overlap(prediction, truth)
        assert (areas.dice, areas.iou) == (expected, expected)
    assert overlap(predictions[1], full, void=full).dice == 1.0


def test_iou_is_keras(rng):
    for density in (0.1, 0.4, 0.7):
        saliency = rng.random((12, 9)).astype(np.float32)
        truth = rng.random((12, 9)) < density
        void = rng.random((12, 9)) < 0.2
        one = keras.metrics.BinaryIoU([1], threshold=0.5)
        one.update_state(truth, saliency, sample_weight=~void)
        areas = overlap(metrics.threshold_mask(saliency, 0.5), truth, void=void)
        assert areas.iou == pytest.approx(float(one.result()), rel=1e-6)


def test_dice_is_scipys(rng):
    for density in (0.1, 0.5, 0.9):
        prediction, truth = rng.random((2, 12, 9)) < density
        areas = overlap(prediction, truth)
        expected = 1 - distance.dice(prediction.ravel(), truth.ravel())
        assert areas.dice == pytest.approx(expected)
        assert areas.iou == pytest.approx(1 - distance.jaccard(prediction.ravel(), truth.ravel()))


def test_localization_ratio_hand_computed():
    saliency = np.array([[0, 0.25, 0.5], [0, 1.0, 0.25]])
    box = metrics.box_mask([[0, 0, 2, 2]], (2, 3))
    # Above 0: 2 inside, 2 outside a box of 4. Above 0.25: 1 inside, 1 outside. Above 0.5: 1 inside.
    ratios = [metrics.localization_ratio(saliency, box, delta) for delta in (0, 0.25, 0.5)]
    assert ratios == [2 / 6, 1 / 5, 1 / 4]


@given(maps_with_masks(), st.sampled_from([0, 0.25, 0.5]))
def test_localization_ratio_matches_loops(pair, delta):
    saliency, box = pair
    assume(box.any())
    pixels = list(np.ndindex(saliency.shape))
    inside = sum(1 for i in pixels if box[i] and saliency[i] > delta)
    outside = sum(1 for i in pixels if not box[i] and saliency[i] > delta)
    expected = inside / (box.sum() + outside)
    assert metrics.localization_ratio(saliency, box, delta) == pytest.approx(expected)


def test_localization_ratio_of_nothing():
    assert metrics.localization_ratio(np.zeros((3, 3)), np.ones((3, 3)), 0) == 0
    assert math.isnan(metrics.localization_ratio(np.ones((3, 3)), np.zeros((3, 3))))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda a: overlap(a, a[:2]), r"truth must have the map's shape \(3, 3\); received \(2, 3"),
        (lambda a: overlap(a, a, void=a + 255), "void must hold only 0 and 1"),
        (lambda a: overlap(a + 7, a), r"saliency must be in \[0, 1\]"),
        (lambda a: overlap(a[0] > 0, a), r"prediction must have shape \[H, W\]; received \(3,\)"),
        (lambda a: metrics.localization_ratio(a, a, 1.0), "threshold must be at least 0 and below"),
    ],
)
def test_bad_arguments_are_errors(call, message):
    with pytest.raises(InputError, match=message):
        call(np.zeros((3, 3)))
