"""The tables of a report, from a run's summary and from a figure's numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd

from guidedcam_tf.evaluation.tables.comparing import SIGNIFICANCE
from guidedcam_tf.evaluation.tables.comparing import compare
from guidedcam_tf.evaluation.tables.writing import percent
from guidedcam_tf.figures import style
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.report.parts import Cell
from guidedcam_tf.report.parts import Differences
from guidedcam_tf.report.parts import Table

MARKS = {1.0: "best", 2.0: "second"}
"""What a rank is shown as, where one method has it alone."""


def tables_by_area(summary: pd.DataFrame) -> tuple[Table, ...]:
    """A table for each area: methods down, metrics across, so that each metric sorts methods."""
    tables = []
    for area, group in summary.groupby(summary["area"].fillna("")):
        names = list(dict.fromkeys(group["metric"]))
        header = ["method"]
        for name in names:
            header.append(f"{metric_of(name).title} {metric_of(name).arrow}")
        lines = _lines_of_methods(group, names, partial(_cell, group=group))
        caption = f"Masks of {percent(area)} of the picture" if area != "" else "All metrics"
        tables.append(Table(caption, tuple(header), lines))
    return tuple(tables)


def _lines_of_methods(
    group: pd.DataFrame, names: Sequence[str], cell_of: Callable[[pd.Series], Cell]
) -> tuple[tuple[Cell, ...], ...]:
    """A line for each method: its title, then a cell for each metric's record, or a dash."""
    lines = []
    for method, mine in group.groupby("method", sort=False):
        records = {record["metric"]: record for _, record in mine.iterrows()}
        cells = [cell_of(records[name]) if name in records else Cell("-", "") for name in names]
        title = Cell(style.method_title(str(method)), str(method))
        lines.append(tuple(replace(cell, method=str(method)) for cell in (title, *cells)))
    return tuple(lines)


def _cell(record: pd.Series, group: pd.DataFrame) -> Cell:
    value = float(record["ours"])
    if math.isnan(value):
        return Cell("-", "")
    text = f"{value:.4f}"
    if not math.isnan(float(record["ci_low"])):
        text += f"\n[{record['ci_low']:.3f}, {record['ci_high']:.3f}]"
    if record["pairs"] < group[group["metric"] == record["metric"]]["pairs"].max():
        text += f"\n{record['pairs']:.0f} pairs"
    if not math.isnan(float(record["paper"])):
        text += f"\npaper {record['paper']:.4f}"
    rivals = group[group["metric"] == record["metric"]]["rank_ours"]
    mark = MARKS.get(float(record["rank_ours"]), "")
    tied = (rivals == record["rank_ours"]).sum() > 1
    return Cell(text, value, "tied" if mark and tied else mark)


def tables_by_class(classes: pd.DataFrame, names: Collection[str]) -> tuple[Table, ...]:
    """A table for each metric without a matched area: classes down, methods across.

    Lines are filtered by `names`: `crane (134)` and `crane (517)` are both a crane's.
    """
    tables = []
    for name, group in classes[classes["area"].fillna("") == ""].groupby("metric", sort=False):
        methods = list(dict.fromkeys(group["method"]))
        means, counts = (
            group.pivot(index="class_name", columns="method", values=column)[methods]
            for column in ("mean", "pairs")
        )
        lines = []
        for label, values, pairs in zip(
            means.index, means.to_numpy(float), counts.to_numpy(float), strict=True
        ):
            count = float(np.nanmax(pairs))
            line = [Cell(str(label), str(label)), Cell(f"{count:.0f}", count)]
            for method, value, own in zip(methods, map(float, values), pairs, strict=True):
                known = not math.isnan(value)
                fewer = f"\n{own:.0f} pairs" if own < count else ""
                cell = Cell(f"{value:.4f}{fewer}", value) if known else Cell("-", "")
                line.append(replace(cell, method=method))
            class_name = str(label) if label in names else str(label).rpartition(" (")[0]
            lines.append(tuple(replace(cell, class_name=class_name) for cell in line))
        header = ("class", "pairs", *map(style.method_title, methods))
        title = f"{metric_of(str(name)).title} {metric_of(str(name)).arrow} by class"
        tables.append(Table(title, header, tuple(lines), ("", "", *methods)))
    return tuple(tables)


def differences_to_each(
    rows: pd.DataFrame, summary: pd.DataFrame, resamples: int, seed: int
) -> tuple[Differences, ...]:
    """The paired differences of all methods to each of them, without matched areas."""
    rows = rows[rows["area"] == ""]
    summary = summary[summary["area"].fillna("") == ""].assign(area="")
    found = []
    for method in dict.fromkeys(summary["method"]):
        compared = compare(rows, summary, reference=method, resamples=resamples, seed=seed)
        if compared.empty:
            continue
        names = list(dict.fromkeys(compared["metric"]))
        header = ("method", *(f"{metric_of(n).title} {metric_of(n).arrow}" for n in names))
        lines = _lines_of_methods(compared, names, _difference)
        title = style.method_title(str(method))
        table = Table(f"Minus {title}, on the same pairs", header, lines)
        found.append(Differences(title, table))
    return tuple(found)


def _difference(record: pd.Series) -> Cell:
    value = float(record["difference"])
    if math.isnan(value):
        return Cell("-", "")
    text = f"{value:+.4f}"
    if not math.isnan(float(record["ci_low"])):
        text += f"\n[{record['ci_low']:+.3f}, {record['ci_high']:+.3f}]"
    if not math.isnan(float(record["p_holm"])):
        text += f"\np {record['p_holm']:.3f}"
    return Cell(text, value, "alike" if record["p_holm"] > SIGNIFICANCE else "")


def plain_table(caption: str, frame: pd.DataFrame) -> Table:
    """A table of a data frame as it is."""
    lines = tuple(
        tuple(
            Cell("-" if math.isnan(v) else f"{v:.4g}", float(v))
            if isinstance(v, (float, np.floating))
            else Cell(str(v), _key(v))
            for v in line
        )
        for line in frame.itertuples(index=False)
    )
    return Table(caption, tuple(str(name).replace("_", " ") for name in frame.columns), lines)


def _key(value: object) -> str | float:
    plain = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return float(value) if plain else str(value)  # type: ignore[arg-type]
