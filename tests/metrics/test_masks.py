"""Masks: hand computation, plain loops, scikit-image, ties, flat maps, order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.strategies import increasing_pairs
from metrics.strategies import maps
from skimage.filters import threshold_otsu

from guidedcam_tf import InputError
from guidedcam_tf import metrics

RELATIVE = [
    metrics.otsu_mask,
    metrics.mean_mask,
    lambda m: metrics.mean_mask(m, 1.0),
    metrics.max_fraction_mask,
    metrics.top_mask,
]
RULES = [
    metrics.MaskRule(kind)
    for kind in ("threshold", "otsu", "mean", "mean+std", "max_fraction", "top", "soft")
]

# Mean 0.25, standard deviation sqrt((0.0625 + 0.0625) / 4) = 0.177, maximum 0.5.
SMALL = np.array([[0, 0.25], [0.25, 0.5]], np.float32)
HAND_COMPUTED = {
    # 0.25 is on the threshold, and belongs to the mask.
    ("threshold", 0.25): [[0, 1], [1, 1]],
    ("threshold", None): [[0, 0], [0, 1]],
    ("mean", None): [[0, 1], [1, 1]],
    # 0.25 + 0.177 = 0.427
    ("mean+std", None): [[0, 0], [0, 1]],
    # half of 0.5
    ("max_fraction", 0.5): [[0, 1], [1, 1]],
    ("max_fraction", 0.6): [[0, 0], [0, 1]],
    # Two pixels: the largest, and the first of the equal ones.
    ("top", 0.5): [[0, 1], [0, 1]],
    ("top", 1.0): [[1, 1], [1, 1]],
    ("soft", None): [[0, 0.25], [0.25, 0.5]],
}


@pytest.mark.parametrize(("rule", "expected"), HAND_COMPUTED.items())
def test_hand_computed(rule, expected):
    mask = metrics.MaskRule(*rule)(SMALL)
    assert mask.dtype == (np.float32 if rule[0] == "soft" else bool)
    np.testing.assert_array_equal(mask, expected)


def test_soft_mask_takes_back_what_rounding_added():
    saliency = np.array([[-1e-7, 0.95, 1, 1 + 1e-7]])
    np.testing.assert_array_equal(metrics.soft_mask(saliency), np.float32([[0, 0.95, 1, 1]]))


def test_otsu_hand_computed():
    # Cuts of 0, 1/8, 3/4, 1 after the first, second and third value separate by
    # 1 * 3 * (0 - 5/8)^2 = 1.17, 2 * 2 * (1/16 - 7/8)^2 = 2.64, 3 * 1 * (7/24 - 1)^2 = 1.51.
    mask = metrics.otsu_mask(np.array([[0.75, 0.125], [0, 1]]))
    np.testing.assert_array_equal(mask, [[1, 0], [0, 1]])


@pytest.mark.parametrize("seed", range(20))
def test_otsu_is_scikit_images(seed):
    rng = np.random.default_rng(seed)
    two_humps = np.where(
        rng.random((40, 30)) < rng.random(), rng.beta(2, 6, (40, 30)), rng.beta(6, 2, (40, 30))
    )
    np.testing.assert_array_equal(
        metrics.otsu_mask(two_humps), two_humps > threshold_otsu(two_humps)
    )


@given(maps, st.floats(0.01, 1))
def test_thresholds_match_loops(saliency, value):
    flat = len({float(v) for v in saliency.ravel()}) == 1
    values = saliency.astype(float)
    limits = {
        "threshold": np.float32(value),
        "mean": values.mean(),
        "mean+std": values.mean() + np.sqrt(((values - values.mean()) ** 2).mean()),
        "max_fraction": np.float32(value) * saliency.max(),
    }
    for kind, limit in limits.items():
        given_value = value if kind in ("threshold", "max_fraction") else None
        mask = metrics.MaskRule(kind, given_value)(saliency)
        for index in np.ndindex(saliency.shape):
            if np.isclose(saliency[index], limit, rtol=1e-6):
                continue
            relative = kind != "threshold"
            assert mask[index] == (saliency[index] >= limit and not (relative and flat))


@given(maps, st.lists(st.floats(0.01, 1), min_size=1, max_size=4))
def test_area_matched_masks_keep_the_first_of_the_order(saliency, fractions):
    masks = metrics.area_matched_masks(saliency, fractions)
    assert masks.shape == (len(fractions), *saliency.shape)
    order = sorted(range(saliency.size), key=lambda i: (-saliency.flat[i], i))
    for mask, fraction in zip(masks, fractions, strict=True):
        kept = max(1, int(np.floor(fraction * saliency.size + 0.5)))
        expected = np.zeros(saliency.size, bool)
        if saliency.min() < saliency.max():
            expected[order[:kept]] = True
        np.testing.assert_array_equal(mask.ravel(), expected)


@given(increasing_pairs())
def test_area_matched_masks_know_only_the_order(pair):
    first, second = pair
    np.testing.assert_array_equal(
        metrics.area_matched_masks(first), metrics.area_matched_masks(second)
    )


@given(maps)
def test_larger_areas_contain_smaller_ones(saliency):
    masks = metrics.area_matched_masks(saliency)
    assert not (masks[:-1] & ~masks[1:]).any()


def test_pixel_counts_round_half_up_and_are_at_least_one():
    ramp = np.arange(5.0)[None]
    counts = metrics.area_matched_masks(ramp, [0.01, 0.3, 0.5, 1]).sum(axis=(-2, -1))
    # 0.05 -> 1, 1.5 -> 2, 2.5 -> 3, 5
    np.testing.assert_array_equal(counts, [1, 2, 3, 5])


@pytest.mark.parametrize("value", [0.0, 0.7, 1.0])
@pytest.mark.parametrize("rule", RELATIVE)
def test_a_flat_map_points_nowhere(rule, value):
    assert not rule(np.full((4, 4), value, np.float32)).any()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_a_zero_map_has_an_empty_mask(rule):
    assert not rule(np.zeros((4, 4), np.float32)).any()


@pytest.mark.parametrize("rule", RULES, ids=str)
def test_maps_are_apart(rule, rng):
    saliency = rng.random((2, 3, 6, 5)).astype(np.float32)
    saliency[0, 1] = 0.5
    saliency[1, 2] *= 0.01
    before = saliency.copy()
    expected = [[rule(one) for one in row] for row in saliency]
    np.testing.assert_array_equal(rule(saliency), expected)
    np.testing.assert_array_equal(saliency, before)


def test_rules_name_themselves():
    assert [str(rule) for rule in RULES] == [
        "threshold 0.5",
        "otsu",
        "mean",
        "mean+std",
        "max_fraction 0.15",
        "top 0.5",
        "soft",
    ]
    assert metrics.MaskRule() == metrics.MaskRule("threshold", 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("hard",), "mask kind 'hard' is not known; expected one of threshold, otsu, mean"),
        (("otsu", 0.5), "mask kind 'otsu' takes no value; received 0.5"),
        (("top", 0), "mask value must be above 0 and at most 1; received 0"),
        (("threshold", 1.5), "mask value must be above 0 and at most 1; received 1.5"),
    ],
)
def test_a_bad_rule_is_an_error(arguments, message):
    with pytest.raises(InputError, match=message):
        metrics.MaskRule(*arguments)


@pytest.mark.parametrize(
    ("saliency", "message"),
    [
        (np.zeros(4), r"saliency must have shape \[..., H, W\]; received \(4,\)"),
        (np.zeros((0, 4)), r"saliency must have shape \[..., H, W\]; received \(0, 4\)"),
        (np.array([[0, np.nan]]), "saliency must be finite; received NaN or infinity"),
        (np.array([[0, np.inf]]), "saliency must be finite"),
        ([[0, 1], [1]], "saliency must be an array, or a list whose parts have one shape"),
        (np.array([[0, 1j]]), "saliency must be real numbers; received complex128"),
        ([["0", "1"]], "saliency must be real numbers; received <U1"),
        (np.array([[0, 255]], np.uint8), r"must be in \[0, 1\]; received values from 0.0 to 255"),
    ],
)
def test_a_bad_map_is_an_error(saliency, message):
    with pytest.raises(InputError, match=message):
        metrics.threshold_mask(saliency)
    if "finite" in message or "shape" in message:
        with pytest.raises(InputError, match=message):
            metrics.area_matched_masks(saliency)


@pytest.mark.parametrize("fractions", [[], 0.2, ["0.5"], [0]])
def test_bad_fractions_are_errors(fractions):
    with pytest.raises(InputError, match=r"fractions? must be"):
        metrics.area_matched_masks(np.eye(4), fractions)
