"""The pointing game: the whole-grid rule as reference, ties, edges."""

import math

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from hypothesis import strategies as st
from metrics.strategies import increasing_pairs
from metrics.strategies import maps_with_masks

from guidedcam_tf import InputError
from guidedcam_tf.metrics import peak
from guidedcam_tf.metrics import pointing_game


def peak_at(row, column, shape=(20, 30)):
    saliency = np.zeros(shape, np.float32)
    saliency[row, column] = 1
    return saliency


def only(row, column, shape=(20, 30)):
    truth = np.zeros(shape, bool)
    truth[row, column] = True
    return truth


@given(maps_with_masks(), st.sampled_from([1, 1.5, 2, 2.5, 5, 15]))
def test_matches_the_rule_over_the_whole_grid(pair, tolerance):
    saliency, truth = pair
    assume(truth.any() and saliency.min() < saliency.max())
    first = list(saliency.ravel()).index(saliency.max())
    x, y = first % saliency.shape[1], first // saliency.shape[1]
    expected = any(
        truth[v, u] and (u - x) ** 2 + (v - y) ** 2 < tolerance**2
        for v, u in np.ndindex(saliency.shape)
    )
    assert pointing_game(saliency, truth, tolerance=tolerance) == expected


@given(increasing_pairs(), st.data())
def test_knows_only_the_order(pair, data):
    first, second = pair
    truth = only(*data.draw(st.tuples(*(st.integers(0, n - 1) for n in first.shape))), first.shape)
    for tolerance in (0, 2, 15):
        assert pointing_game(first, truth, tolerance=tolerance) == pointing_game(
            second, truth, tolerance=tolerance
        )


def test_the_tolerance_itself_is_too_far():
    # 9^2 + 12^2 = 15^2
    saliency, truth = peak_at(2, 3), only(11, 15)
    assert pointing_game(saliency, truth) == 0.0
    assert pointing_game(saliency, truth, tolerance=15.01) == 1.0
    # 9^2 + 11^2 = 202 < 225
    assert pointing_game(saliency, only(11, 14)) == 1.0


@pytest.mark.parametrize("tolerance", [0, 0.5, 1])
def test_without_tolerance_only_the_peak_itself_counts(tolerance):
    assert pointing_game(peak_at(4, 5), only(4, 5), tolerance=tolerance) == 1.0
    assert pointing_game(peak_at(4, 5), only(4, 6), tolerance=tolerance) == 0.0


def test_of_equal_peaks_the_first_counts():
    saliency = np.maximum(peak_at(4, 20), peak_at(10, 2))
    assert peak(saliency) == (4, 20)
    assert pointing_game(saliency, only(10, 2), tolerance=3) == 0.0


def test_x_and_y_are_not_mixed_up():
    assert pointing_game(peak_at(2, 25), only(2, 25), tolerance=0) == 1.0


@pytest.mark.parametrize("value", [0.0, 0.4])
def test_a_flat_map_misses(value):
    flat = np.full((20, 30), value)
    assert peak(flat) is None
    assert pointing_game(flat, np.ones((20, 30), bool)) == 0.0


def test_a_tolerance_larger_than_the_picture_hits_any_object():
    truth = np.zeros((20, 30), bool)
    truth[-1, -1] = True
    for tolerance in (60, 1e300):
        assert pointing_game(peak_at(0, 0), truth, tolerance=tolerance) == 1.0


def test_without_an_object_there_is_no_game():
    assert math.isnan(pointing_game(peak_at(2, 2), np.zeros((20, 30), bool)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((2, 4, 4)), np.zeros((4, 4)), 15), r"saliency must have shape \[H, W\]"),
        ((np.zeros((4, 4)), np.zeros((4, 5)), 15), r"truth must have the map's shape \(4, 4\)"),
        ((np.zeros((4, 4)), np.full((4, 4), 255), 15), "truth must hold only 0 and 1"),
        ((np.zeros((4, 4)), np.ones((4, 4)), -1), "tolerance must be at least 0 and finite"),
        ((np.zeros((4, 4)), np.ones((4, 4)), math.inf), "tolerance must be at least 0 and finite"),
        ((np.zeros((4, 4)), np.ones((4, 4)), "15"), "tolerance must be .*; received '15'"),
    ],
)
def test_bad_arguments_are_errors(arguments, message):
    saliency, truth, tolerance = arguments
    with pytest.raises(InputError, match=message):
        pointing_game(saliency, truth, tolerance=tolerance)
