"""Aggregates: means, what is left out, and order."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from metrics.strategies import PROBABILITIES

from guidedcam_tf import InputError
from guidedcam_tf.metrics import Aggregate
from guidedcam_tf.metrics import get_metric

PAIRS = st.lists(
    st.tuples(PROBABILITIES | st.just(math.nan), st.sampled_from("abc"), st.none() | st.just("x")),
    max_size=20,
)


def aggregate(pairs):
    result = Aggregate(get_metric("dice"))
    for pair in pairs:
        result.update(*pair)
    return result


def test_hand_computed():
    hits = Aggregate(get_metric("pointing_game"))
    for name, value in [("cat", 1.0), ("cat", 1.0), ("cat", 0.0), ("ant", 0.0)]:
        hits.update(value, name)
    hits.update(math.nan, "cat", "all difficult")
    hits.update(math.nan, "dog")
    hits.update(1.0, "ant", "empty map")
    summary = hits.compute()
    # 3 of 5; the mean of 2 / 3 and 1 / 2; "dog" has no pair that counts.
    assert summary.mean == 0.6
    assert summary.class_mean == pytest.approx(7 / 12)
    assert summary.by_class == {"ant": 0.5, "cat": 2 / 3}
    assert list(summary.by_class) == ["ant", "cat"]
    assert summary.count == 5
    assert summary.skipped == {"all difficult": 1, "undefined": 1}
    assert summary.noted == {"empty map": 1}


@given(PAIRS, st.randoms(use_true_random=False))
def test_order_changes_no_digit(pairs, random):
    whole = aggregate(pairs).compute()
    shuffled = random.sample(pairs, len(pairs))
    assert repr(aggregate(shuffled).compute()) == repr(whole)
    values = [value for value, _, _ in pairs if not math.isnan(value)]
    assert whole.count == len(values)
    assert whole.count + sum(whole.skipped.values()) == len(pairs)
    if values:
        assert whole.mean == pytest.approx(np.mean(values))
        by_class = [
            np.mean(kept)
            for name in "abc"
            if (kept := [v for v, c, _ in pairs if c == name and not math.isnan(v)])
        ]
        assert whole.class_mean == pytest.approx(np.mean(by_class))


def test_nothing_seen():
    summary = Aggregate(get_metric("iou")).compute()
    assert math.isnan(summary.mean)
    assert math.isnan(summary.class_mean)
    assert (summary.count, summary.by_class, summary.skipped) == (0, {}, {})


@pytest.mark.parametrize("value", [-0.01, 61.0, math.inf])
def test_a_value_out_of_range_is_an_error(value):
    with pytest.raises(InputError, match=r"dice must be in \[0, 1\]; received"):
        Aggregate(get_metric("dice")).update(value)
