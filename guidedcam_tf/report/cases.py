"""The best and the worst cases of each method of a run, and one picture by all its methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd

from guidedcam_tf.figures import style
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.progress import progress
from guidedcam_tf.report.painting import Painter
from guidedcam_tf.report.parts import Case
from guidedcam_tf.report.parts import Cases

CASE_METRICS = ("dice", "iou", "saliency_drop", "pointing_game")
"""What makes a case a good or a bad one, the first of these that the run has."""


def find_cases(
    rows: pd.DataFrame, metric: str, count: int, painter: Painter | None
) -> tuple[Cases, ...]:
    """Return each method's best and worst cases.

    Args:
        rows: A run's rows without matched areas.
        metric: What the cases are chosen by.
        count: How many best and how many worst ones.
        painter: What draws them.
    """
    measured = rows[(rows["metric"] == metric) & rows["value"].notna()]
    found = []
    for method, mine in progress(list(measured.groupby("method", sort=False)), "drawing cases"):
        ascending = not metric_of(metric).higher_is_better
        ranked = mine.sort_values(
            ["value", "image", "target"], ascending=[ascending, True, True], kind="stable"
        )
        records = ranked.to_dict("records")
        best = records[:count]
        worst = [record for record in records[::-1][:count] if record not in best]
        parts = [tuple(_case(record, painter) for record in part) for part in (best, worst)]
        found.append(Cases(str(method), style.method_title(str(method)), *parts))
    return tuple(found)


def compare_methods(rows: pd.DataFrame, metric: str, painter: Painter) -> tuple[Case, ...]:
    """Return one picture with its object, then the map of each method over it.

    It is the case that most methods measured, and among these the one in which they differ most.

    Args:
        rows: A run's rows without matched areas.
        metric: What they differ in.
        painter: What draws them.
    """
    measured = rows[(rows["metric"] == metric) & rows["value"].notna()]
    cases = measured.groupby(["image", "class_name", "target"])["value"]
    spread = cases.agg(lambda values: values.max() - values.min())
    order = pd.DataFrame({"count": cases.count(), "spread": spread})
    if order.empty or order["count"].max() < 2:
        return ()
    chosen = order.sort_values(["count", "spread"], ascending=False, kind="stable").index[0]
    picked = measured.set_index(["image", "class_name", "target"]).loc[[chosen]].reset_index()
    records: Sequence[dict[Any, Any]] = picked.to_dict("records")
    first = painter.picture(records[0])
    if first is None:
        return ()
    return (
        Case(f"{records[0]['image']}, {_class_name(records[0])}", first),
        *(
            Case(
                f"{style.method_title(record['method'])}: {record['value']:.4f}",
                painter.map(record),
            )
            for record in records
        ),
    )


def _case(record: dict[Any, Any], painter: Painter | None) -> Case:
    """A case with the map over its picture and the picture alone, for a slider between them."""
    over, under = (painter.map(record), painter.picture(record)) if painter else (None, None)
    return Case(_caption(record), over, under, _class_name(record))


def _caption(record: dict[Any, Any]) -> str:
    return f"{record['image']}, {_class_name(record)}: {record['value']:.4f}"


def _class_name(record: dict[Any, Any]) -> str:
    return record["class_name"] or f"class {record['target']}"
