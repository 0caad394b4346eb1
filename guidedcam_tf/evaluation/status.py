"""How far a run has come."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.evaluation.work.lock import holder
from guidedcam_tf.evaluation.work.units import Shards
from guidedcam_tf.evaluation.work.units import Unit
from guidedcam_tf.files import writing
from guidedcam_tf.storage import reason


@dataclass(frozen=True)
class Status:
    """A run's units.

    Attributes:
        done: Those whose shards are there.
        missing: Those not yet computed, without those that failed.
        failed: Those that failed when they were last tried, with the error's line.
        holder: Which process works on the run, or `None`.
    """

    done: tuple[Unit, ...]
    missing: tuple[Unit, ...]
    failed: tuple[tuple[Unit, str], ...]
    holder: str | None

    def lines(self) -> list[str]:
        """Say it in words: a line of counts, and one for each unit that failed."""
        total = len(self.done) + len(self.missing) + len(self.failed)
        counts = f"{len(self.done)} of {total} units done, {len(self.missing)} missing, "
        counts += f"{len(self.failed)} failed"
        if self.holder:
            counts += f"; {self.holder} works on it"
        return [counts] + [
            f"unit {unit.name} ({', '.join(unit.methods)}) failed: {line}"
            for unit, line in self.failed
        ]


def write_plan(folder: Path, units: Sequence[Unit]) -> None:
    """Write which units a run has, `units.csv`."""
    with (
        writing(folder / "units.csv") as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("chunk", "group", "methods"))
        writer.writerows((unit.chunk, unit.group, *unit.methods) for unit in units)


def status(folder: Path) -> Status:
    """Return how far a run has come, also while it is worked on.

    Raises:
        InputError: If the folder holds no run.
    """
    try:
        with (folder / "units.csv").open(newline="", encoding="utf-8") as file:
            lines = list(csv.reader(file))[1:]
        units = [Unit(int(chunk), int(group), tuple(methods)) for chunk, group, *methods in lines]
    except OSError as error:
        raise InputError(f"{folder} holds no run of guidedcam evaluate: {reason(error)}") from error
    except (ValueError, csv.Error) as error:
        raise InputError(
            f"{folder / 'units.csv'} cannot be read: {reason_of(error)}; guidedcam evaluate with "
            "the run's configuration writes it again"
        ) from error
    shards = Shards(folder)
    done, errors = shards.done(), shards.failed()
    return Status(
        tuple(unit for unit in units if unit.name in done),
        tuple(unit for unit in units if unit.name not in done and unit.name not in errors),
        tuple(
            (unit, errors[unit.name])
            for unit in units
            if unit.name in errors and unit.name not in done
        ),
        holder(folder),
    )
