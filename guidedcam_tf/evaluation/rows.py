"""The rows of a run on disk: appended unit by unit, and never half a unit.

`rows.csv` grows by the rows of one unit of work at a time. `done.json` says how many units are
done and how long the file was after them; it is replaced whole, after the rows are on the disk.
A run that was killed at any moment cuts the file back to that length and goes on.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import astuple
from dataclasses import dataclass
from dataclasses import fields
from pathlib import Path

from guidedcam_tf.files import writing


@dataclass(frozen=True)
class Row:
    """One number: a metric of a method's map of one class of one picture.

    Attributes:
        image: The picture's name in its data set.
        class_name: The class or object that was explained; empty for the clean prediction.
        target: The class index; `None` where no class stands for the object.
        method: The method's name.
        metric: The metric's name.
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


EMPTY_MAP = "empty map"
"""The note of a pair whose map is zero everywhere: nothing in the picture supports the class."""

HEADER = tuple(field.name for field in fields(Row))


class RowFile:
    """The rows of a run, and how far it has come.

    Args:
        folder: The run's folder; what an earlier run left there is gone on with.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "rows.csv"
        self._journal = folder / "done.json"
        self.units_done = 0
        self.seconds: dict[str, float] = {}
        if self._journal.exists() and self.path.exists():
            state = json.loads(self._journal.read_text())
            self.units_done, self.seconds = state["units"], state["seconds"]
            if self.path.stat().st_size > state["bytes"]:
                os.truncate(self.path, state["bytes"])
        else:
            self.path.write_text(_as_csv([HEADER]))

    def append(self, rows: Sequence[Row], seconds: dict[str, float]) -> None:
        """Keep the rows of the next unit of work, and the time that it took by method."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            file.write(_as_csv([astuple(row) for row in rows]))
            file.flush()
            os.fsync(file.fileno())
        self.units_done += 1
        for method, spent in seconds.items():
            self.seconds[method] = self.seconds.get(method, 0.0) + spent
        state = {
            "units": self.units_done,
            "bytes": self.path.stat().st_size,
            "seconds": self.seconds,
        }
        with writing(self._journal) as temporary:
            temporary.write_text(json.dumps(state))


def _as_csv(lines: Sequence[Sequence[object]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(lines)
    return text.getvalue()
