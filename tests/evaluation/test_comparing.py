"""Paired comparisons: by enumeration, against SciPy, and by what is known of their rates."""

import itertools
import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from guidedcam_tf.evaluation.tables.comparing import Differences
from guidedcam_tf.evaluation.tables.comparing import compare
from guidedcam_tf.evaluation.tables.comparing import holm
from guidedcam_tf.evaluation.tables.comparing import indistinguishable
from guidedcam_tf.evaluation.tables.summary import summarise
from guidedcam_tf.evaluation.tables.writing import write_tables


def rows(values, metric="dice"):
    """A picture for each number; a list of numbers is a picture of several pairs."""
    return pd.DataFrame(
        [
            {
                "image": f"p{i}",
                "class_name": f"c{j}",
                "target": j,
                "method": method,
                "metric": metric,
                "area": "",
                "value": value,
                "note": "",
            }
            for method, listed in values.items()
            for i, pairs in enumerate(listed)
            for j, value in enumerate(np.atleast_1d(pairs))
        ]
    )


def compared(values, reference=None, resamples=2000, metric="dice"):
    table = rows(values, metric)
    summary = summarise(table, methods=list(values), resamples=0)
    return compare(table, summary, reference=reference, resamples=resamples)


def test_the_sign_flip_test_is_the_enumeration_of_all_signs(rng):
    sums = rng.normal(0.4, 1, (9, 1))
    observed = abs(sums.sum())
    signs = np.array(list(itertools.product((-1, 1), repeat=9)))
    exact = (np.abs(signs @ sums) >= observed - 1e-12).mean()
    p = Differences(sums, np.ones((9, 1))).sign_flip(20000, 0)[0]
    assert p == pytest.approx(exact, abs=4 * math.sqrt(exact * (1 - exact) / 20000) + 1e-4)


def test_a_test_at_level_alpha_rejects_that_often_where_nothing_differs(rng):
    p = Differences(rng.normal(size=(20, 400)), np.ones((20, 400))).sign_flip(999, 0)
    assert 0.02 < (p <= 0.05).mean() < 0.085


def test_the_interval_is_scipys(rng):
    values = rng.normal(0.3, 1, 40)
    low, high = Differences(values[:, None], np.ones((40, 1))).interval(4000, 0)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=4000, method="percentile", rng=rng)
    assert low[0] == pytest.approx(theirs.confidence_interval.low, abs=0.05)
    assert high[0] == pytest.approx(theirs.confidence_interval.high, abs=0.05)


def test_holm_by_hand():
    # Sorted: 0.01 * 4, 0.02 * 3, 0.03 * 2, 0.5 * 1.
    np.testing.assert_allclose(holm(np.array([0.02, 0.5, 0.01, 0.03])), [0.06, 0.5, 0.04, 0.06])
    np.testing.assert_allclose(holm(np.array([0.9, 0.8])), [1, 1])


def test_differences_are_paired_and_of_the_pairs_that_both_have():
    values = {"a": [0.9, [0.8, 0.6], math.nan], "b": [0.5, [0.7, math.nan], 0.1]}
    (line,) = compared(values, reference="a").itertuples()
    assert (line.method, line.reference, line.pictures) == ("b", "a", 2)
    # (0.5 - 0.9) and (0.7 - 0.8); the other pairs have a value of one method only.
    assert line.difference == pytest.approx(-0.25)


def test_a_small_but_steady_difference_is_told_and_noise_is_not(rng):
    base = rng.uniform(0.2, 0.8, 30)
    values = {
        "best": base,
        "steady": base - 0.01,
        "same": base,
        "noisy": np.clip(base + rng.normal(-0.01, 0.1, 30), 0, 1),
    }
    comparison = compared(values)
    assert set(comparison["reference"]) == {"best"}
    assert indistinguishable(comparison) == {("dice", "", "same"), ("dice", "", "noisy")}
    steady = comparison.set_index("method").loc["steady"]
    assert steady["difference"] == pytest.approx(-0.01)
    assert steady["ci_low"] <= -0.01 + 1e-9 and steady["ci_high"] < 0
    assert steady["p"] <= steady["p_holm"] <= 0.05


def test_the_table_marks_what_is_not_told_from_the_best(rng, tmp_path):
    base = rng.uniform(0.2, 0.8, 30)
    values = {"best": base, "noisy": base - rng.choice([-0.2, 0.201], 30), "worse": base - 0.15}
    table = rows(values)
    summary = summarise(table, methods=list(values), resamples=0)
    write_tables(
        summary, tmp_path, title="", notes=[], comparison=compare(table, summary, resamples=500)
    )
    text = (tmp_path / "table.md").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("| Dice")]
    cells = [cell.strip() for cell in line.split("|")[2:-1]]
    assert ["≈" in cell for cell in cells].count(True) == 1
    assert "≈" not in cells[2]
    assert "≈ is not distinguishable from the best" in text
    assert r"$\approx$" in (tmp_path / "table.tex").read_text()


def test_where_nothing_can_be_compared_there_is_no_line():
    assert compared({"a": [0.5, 0.6]}).empty
    assert compared({"a": [0.5], "b": [0.4]}, reference="c").empty


@pytest.mark.parametrize(("resamples", "told"), [(0, False), (38, False), (39, True)])
def test_with_too_few_resamples_nothing_is_said_to_be_alike(resamples, told):
    """The least p of 38 draws, corrected for two rivals, is 2/39, over 5 %."""
    values = {"a": np.full(30, 0.9), "b": np.full(30, 0.5), "c": np.full(30, 0.1)}
    found = compared(values, resamples=resamples)
    assert not indistinguishable(found)
    assert list(found["p_holm"].notna()) == [told, told]
    assert (found["p_holm"] <= 0.05).all() == told


@pytest.mark.filterwarnings("error")
def test_methods_without_a_common_pair_are_not_compared():
    values = {"a": [0.9, 0.8, np.nan, np.nan], "b": [np.nan, np.nan, 0.5, 0.4], "c": [0.1] * 4}
    found = compared(values).set_index("method")
    assert found.loc["b", "pictures"] == 0
    numbers = ["difference", "ci_low", "ci_high", "p", "p_holm"]
    assert found.loc["b", numbers].isna().all()
    assert found.loc["c", numbers].notna().all()
    assert found.loc["c", "p_holm"] == found.loc["c", "p"]
    assert {method for _, _, method in indistinguishable(compared(values))} <= {"c"}


def test_what_differs_in_the_seventh_digit_only_does_not_differ(rng):
    values = rng.uniform(0.2, 0.8, 40)
    found = compared({"a": values, "b": values - 1e-9, "c": values - 1e-3}).set_index("method")
    assert found.loc["b", ["difference", "p", "p_holm"]].tolist() == [0, 1, 1]
    assert found.loc["c", "p_holm"] < 0.01


def test_pairs_with_an_empty_map_are_counted_where_they_have_no_value_too():
    table = rows({"a": [0.8, 0.8, np.nan, np.nan], "b": [0.9, 0.9, 0.3, 0.0]})
    table.loc[table["value"].isna(), "note"] = "empty map"
    table.loc[table["value"] == 0, "note"] = "empty map"
    summary = summarise(table, methods=["a", "b"], resamples=0).set_index("method")
    assert summary["empty"].to_dict() == {"a": 2, "b": 1}
    assert summary["undefined"].to_dict() == {"a": 2, "b": 0}
