"""The energy-based pointing game."""

import math

import numpy as np
import pytest
from hypothesis import assume
from hypothesis import given
from metrics.strategies import maps_with_masks

from guidedcam_tf import InputError
from guidedcam_tf.metrics import box_mask
from guidedcam_tf.metrics import energy_pointing_game


def test_hand_computed():
    saliency = np.array([[0, 0.25, 0], [0.5, 1.0, 0.25]])
    # The box holds columns 1 and 2 of row 1: (1 + 0.25) / 2.
    assert energy_pointing_game(saliency, box_mask([[1, 1, 3, 2]], (2, 3))) == 0.625


@given(maps_with_masks())
def test_matches_loops_and_is_in_range(pair):
    saliency, truth = pair
    assume(truth.any() and saliency.any())
    on = math.fsum(float(saliency[i]) for i in np.ndindex(saliency.shape) if truth[i])
    whole = math.fsum(float(saliency[i]) for i in np.ndindex(saliency.shape))
    share = energy_pointing_game(saliency, truth)
    assert 0 <= share <= 1
    assert share == pytest.approx(on / whole)
    if not truth.all():
        rest = energy_pointing_game(saliency, ~truth)
        assert share + rest == pytest.approx(1)


def test_not_defined_for_a_zero_map_or_without_an_object():
    ones = np.ones((4, 4))
    assert math.isnan(energy_pointing_game(np.zeros((4, 4)), ones))
    assert math.isnan(energy_pointing_game(ones, np.zeros((4, 4))))


def test_a_map_with_negative_values_is_an_error():
    with pytest.raises(InputError, match=r"saliency must be in \[0, 1\]"):
        energy_pointing_game(np.array([[-1.0, 1.0]]), np.ones((1, 2)))
