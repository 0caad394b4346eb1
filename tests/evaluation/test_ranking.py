"""Mean ranks and critical differences: by hand, and by the values that Demšar prints."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from scipy.special import expit

from guidedcam_tf.evaluation.tables.ranking import critical_difference
from guidedcam_tf.evaluation.tables.ranking import groups_alike
from guidedcam_tf.evaluation.tables.ranking import mean_ranks
from guidedcam_tf.evaluation.tables.summary import summarise
from guidedcam_tf.figures.ranks import draw_ranks
from guidedcam_tf.figures.ranks import write_ranks


def ranked(values, metric="dice", unranked=()):
    """The mean ranks of methods that have a number for each picture, brought into 0..1."""
    rows = pd.DataFrame(
        [
            (f"p{i}", "c", 1, method, metric, "", expit(value), "")
            for method, listed in values.items()
            for i, value in enumerate(listed)
        ],
        columns=["image", "class_name", "target", "method", "metric", "area", "value", "note"],
    )
    return mean_ranks(rows, summarise(rows, methods=list(values), unranked=unranked, resamples=0))


# Demšar 2006, JMLR 7, table 5a: q at 5 % of 2 to 10 classifiers, over the root of 2.
PRINTED = [1.960, 2.343, 2.569, 2.728, 2.850, 2.949, 3.031, 3.102, 3.164]


@pytest.mark.parametrize(("methods", "q"), list(zip(range(2, 11), PRINTED, strict=True)))
def test_the_critical_difference_is_that_of_the_printed_table(methods, q):
    expected = q * math.sqrt(methods * (methods + 1) / (6 * 14))
    assert critical_difference(methods, 14) == pytest.approx(expected, abs=1e-3)


VALUES = {"gradcam": [3, 3, 1, 5], "guided": [2, 3, 4, 7], "xgradcam": [1, 1, 2, math.nan]}


def test_ranks_by_hand():
    """The last picture has no value of one method; the second has a tie."""
    found = ranked(VALUES)
    assert found["method"].to_list() == ["guided", "gradcam", "xgradcam"]
    np.testing.assert_allclose(found["mean_rank"], [4.5 / 3, 5.5 / 3, 8 / 3])
    assert set(found["pictures"]) == {3}
    lower = ranked(VALUES, "saliency_drop")
    assert lower["method"].to_list() == ["xgradcam", "gradcam", "guided"]
    np.testing.assert_allclose(lower["mean_rank"], [4 / 3, 6.5 / 3, 7.5 / 3])


def test_the_p_value_is_friedmans(rng):
    """By the formula for ranks without ties."""
    values = {name: rng.normal(place / 4, 1, 20) for place, name in enumerate("abcd")}
    found = ranked(values)
    statistic = 12 * 20 / (4 * 5) * ((found["mean_rank"] ** 2).sum() - 4 * 5**2 / 4)
    assert found["friedman_p"][0] == pytest.approx(stats.chi2.sf(statistic, 3), rel=1e-6)


def test_methods_that_are_one_map_are_tied(rng):
    """As Grad-CAM and XGrad-CAM at a layer before global pooling."""
    same = rng.uniform(size=9)
    found = ranked({"a": same, "b": same + 1e-9, "c": same - 1e-9})
    np.testing.assert_array_equal(found["mean_rank"], 2.0)
    assert found["friedman_p"][0] == 1
    assert groups_alike(found) == [(0, 2)]


@pytest.mark.parametrize(
    "values",
    [
        {"a": [1, 2, 3], "b": [2, 3, 4]},
        {"a": [1, 2], "b": [2, 3], "c": [3, 4]},
        {"a": [math.nan] * 3, "b": [2, 3, 1], "c": [3, 4, 1]},
    ],
)
def test_too_little_is_not_ranked(values, tmp_path):
    found = ranked(values)
    assert found.empty
    found.to_csv(tmp_path / "ranks.csv", index=False)
    assert write_ranks(tmp_path) is None


def test_a_method_of_a_part_of_the_pictures_is_left_out():
    found = ranked({**VALUES, "rise": [9, math.nan, math.nan, math.nan]}, unranked=["rise"])
    assert found.equals(ranked(VALUES))


def lines(mean_ranks, difference, p=0.01):
    return pd.DataFrame(
        {
            "metric": "dice",
            "area": "",
            "method": ["guided", "gradcam", "xgradcam", "rise", "fem"][: len(mean_ranks)],
            "mean_rank": mean_ranks,
            "pictures": 30,
            "friedman_p": p,
            "critical_difference": difference,
        }
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (lines([1.0, 1.5, 2.2, 4.0, 4.5], 1.0), [(0, 1), (1, 2), (3, 4)]),
        (lines([1.0, 1.5, 1.9, 4.0, 5.0], 1.0), [(0, 2)]),
        (lines([1.0, 3.0, 5.0], 1.0), []),
        (lines([1.0, 3.0, 5.0], 1.0, p=0.2), [(0, 2)]),
    ],
)
def test_bars_are_the_largest_groups(given, expected):
    assert groups_alike(given) == expected


def test_the_diagram_shows_ranks_where_they_are_and_names_every_method(tmp_path):
    given = lines([1.0, 1.5, 2.2, 4.0, 4.5], 1.0)
    (axes,) = draw_ranks(given).axes
    texts = [text.get_text() for text in axes.texts]
    for name in ("Proposed  1.00", "Grad-CAM  1.50", "XGrad-CAM  2.20", "RISE  4.00", "FEM  4.50"):
        assert name in texts
    assert "critical difference 1.00 (Nemenyi, 5 %)" in texts
    assert any("Dice ↑" in text and "30 pictures" in text for text in texts)
    ticks = {t.get_text(): t.get_position()[0] for t in axes.texts if t.get_text().isdigit()}
    unit = ticks["2"] - ticks["1"]
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() == 4]
    ends = [(bar - ticks["1"]) / unit + 1 for bar in bars]
    np.testing.assert_allclose(ends, [[1.0, 1.5], [1.5, 2.2], [4.0, 4.5]], atol=0.06)
    (ruler,) = [
        line.get_xdata()
        for line in axes.lines
        if len(line.get_xdata()) == 2 and np.ptp(line.get_xdata()) == pytest.approx(unit)
    ]
    assert ruler[0] == pytest.approx(ticks["1"])
    given.to_csv(tmp_path / "ranks.csv", index=False)
    assert write_ranks(tmp_path).read_bytes().startswith(b"\x89PNG")
