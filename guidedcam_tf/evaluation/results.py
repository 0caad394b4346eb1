"""A finished run's tables as data frames, for notebooks and further analysis."""

from __future__ import annotations

import os
from functools import cached_property
from html import escape
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run_files import read_manifest
from guidedcam_tf.evaluation.run_files import read_table
from guidedcam_tf.evaluation.tables.writing import percent
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.storage import as_path

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 3


def open_run(folder: str | os.PathLike[str]) -> Run:
    """Open what `guidedcam evaluate` wrote.

    Args:
        folder: The run's folder, such as `runs/NAME`.

    Raises:
        InputError: If the folder has no `table.csv`, or pandas is not installed.
    """
    if find_spec("pandas") is None:
        raise InputError("pandas is missing; pip install 'guidedcam-tf[evaluation]' brings it")
    if not (as_path(folder) / "table.csv").is_file():
        raise InputError(
            f"folder {str(folder)!r} holds no finished run: expected table.csv in it, as "
            "guidedcam evaluate writes it below runs/"
        )
    return Run(as_path(folder))


class Run:
    """A finished evaluation. In a notebook it shows its table.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __repr__(self) -> str:
        methods = ", ".join(dict.fromkeys(self.table["method"]))
        return f"<Run {str(self.folder)!r}: {methods}>"

    @cached_property
    def table(self) -> pd.DataFrame:
        """A line for each metric, area and method; columns as `evaluation.tables.summarise`."""
        return read_table(self.folder / "table.csv")

    @cached_property
    def classes(self) -> pd.DataFrame:
        """Columns metric, area, method, class_name, mean, pairs."""
        return read_table(self.folder / "classes.csv")

    @cached_property
    def comparison(self) -> pd.DataFrame:
        """Paired differences to the best method and to the chosen one, with p values."""
        return read_table(self.folder / "comparison.csv")

    @cached_property
    def rows(self) -> pd.DataFrame:
        """A line for each picture, class, method and metric; columns as `rows.Row`."""
        return read_rows(self.folder)

    @cached_property
    def skipped(self) -> pd.DataFrame:
        """The pictures that gave no rows, with reasons."""
        return read_left_out(self.folder)

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What the run was made with."""
        return read_manifest(self.folder)

    def grid(self) -> pd.DataFrame:
        """Methods down, metrics across; each cell the mean with its 95 % interval as text."""
        lines = self.table.to_dict("records")
        heads = [_head(line) for line in lines]
        cells = self.table.assign(head=heads, text=[_cell(line) for line in lines])
        pivoted = cells.pivot(index="method", columns="head", values="text")
        ordered = pivoted.reindex(
            index=list(dict.fromkeys(cells["method"])), columns=list(dict.fromkeys(heads))
        )
        result: pd.DataFrame = ordered.fillna("-").rename_axis(index=None, columns=None)
        return result

    def _repr_html_(self) -> str:
        html: str = self.grid().to_html()
        return f"<div><strong>{escape(self.folder.name)}</strong>{html}</div>"


def _head(line: dict[Any, Any]) -> str:
    area = f" at {percent(line['area'])}" if line["area"] else ""
    return f"{metric_of(line['metric']).title}{area} {line['arrow']}"


def _cell(line: dict[Any, Any]) -> str:
    if line["ours"] != line["ours"]:
        return "-"
    text = f"{line['ours']:.{DIGITS}f}"
    if line["ci_low"] == line["ci_low"]:
        text += f" [{line['ci_low']:.{DIGITS}f}, {line['ci_high']:.{DIGITS}f}]"
    return text
