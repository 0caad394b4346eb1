"""This process: a loop over the units that are missing.

A picture may end the process that reads it. What is under way is noted in the run's folder, and a
run that finds such a note computes these units in a process apart (`evaluation/work/apart.py`).
"""

from __future__ import annotations

from collections.abc import Iterator

from guidedcam_tf.evaluation.work.apart import compute_apart
from guidedcam_tf.evaluation.work.executors import Result
from guidedcam_tf.evaluation.work.executors import Work
from guidedcam_tf.evaluation.work.worker import Worker
from guidedcam_tf.files import writing

NOTE = "under_way.txt"
"""The numbers of the chunks that are being read or computed, until the run is done or stopped."""


def execute(work: Work) -> Iterator[Result]:
    """Compute the units one after the other."""
    note = work.folder / NOTE
    suspects = set(note.read_text("utf-8").split()) if note.exists() else set()
    suspected = [unit for unit in work.units if str(unit.chunk) in suspects]
    if suspected:
        yield from compute_apart(work.job, suspected)
    units = [unit for unit in work.units if unit not in suspected]
    worker, noted = Worker(work.job), ""
    try:
        for unit, then in zip(units, [*units[1:], None][: len(units)], strict=True):
            under_way = f"{unit.chunk} {(then or unit).chunk}"
            if under_way != noted:
                with writing(note) as temporary:
                    temporary.write_text(under_way, "utf-8")
                noted = under_way
            yield unit, worker.compute(unit, then)
    finally:
        note.unlink(missing_ok=True)
