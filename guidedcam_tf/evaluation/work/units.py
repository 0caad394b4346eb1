"""The units of work of a run, and the shards of rows that come of them.

A unit is a chunk of the pictures and a group of the methods. Which units a run has is fixed by its
configuration and its list of pictures alone, whoever computes them and in whatever order. Each
unit's shard is written whole or not at all, so a run that was killed at any moment continues with
the units whose shards are missing, and tables are made of the shards in the units' order.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import astuple
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.evaluation.rows import LEFT_OUT_HEADER
from guidedcam_tf.evaluation.rows import ROW_HEADER
from guidedcam_tf.evaluation.rows import LeftOut
from guidedcam_tf.evaluation.rows import Row
from guidedcam_tf.files import writing
from guidedcam_tf.storage import is_remote


@dataclass(frozen=True)
class Unit:
    """A chunk of pictures and a group of methods, by their places from 0."""

    chunk: int
    group: int
    methods: tuple[str, ...]

    @property
    def name(self) -> str:
        """What its shard is called."""
        return f"{self.chunk:06}-{self.group:02}"


@dataclass(frozen=True)
class Shard:
    """What came of a unit.

    Attributes:
        rows: Its rows.
        left_out: Pictures that gave none.
        seconds: The time that it took, by method.
        contents: What `data.contents` says of its pictures, as they were when they were read.
        made_with: What `manifest.made_with` says of the process that computed it.
    """

    rows: list[Row] = field(default_factory=list)
    left_out: list[LeftOut] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)
    contents: dict[str, str] = field(default_factory=dict)
    made_with: str = ""


@dataclass(frozen=True)
class Failure:
    """Why a unit gave no shard: the error's line, and its traceback or what else is known."""

    line: str
    details: str = ""


def plan_units(pictures: int, chunk: int, groups: Sequence[Sequence[str]]) -> tuple[Unit, ...]:
    """Return a run's units in their order.

    Args:
        pictures: How many pictures there are.
        chunk: How many a chunk has.
        groups: The labels of each group's methods.
    """
    return tuple(
        Unit(number, place, tuple(labels))
        for number in range(-(-pictures // chunk))
        for place, labels in enumerate(groups)
    )


class Shards:
    """The shards in a run's folder.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "shards"
        if not is_remote(folder):
            self._folder.mkdir(exist_ok=True)

    def done(self) -> dict[str, dict[str, str]]:
        """The contents of the pictures of each unit whose shard is there and whole, by its name."""
        names = sorted(file.stem for file in self._folder.glob("*.json"))
        shards = ((name, self._shard(name)) for name in names)
        return {name: shard.contents for name, shard in shards if shard is not None}

    def failed(self) -> dict[str, str]:
        """The first line of each error that a unit of this run last ended with, by name."""
        return {
            file.stem: file.read_text("utf-8").partition("\n")[0]
            for file in sorted(self._folder.glob("*.error"))
        }

    def write(self, unit: Unit, result: Shard | Failure) -> None:
        """Keep the outcome of a unit."""
        if isinstance(result, Failure):
            with writing(self._folder / f"{unit.name}.error") as temporary:
                temporary.write_text(f"{result.line}\n{result.details}", "utf-8")
            (self._folder / f"{unit.name}.json").unlink(missing_ok=True)
            return
        with writing(self._folder / f"{unit.name}.json") as temporary:
            temporary.write_text(json.dumps(asdict(result)), "utf-8")
        (self._folder / f"{unit.name}.error").unlink(missing_ok=True)

    def read(self, units: Sequence[Unit]) -> Iterator[Shard]:
        """Read the shards that are there and whole, in the units' order."""
        shards = (self._shard(unit.name) for unit in units)
        return (shard for shard in shards if shard is not None)

    def _shard(self, name: str) -> Shard | None:
        """A unit's shard; `None` where there is none, or a disk or a copy has damaged it."""
        try:
            raw = json.loads((self._folder / f"{name}.json").read_text("utf-8"))
            return Shard(
                [Row(**row) for row in raw["rows"]],
                [LeftOut(**entry) for entry in raw["left_out"]],
                dict(raw["seconds"]),
                dict(raw.get("contents", {})),
                raw.get("made_with", ""),
            )
        except (FileNotFoundError, KeyError, TypeError, ValueError):
            return None


@dataclass(frozen=True)
class Making:
    """How the shards of a run were made.

    Attributes:
        seconds: The time that it took, by method.
        made_with: With what, and how many units each.
    """

    seconds: Counter[str] = field(default_factory=Counter)
    made_with: Counter[str] = field(default_factory=Counter)


def gather(folder: Path, units: Sequence[Unit], skipped: Sequence[Skipped]) -> Making:
    """Write `rows.csv` and `skipped.csv` from the shards, and return how those were made.

    Pictures that were skipped before reading are the first of `skipped.csv`.
    """
    making = Making()
    with (
        writing(folder / "rows.csv") as rows_file,
        writing(folder / "skipped.csv") as left_out_file,
        rows_file.open("w", newline="", encoding="utf-8") as rows,
        left_out_file.open("w", newline="", encoding="utf-8") as left_out,
    ):
        row_writer = csv.writer(rows, lineterminator="\n")
        row_writer.writerow(ROW_HEADER)
        left_out_writer = csv.writer(left_out, lineterminator="\n")
        left_out_writer.writerow(LEFT_OUT_HEADER)
        left_out_writer.writerows(
            astuple(LeftOut(each.id, each.reason, each.message)) for each in skipped
        )
        for shard in Shards(folder).read(units):
            row_writer.writerows(astuple(row) for row in shard.rows)
            left_out_writer.writerows(astuple(entry) for entry in shard.left_out)
            making.seconds.update(shard.seconds)
            making.made_with[shard.made_with] += 1
    return making
