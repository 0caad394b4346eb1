"""Whether methods differ: paired over pictures, because all methods see the same ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

SIGNIFICANCE = 0.05

TIED = 6
"""Digits: methods that are the same map at a layer differ in the seventh."""

BLOCK = 2**22
"""How many random signs are drawn at a time."""


def compare(
    rows: pd.DataFrame,
    summary: pd.DataFrame,
    *,
    reference: str | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare the ranked methods of each metric and area with one of them.

    Args:
        rows: The columns of `rows.Row`.
        summary: What `tables.summarise` made of them.
        reference: The method to compare with; by default the best of each metric and area, the
            first of those that share the first rank.
        resamples: How many times pictures are drawn again for the interval, and signs for the test.
        seed: The seed of the draws; they are the same for every method.

    Returns:
        Columns metric, area, method, reference, difference (the method's mean minus the
        reference's, over the pairs that both have), ci_low, ci_high (the bootstrap 95 % interval
        over pictures), pictures, p (the sign-flip test over pictures that the difference is 0) and
        p_holm (with Holm's correction for the methods of the metric and area; NaN where so few
        resamples could tell none of them from the reference). Without a pair that both have, all
        but pictures are NaN. The reference itself, and a metric that it has no value of, have no
        line.
    """
    found = []
    for (metric, area), lines in summary.groupby(["metric", "area"], sort=False):
        ranked = lines[lines["rank_ours"].notna()]
        best = ranked.loc[ranked["rank_ours"] == 1, "method"]
        against = reference if reference is not None else next(iter(best), None)
        methods = list(ranked["method"])
        if against not in methods or len(methods) < 2:
            continue
        others = [method for method in methods if method != against]
        of_metric = rows[(rows["metric"] == metric) & (rows["area"] == area)]
        compared = _lines(_differences(of_metric, others, str(against)), resamples, seed)
        keys = {"metric": metric, "area": area, "method": others, "reference": against}
        found.append(pd.DataFrame({**keys, **compared}))
    result: pd.DataFrame = (
        pd.concat(found, ignore_index=True) if found else pd.DataFrame(columns=COLUMNS)
    )
    return result


def _lines(differences: Differences, resamples: int, seed: int) -> dict[str, np.ndarray]:
    low, high = differences.interval(resamples, seed)
    p = differences.sign_flip(resamples, seed)
    return {
        "difference": differences.means(),
        "ci_low": low,
        "ci_high": high,
        "pictures": (differences.counts > 0).sum(axis=0),
        "p": p,
        "p_holm": holm(p) if tells(resamples, len(p)) else np.full(len(p), math.nan),
    }


def tells(resamples: int, rivals: int) -> bool:
    """Whether the test can tell so many methods from one: its least p, corrected, is small."""
    return rivals / (resamples + 1) <= SIGNIFICANCE


COLUMNS = (
    *("metric", "area", "method", "reference", "difference"),
    *("ci_low", "ci_high", "pictures", "p", "p_holm"),
)


@dataclass(frozen=True, eq=False)
class Differences:
    """Differences of methods to one of them, picture by picture.

    Attributes:
        sums: The sum over the pairs of each picture, `[pictures, methods]`.
        counts: How many pairs that is.
    """

    sums: np.ndarray
    counts: np.ndarray

    def means(self) -> np.ndarray:
        """The mean difference over pairs, `[methods]`; NaN where there is no pair."""
        return _ratio(self.sums.sum(axis=0), self.counts.sum(axis=0))

    def interval(self, resamples: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The 95 % interval of the mean when pictures are drawn again, each `[methods]`."""
        generator = np.random.default_rng(seed)
        pictures, methods = self.sums.shape
        if not resamples:
            return np.full(methods, math.nan), np.full(methods, math.nan)
        means = []
        for _ in range(resamples):
            times = np.bincount(generator.integers(pictures, size=pictures), minlength=pictures)
            means.append(_ratio(times @ self.sums, times @ self.counts))
        ends = np.full((2, methods), math.nan)
        common = self.counts.any(axis=0)
        if common.any():
            ends[:, common] = np.nanpercentile(np.array(means)[:, common], [2.5, 97.5], axis=0)
        return ends[0], ends[1]

    def sign_flip(self, resamples: int, seed: int) -> np.ndarray:
        """How often a sum at least as far from 0 comes of random signs of the pictures.

        The drawn signs count as one more draw, so that no p is 0 (Phipson and Smyth 2010).
        """
        generator = np.random.default_rng(seed)
        pictures, methods = self.sums.shape
        if not resamples:
            return np.full(methods, math.nan)
        observed = np.abs(self.sums.sum(axis=0))
        slack = 1e-9 * np.abs(self.sums).sum(axis=0)
        reached = np.zeros(methods)
        block = max(1, BLOCK // pictures)
        for start in range(0, resamples, block):
            size = (min(block, resamples - start), pictures)
            signs = 2.0 * generator.integers(2, size=size) - 1
            reached += (np.abs(signs @ self.sums) >= observed - slack).sum(axis=0)
        return np.where(self.counts.any(axis=0), (reached + 1) / (resamples + 1), math.nan)


def _differences(rows: pd.DataFrame, methods: Sequence[str], reference: str) -> Differences:
    """The differences of methods to another on the pairs that both have a value of."""
    keys = ["image", "class_name", "target"]
    defined = rows[rows["value"].notna()]
    wide = defined.pivot(index=keys, columns="method", values="value")
    wide = wide.reindex(columns=[*methods, reference])
    differences = wide[list(methods)].sub(wide[reference], axis=0).round(TIED)
    by_picture = differences.groupby(level="image", sort=True)
    return Differences(
        by_picture.sum(min_count=0).to_numpy(float), by_picture.count().to_numpy(float)
    )


def _ratio(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    result: np.ndarray = np.divide(
        sums, counts, out=np.full(np.shape(sums), math.nan), where=counts > 0
    )
    return result


def holm(p: np.ndarray) -> np.ndarray:
    """Correct p values of one family, NaN left out, by Holm's step-down method (Holm 1979)."""
    order = np.argsort(p, kind="stable")[: np.isfinite(p).sum()]
    steps = (len(order) - np.arange(len(order))) * p[order]
    corrected = np.full(len(p), math.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def indistinguishable(comparison: pd.DataFrame) -> set[tuple[str, str, str]]:
    """The metric, area and method of each line that the test does not tell from the reference."""
    same = comparison[comparison["p_holm"] > SIGNIFICANCE]
    return set(zip(same["metric"], same["area"], same["method"], strict=True))
