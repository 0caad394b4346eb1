"""From a run's rows to its summary: means, intervals and ranks, with the paper's values beside.

Everything here is a function of `rows.csv` and the configuration alone, so that a run that was
interrupted ends with the same tables, byte for byte, as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from guidedcam_tf.evaluation.rows import EMPTY_MAP
from guidedcam_tf.evaluation.tables.paper import PaperValues
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import Aggregate
from guidedcam_tf.metrics import metric_of

DIGITS = 4


def summarise(
    rows: pd.DataFrame,
    *,
    methods: Sequence[str],
    unranked: Collection[str] = (),
    paper: PaperValues | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Average the rows: one line for each metric, area and method.

    Args:
        rows: The columns of `rows.Row`.
        methods: The order of the methods.
        unranked: Those of them that saw a part of the pictures only, and so get no rank.
        paper: The paper's values, for the metrics without a matched area.
        resamples: How many times pictures are drawn again for the 95 % interval.
        seed: The seed of these draws; the same pictures are drawn for every method.

    Returns:
        Columns metric, arrow, area, method, ours, class_mean, pairs, pictures, undefined, empty,
        ci_low, ci_high, paper, difference, rank_ours, rank_paper. NaN where there is nothing.
    """
    records = []
    for (metric, area), group in rows.groupby(["metric", "area"], sort=False):
        found = [method for method in methods if method in set(group["method"])]
        for method in found:
            mine = group[group["method"] == method]
            records.append(
                {
                    "metric": metric,
                    "arrow": metric_of(str(metric)).arrow,
                    "area": area,
                    "method": method,
                    **_average(str(metric), mine),
                    **_interval(mine, resamples, seed),
                    "paper": (paper or {}).get(str(metric), {}).get(method, math.nan)
                    if not area
                    else math.nan,
                }
            )
    table = pd.DataFrame(records)
    table["difference"] = table["ours"] - table["paper"]
    comparable = ~table["method"].isin(list(unranked))
    table["rank_ours"] = _ranks(table[comparable], "ours")
    table["rank_paper"] = _ranks(table, "paper")
    order = {label: [*METRICS].index(metric_of(label).name) for label in table["metric"].unique()}
    result: pd.DataFrame = table.sort_values(
        ["area", "metric"], key=lambda c: c.map(order) if c.name == "metric" else c, kind="stable"
    ).reset_index(drop=True)
    return result


def by_class(rows: pd.DataFrame, summary: pd.DataFrame) -> pd.DataFrame:
    """Average the rows of each class: columns metric, area, method, class_name, mean, pairs."""
    keys = ["metric", "area", "method", "class_name"]
    means = rows[rows["value"].notna()].groupby(keys)["value"].agg(mean="mean", pairs="count")
    order = summary[["metric", "area", "method"]]
    result: pd.DataFrame = order.merge(
        means.reset_index(), on=["metric", "area", "method"], sort=False
    )
    return result


def told_apart(rows: pd.DataFrame, shared: Collection[str]) -> pd.DataFrame:
    """Put the index behind a name that is several classes: ImageNet's `crane (134)` is a bird.

    Args:
        rows: The columns of `rows.Row`.
        shared: The names of several classes, without those of objects: an object may be explained
            at another class in each picture, and is one.
    """
    apart = rows["class_name"].isin(list(shared)) & rows["target"].notna()
    named = rows.loc[apart, "class_name"] + " (" + rows.loc[apart, "target"].astype("str") + ")"
    return rows.assign(class_name=rows["class_name"].mask(apart, named))


def _average(metric: str, rows: pd.DataFrame) -> dict[str, float]:
    aggregate = Aggregate(metric_of(metric))
    for value, name, note in zip(rows["value"], rows["class_name"], rows["note"], strict=True):
        aggregate.update(float(value), name, note or None)
    summary = aggregate.compute()
    return {
        "ours": summary.mean,
        "class_mean": summary.class_mean,
        "pairs": summary.count,
        "pictures": rows.loc[rows["value"].notna(), "image"].nunique(),
        "undefined": sum(summary.skipped.values()),
        "empty": int((rows["note"] == EMPTY_MAP).sum()),
    }


def _interval(rows: pd.DataFrame, resamples: int, seed: int) -> dict[str, float]:
    """The 95 % interval of the mean when pictures, not pairs, are drawn again."""
    defined = rows[rows["value"].notna()]
    by_picture = defined.groupby("image", sort=True)["value"].agg(["sum", "count"])
    if not resamples or by_picture.empty:
        return {"ci_low": math.nan, "ci_high": math.nan}
    sums, counts = by_picture["sum"].to_numpy(float), by_picture["count"].to_numpy(float)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(sums), size=(resamples, len(sums)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return {"ci_low": float(low), "ci_high": float(high)}


def _ranks(table: pd.DataFrame, values: str) -> pd.Series:
    """1 for the best; equal values, to the printed digits, share the better rank."""
    signs = np.where(table["arrow"] == "↑", -1, 1)
    signed = (table[values].round(DIGITS) * signs).rename("signed")
    groups = [table["metric"], table["area"]]
    result: pd.Series = signed.groupby(groups).rank(method="min")
    return result


def correlations(summary: pd.DataFrame) -> dict[str, float]:
    """Spearman's correlation of our ranking of the methods with the paper's, by metric.

    A metric that has no paper values, or under three ranked methods, or no spread, is left out.
    """
    found = {}
    ranked = summary[summary["paper"].notna() & summary["rank_ours"].notna()]
    for metric, group in ranked.groupby("metric", sort=False):
        if len(group) >= 3 and group["ours"].nunique() > 1 and group["paper"].nunique() > 1:
            found[str(metric)] = float(spearmanr(group["ours"], group["paper"]).statistic)
    return found
