"""Zones: masked pictures, drop, increase, gain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metrics.strategies import PROBABILITIES
from metrics.strategies import increasing_pairs

from guidedcam_tf import InputError
from guidedcam_tf import metrics

EIGHT = hnp.arrays(np.float64, 8, elements=PROBABILITIES)


@pytest.mark.parametrize("fill", [0.0, 3.0, [1.0, 2.0, 3.0]])
def test_hard_masks_partition_the_picture(rng, fill):
    inputs = rng.normal(size=(6, 5, 3)).astype(np.float32)
    mask = rng.random((6, 5)) < 0.4
    saliency = metrics.saliency_inputs(inputs, mask, fill)
    context = metrics.context_inputs(inputs, mask, fill)
    cover = np.broadcast_to(np.float32(fill), inputs.shape)
    assert saliency.dtype == context.dtype == np.float32
    np.testing.assert_array_equal(saliency[mask], inputs[mask])
    np.testing.assert_array_equal(context[~mask], inputs[~mask])
    np.testing.assert_array_equal(saliency[~mask], cover[~mask])
    np.testing.assert_array_equal(context[mask], cover[mask])


@given(
    hnp.arrays(np.float32, (3, 4), elements=st.floats(0, 1, width=32)),
    hnp.arrays(np.float32, (3, 4, 2), elements=st.floats(-8, 8, width=32)),
    st.floats(-4, 4, width=32),
)
def test_zones_add_up_to_picture_and_fill(mask, inputs, fill):
    saliency = metrics.saliency_inputs(inputs, mask, fill)
    context = metrics.context_inputs(inputs, mask, fill)
    np.testing.assert_allclose(saliency + context, inputs + fill, atol=1e-5)


def test_soft_mask_hand_computed():
    inputs = np.array([[[4.0], [8.0]]])
    # 0.25 * 4 + 0.75 * 2, 1 * 8 + 0 * 2; 0.75 * 4 + 0.25 * 2, 0 * 8 + 1 * 2
    mask = np.array([[0.25, 1.0]])
    np.testing.assert_array_equal(metrics.saliency_inputs(inputs, mask, 2.0), [[[2.5], [8.0]]])
    np.testing.assert_array_equal(metrics.context_inputs(inputs, mask, 2.0), [[[3.5], [2.0]]])


def test_a_mask_of_zeros_and_ones_is_a_hard_one(rng):
    inputs = rng.normal(size=(4, 4, 3)).astype(np.float32)
    mask = rng.random((4, 4)) < 0.5
    for zone in (metrics.saliency_inputs, metrics.context_inputs):
        np.testing.assert_array_equal(zone(inputs, mask, 1.5), zone(inputs, mask.astype(int), 1.5))


@pytest.mark.parametrize("kind", [bool, np.float32])
def test_leading_axes_are_broadcast(rng, kind):
    inputs = rng.normal(size=(2, 4, 5, 3)).astype(np.float32)
    masks = (rng.random((2, 3, 4, 5)) < 0.5).astype(kind)
    fill = rng.normal(size=(2, 1, 4, 5, 3)).astype(np.float32)
    pictures = metrics.saliency_inputs(inputs[:, None], masks, fill)
    assert pictures.shape == (2, 3, 4, 5, 3)
    for n, m in np.ndindex(2, 3):
        expected = metrics.saliency_inputs(inputs[n], masks[n, m], fill[n, 0])
        np.testing.assert_array_equal(pictures[n, m], expected)


def test_an_empty_mask_leaves_the_fill_and_the_whole_picture(rng):
    inputs = rng.normal(size=(4, 4, 3)).astype(np.float32)
    empty = metrics.threshold_mask(np.zeros((4, 4), np.float32))
    assert (metrics.saliency_inputs(inputs, empty, 2.0) == 2.0).all()
    np.testing.assert_array_equal(metrics.context_inputs(inputs, empty, 2.0), inputs)


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
    scores = metrics.zone_scores(clean, saliency, context)
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
        parts = [zone(weights, masks) for zone in (metrics.saliency_inputs, metrics.context_inputs)]
        return metrics.zone_scores(0.6, *map(score, parts))

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


@pytest.mark.parametrize(
    ("inputs", "masks", "message"),
    [
        (np.zeros((4, 4, 3), np.uint8), np.ones((4, 4)), "inputs must be floats.*received uint8"),
        (np.zeros((4, 4, 3)), np.ones((4, 5)), r"received \(4, 4, 3\) and \(4, 5\)"),
        (np.zeros((4, 4)), np.ones((4, 4)), r"inputs must have shape \[..., H, W, C\]"),
        (np.zeros((4, 4, 3)), np.full((4, 4), 2.0), r"masks must be bool or in \[0, 1\]"),
        (np.zeros((4, 4, 3)), np.full((4, 4), np.nan), r"masks must be bool or in \[0, 1\]"),
    ],
)
def test_bad_inputs_are_errors(inputs, masks, message):
    for zone in (metrics.saliency_inputs, metrics.context_inputs):
        with pytest.raises(InputError, match=message):
            zone(inputs, masks)
