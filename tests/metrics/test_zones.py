"""Zones: drop, increase, gain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra import numpy as hnp
from metrics.strategies import PROBABILITIES
from metrics.strategies import increasing_pairs

from guidedcam_tf import InputError
from guidedcam_tf import metrics

EIGHT = hnp.arrays(np.float64, 8, elements=PROBABILITIES)


def zone_scores(clean, saliency, context):
    """Every metric of masked predictions that the registry has, by its name."""
    evidence = metrics.MaskedPredictions(clean, saliency, context)
    return {
        name: metric.measure(evidence)
        for name, metric in metrics.METRICS.items()
        if metric.evidence is metrics.MaskedPredictions
    }


@pytest.mark.parametrize(
    ("clean", "masked", "drop", "increase", "gain"),
    [
        (0.8, 0.6, 0.25, 0, 0),
        (0.8, 0.0, 1, 0, 0),
        (0.75, 0.875, 0, 1, 0.5),
        (0.5, 0.5, 0, 0, 0),
        (0.0, 0.0, 0, 0, 0),
        (0.0, 0.25, 0, 1, 0.25),
        (1.0, 1.0, 0, 0, 0),
        (1.0, 0.25, 0.75, 0, 0),
        # Below EPSILON the denominator is EPSILON: 4e-13 / 1e-12.
        (4e-13, 0.0, 0.4, 0, 0),
    ],
)
def test_hand_computed(clean, masked, drop, increase, gain):
    np.testing.assert_allclose(metrics.drop(clean, masked), drop, rtol=1e-12)
    assert metrics.increase(clean, masked) == increase
    np.testing.assert_allclose(metrics.gain(clean, masked), gain, rtol=1e-12)


@given(EIGHT, EIGHT, EIGHT)
def test_zone_scores_match_loops_and_are_in_range(clean, saliency, context):
    scores = zone_scores(clean, saliency, context)
    for i in range(8):
        y, s, c = clean[i], saliency[i], context[i]
        expected = {
            "saliency_drop": max(0, y - s) / max(y, 1e-12),
            "saliency_increase": 1 if s > y else 0,
            "saliency_gain": max(0, s - y) / max(1 - y, 1e-12),
            "context_drop": max(0, y - c) / max(y, 1e-12),
            "context_increase": 1 if c > y else 0,
        }
        assert scores.keys() == expected.keys()
        for name, value in expected.items():
            assert scores[name][i] == pytest.approx(value)
            low, high = metrics.get_metric(name).range
            assert low <= scores[name][i] <= high


@given(increasing_pairs())
def test_area_matched_zones_know_only_the_order(pair):
    weights = np.linspace(0.1, 0.9, pair[0].size).reshape(*pair[0].shape, 1)

    def score(pictures):
        return pictures.sum(axis=(-3, -2, -1)) / weights.sum()

    def zones(saliency):
        masks = metrics.area_matched_masks(saliency)
        parts = [weights * part[..., None] for part in (masks, ~masks)]
        return zone_scores(0.6, *map(score, parts))

    first, second = map(zones, pair)
    for name in first:
        assert first[name].shape == (4,)
        np.testing.assert_array_equal(first[name], second[name])


@pytest.mark.parametrize("values", [[1.5], [-0.1], [np.nan], [12.0, 0.5]])
@pytest.mark.parametrize("metric", [metrics.drop, metrics.increase, metrics.gain])
def test_what_is_no_probability_is_an_error(metric, values):
    with pytest.raises(InputError, match=r"masked must hold probabilities in \[0, 1\]"):
        metric(0.5, values)
    with pytest.raises(InputError, match=r"clean must hold probabilities in \[0, 1\]"):
        metric(values, 0.5)


def test_rounding_of_a_softmax_is_no_error():
    assert metrics.increase(1.0, np.float32(1.0000001)) == 0
    assert metrics.gain(np.float32(1.0000001), 0.5) == 0
