"""What a run finds: rows of numbers, and pictures that gave none."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from guidedcam_tf.evaluation.run_files import read_table

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Row:
    """One number: a metric of a method's map of one class of one picture.

    Attributes:
        image: The picture's name in its data set.
        class_name: The class or object that was explained.
        target: The class index; `None` where no class stands for the object.
        method: The method's label.
        metric: The metric's label.
        area: The share of the picture for an area-matched metric, else empty.
        value: The number; NaN where the metric is not defined.
        note: The reason of a NaN, or a remark such as `"empty map"`.
    """

    image: str
    class_name: str
    target: int | None
    method: str
    metric: str
    area: str
    value: float
    note: str


@dataclass(frozen=True)
class LeftOut:
    """A picture without rows.

    Attributes:
        image: The picture's name in its data set.
        reason: The kind of fault; runs count by it.
        message: The fault itself.
        methods: The methods that have no rows of it, with commas; empty for all.
    """

    image: str
    reason: str
    message: str
    methods: str = ""


EMPTY_MAP = "empty map"
"""The note of a pair whose map is zero everywhere: nothing in the picture supports the class."""

ROW_HEADER = tuple(field.name for field in fields(Row))
LEFT_OUT_HEADER = tuple(field.name for field in fields(LeftOut))


def read_rows(folder: Path) -> pd.DataFrame:
    """Read a run's rows, texts as texts."""
    return read_table(folder / "rows.csv", target="Int64")


def read_left_out(folder: Path) -> pd.DataFrame:
    """Read which pictures of a run gave no rows."""
    return read_table(folder / "skipped.csv", column="image")
