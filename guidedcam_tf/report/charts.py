"""Charts of a run: bars with intervals, and lines over the mask's area."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd

from guidedcam_tf.evaluation.tables.writing import percent
from guidedcam_tf.figures import style
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.report.parts import Bar
from guidedcam_tf.report.parts import Bars
from guidedcam_tf.report.parts import Line
from guidedcam_tf.report.parts import Lines

WIDTH, HEIGHT = 300, 160
"""Of the lines' chart, in the units of its points."""


def bars_of(summary: pd.DataFrame) -> tuple[Bars, ...]:
    """A chart for each metric without a matched area; the scale begins at 0."""
    charts = []
    plain = summary[summary["area"].fillna("") == ""]
    for name, group in plain.groupby("metric", sort=False):
        found = group[group["ours"].notna()]
        if found.empty:
            continue
        ends = found[["ours", "ci_low", "ci_high"]]
        low, high = min(0.0, float(ends.min().min())), max(0.0, float(ends.max().max()))
        scale = 100 / ((high - low) or 1)
        bars = tuple(_bar(record, low, scale) for record in found.to_dict("records"))
        charts.append(Bars(_title(str(name)), bars))
    return tuple(charts)


def _bar(record: dict[Any, Any], low: float, scale: float) -> Bar:
    value, ends = record["ours"], (record["ci_low"], record["ci_high"])
    text = f"{value:.3f}"
    known = not math.isnan(ends[0])
    if known:
        text += f" [{ends[0]:.3f}, {ends[1]:.3f}]"
    return Bar(
        str(record["method"]),
        style.method_title(str(record["method"])),
        text,
        scale * (min(value, 0) - low),
        scale * abs(value),
        scale * (ends[0] - low) if known else None,
        scale * (ends[1] - ends[0]) if known else 0,
    )


def lines_of(summary: pd.DataFrame) -> tuple[Lines, ...]:
    """A chart for each metric that was made at two matched areas or more."""
    charts = []
    matched = summary[(summary["area"].fillna("") != "") & summary["ours"].notna()]
    order = list(dict.fromkeys(summary["method"]))
    for name, group in matched.groupby("metric", sort=False):
        areas = sorted({float(area) for area in group["area"]})
        if len(areas) < 2:
            continue
        low, high = float(group["ours"].min()), float(group["ours"].max())
        lines = tuple(
            _line(str(method), mine, areas, (low, high), order.index(method))
            for method, mine in group.groupby("method", sort=False)
        )
        marks = tuple((_across(area, areas), percent(area)) for area in areas)
        charts.append(Lines(_title(str(name)), lines, marks, (f"{low:.3f}", f"{high:.3f}")))
    return tuple(charts)


def _line(
    method: str, mine: pd.DataFrame, areas: list[float], ends: tuple[float, float], place: int
) -> Line:
    low, high = ends
    points = sorted(zip(mine["area"].astype(float), mine["ours"], strict=True))
    heights = [HEIGHT * (high - value) / ((high - low) or 1) for _, value in points]
    joined = " ".join(
        f"{_across(area, areas):.1f},{height:.1f}"
        for (area, _), height in zip(points, heights, strict=True)
    )
    look = style.line(place)
    return Line(
        method, style.method_title(method), joined, look["color"], DASHES[look["linestyle"]]
    )


DASHES = {
    "-": "",
    "--": "6 3",
    "-.": "6 2 1 2",
    ":": "1 3",
    (0, (5, 1)): "9 2",
    (0, (3, 1, 1, 1)): "5 2 2 2",
}
"""Matplotlib's line styles as SVG's."""


def _across(area: float, areas: list[float]) -> float:
    return WIDTH * (area - areas[0]) / (areas[-1] - areas[0])


def _title(name: str) -> str:
    return f"{metric_of(name).title} {metric_of(name).arrow}"
