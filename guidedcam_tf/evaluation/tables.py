"""From a run's rows to its tables: CSV, Markdown and LaTeX, with the paper's values beside ours.

Everything here is a function of `rows.csv` and the configuration alone, so that a run that was
interrupted ends with the same tables, byte for byte, as one that was not.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from guidedcam_tf.evaluation.paper import PaperValues
from guidedcam_tf.evaluation.rows import EMPTY_MAP
from guidedcam_tf.files import writing
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
    names = list(METRICS)
    order = {label: names.index(metric_of(label).name) for label in table["metric"].unique()}
    return table.sort_values(
        ["area", "metric"], key=lambda c: c.map(order) if c.name == "metric" else c, kind="stable"
    ).reset_index(drop=True)


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
        "empty": summary.noted.get(EMPTY_MAP, 0),
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
    return signed.groupby(groups).rank(method="min")


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


def write_tables(summary: pd.DataFrame, folder: Path, *, title: str, notes: Sequence[str]) -> None:
    """Write `table.csv`, `table.md` and `table.tex`, each whole or not at all."""
    with writing(folder / "table.csv") as temporary:
        summary.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    with writing(folder / "table.md") as temporary:
        temporary.write_text(_markdown(summary, title, notes), "utf-8")
    with writing(folder / "table.tex") as temporary:
        temporary.write_text(_latex(summary, title), "utf-8")


def _markdown(summary: pd.DataFrame, title: str, notes: Sequence[str]) -> str:
    grid = _grid(summary, bold="**{}**", underline="<u>{}</u>", paper="{ours}<br>*{paper}*")
    parts = [f"# {title}", grid.to_markdown(disable_numparse=True)]
    legend = "Best bold, second underlined"
    legend += "; in italics the paper's value." if summary["paper"].notna().any() else "."
    rho = correlations(summary)
    if rho:
        listed = ", ".join(f"{metric_of(name).title} {value:+.2f}" for name, value in rho.items())
        parts.append(f"Spearman's correlation of the ranking with the paper's: {listed}.")
    parts += [legend, *(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _latex(summary: pd.DataFrame, title: str) -> str:
    grid = _grid(
        summary,
        bold=r"\textbf{{{}}}",
        underline=r"\underline{{{}}}",
        paper=r"{ours} \emph{{({paper})}}",
    )
    grid = grid.rename(
        index=lambda text: (
            text.replace("↑", r"$\uparrow$").replace("↓", r"$\downarrow$").replace("%", r"\%")
        ),
        columns=lambda text: text.replace("_", r"\_"),
    )
    return grid.style.to_latex(hrules=True, caption=title)


def _grid(summary: pd.DataFrame, *, bold: str, underline: str, paper: str) -> pd.DataFrame:
    """Metrics down, methods across, each cell as text."""
    cells: dict[str, dict[str, str]] = {}
    lines: list[dict[Any, Any]] = summary.to_dict("records")
    for line in lines:
        area = f", {float(line['area']):.0%} of the area" if line["area"] else ""
        row = f"{metric_of(line['metric']).title}{area} {line['arrow']}"
        text = "-" if math.isnan(line["ours"]) else f"{line['ours']:.{DIGITS}f}"
        style = {1: bold, 2: underline}.get(line["rank_ours"], "{}")
        text = style.format(text)
        if not math.isnan(line["paper"]):
            text = paper.format(ours=text, paper=f"{line['paper']:.{DIGITS}f}")
        cells.setdefault(row, {})[line["method"]] = text
    methods = list(dict.fromkeys(summary["method"]))
    return pd.DataFrame.from_dict(cells, orient="index").reindex(columns=methods).fillna("-")
