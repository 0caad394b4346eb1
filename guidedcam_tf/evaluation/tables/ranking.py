"""Mean ranks of methods over pictures, and how far apart two must be to differ.

Source: Demšar 2006, JMLR 7: Friedman's test over all methods, then Nemenyi's critical difference.
"""

from __future__ import annotations

import math
from functools import cache

import pandas as pd
from scipy.stats import friedmanchisquare
from scipy.stats import studentized_range

from guidedcam_tf.evaluation.tables.comparing import SIGNIFICANCE
from guidedcam_tf.evaluation.tables.comparing import TIED
from guidedcam_tf.metrics import metric_of

FEWEST = 3
"""Methods that Friedman's test needs, and pictures that make it worth drawing."""

COLUMNS = ("metric", "area", "method", "mean_rank", "pictures", "friedman_p", "critical_difference")


def mean_ranks(rows: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Rank the methods on each picture, and average the ranks.

    Args:
        rows: The columns of `rows.Row`.
        summary: What `tables.summarise` made of them; its unranked methods are left out.

    Returns:
        The columns `COLUMNS`, the best method of each metric and area first: ranks from 1 for the
        best, ties sharing their mean, over the pictures on which every method has a value; the p
        value of Friedman's test that all methods are alike; and the difference from which two mean
        ranks differ by Nemenyi's test at 5 %. A metric of fewer than three methods or pictures has
        no lines.
    """
    found = []
    for (metric, area), lines in summary.groupby(["metric", "area"], sort=False):
        methods = list(lines.loc[lines["rank_ours"].notna(), "method"])
        of_metric = rows[(rows["metric"] == metric) & (rows["area"] == area)]
        values = _by_picture(of_metric, methods)
        if len(methods) < FEWEST or len(values) < FEWEST:
            continue
        higher = metric_of(str(metric)).higher_is_better
        ranks = values.round(TIED).rank(axis=1, ascending=not higher).mean()
        lines = pd.DataFrame(
            {
                "metric": metric,
                "area": area,
                "method": methods,
                "mean_rank": ranks[methods].to_numpy(),
                "pictures": len(values),
                "friedman_p": _friedman(values.round(TIED)),
                "critical_difference": critical_difference(len(methods), len(values)),
            }
        )
        found.append(lines.sort_values("mean_rank", kind="stable"))
    result: pd.DataFrame = (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)
    )
    return result


def critical_difference(methods: int, pictures: int) -> float:
    """Nemenyi's critical difference of mean ranks at 5 %.

    Example:
        >>> round(critical_difference(4, 14), 2)  # Demšar's example
        1.25
    """
    return _quantile(methods) * math.sqrt(methods * (methods + 1) / (6 * pictures))


@cache
def _quantile(methods: int) -> float:
    """Q of the studentised range for so many methods, over the root of 2."""
    return float(studentized_range.ppf(1 - SIGNIFICANCE, methods, math.inf)) / math.sqrt(2)


def _by_picture(rows: pd.DataFrame, methods: list[str]) -> pd.DataFrame:
    """The mean over the pairs that every method has a value of, pictures down, methods across."""
    keys = ["image", "class_name", "target"]
    wide = rows[rows["method"].isin(methods)].pivot(index=keys, columns="method", values="value")
    result: pd.DataFrame = (
        wide.reindex(columns=methods).dropna().groupby(level="image", sort=True).mean()
    )
    return result


def _friedman(values: pd.DataFrame) -> float:
    """The p value of Friedman's test; 1 where all methods are tied on every picture."""
    if (values.nunique(axis=1) == 1).all():
        return 1.0
    return float(friedmanchisquare(*(values[method] for method in values)).pvalue)


def groups_alike(lines: pd.DataFrame) -> list[tuple[int, int]]:
    """The largest groups of methods that are not told apart, as first and last place.

    Args:
        lines: Those of one metric and area of `mean_ranks`.

    Returns:
        Places among the lines. A method that differs from all others is in no group; where
        Friedman's test tells nothing, all methods are one.
    """
    ranks = lines["mean_rank"].to_list()
    if not lines["friedman_p"].iloc[0] <= SIGNIFICANCE:
        return [(0, len(ranks) - 1)]
    limit = lines["critical_difference"].iloc[0]
    found: list[tuple[int, int]] = []
    for first, rank in enumerate(ranks):
        last = max(at for at, other in enumerate(ranks) if other - rank < limit)
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found
