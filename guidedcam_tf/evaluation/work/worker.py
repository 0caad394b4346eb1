"""Computing units: a pure function of the job and the unit, with what it opened kept at hand."""

from __future__ import annotations

import time
import traceback
from collections.abc import Sequence
from concurrent.futures import Future
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from guidedcam_tf.data.contents import contents_of
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.loading import load
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.evaluation.manifest import made_with
from guidedcam_tf.evaluation.measuring.groups import Group
from guidedcam_tf.evaluation.measuring.pairs import Chunk
from guidedcam_tf.evaluation.measuring.scoring import Scorer
from guidedcam_tf.evaluation.rows import LeftOut
from guidedcam_tf.evaluation.rows import Row
from guidedcam_tf.evaluation.work.units import Failure
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Unit

FAILED = "failed"
"""The reason of a picture that was read and could not be measured."""

DEADLY: Final = "ends the process"
"""The reason of a picture that is left out because a process ended of it."""


@dataclass(frozen=True)
class _Read:
    """The pictures of a chunk, and what their files held when they were read."""

    entries: list[Loaded | Skipped]
    contents: dict[str, str]


class Worker:
    """Computes units one after the other.

    Args:
        job: The run.
        threads: How many read pictures at a time; by default one a processor, at most 8.
    """

    def __init__(self, job: Job, threads: int | None = None) -> None:
        self._job = job
        self._threads = threads
        config = job.config
        self._scorer = Scorer(
            job.explainer, config.protocol, config.chosen_metrics, config.batch_size, job.maker
        )
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="guidedcam-chunk")
        self._reading: dict[tuple[int, frozenset[int]], Future[_Read]] = {}
        self._held: tuple[tuple[int, frozenset[int]], _Read, Chunk | None] | None = None
        self._worked: set[int] = set()
        self._made_with = made_with()

    def compute(
        self, unit: Unit, then: Unit | None = None, without: frozenset[int] = frozenset()
    ) -> Shard | Failure:
        """Compute a unit.

        A picture that fails is left out alone: the others of its chunk are computed one by one. The
        unit fails where its methods or metrics have not worked on any picture yet.

        Args:
            unit: The unit.
            then: What comes next; its pictures are read meanwhile.
            without: The places in the chunk of pictures that end the process that reads them; they
                are left out.

        Raises:
            InputError: If the job itself is at fault.
        """
        try:
            return self._shard(unit, then, without)
        except InputError:
            raise
        except Exception as error:
            line = " ".join(f"{type(error).__name__}: {error}".split())
            return Failure(line, traceback.format_exc())

    def _shard(self, unit: Unit, then: Unit | None, without: frozenset[int]) -> Shard:
        start = time.perf_counter()
        read, chunk = self._chunk(unit.chunk, without)
        entries = read.entries
        if then is not None and then.chunk != unit.chunk:
            self._read(then.chunk, without)
        group = self._job.groups[unit.group]
        failed: list[LeftOut] = []
        try:
            rows = self._scorer.rows(chunk, group) if chunk else []
        except Exception:
            loaded = [entry for entry in entries if isinstance(entry, Loaded)]
            rows, failed = self._one_by_one(unit, group, loaded)
        self._worked.add(unit.group)
        spent = (time.perf_counter() - start) / len(group.methods)
        unread = [
            LeftOut(entry.id, entry.reason, entry.message)
            for entry in entries
            if isinstance(entry, Skipped) and entry.reason != DEADLY and unit.group == 0
        ]
        unread += [
            LeftOut(entry.id, DEADLY, entry.message, ", ".join(group.methods))
            for entry in entries
            if isinstance(entry, Skipped) and entry.reason == DEADLY and group.covers(entry.id)
        ]
        return Shard(
            rows,
            unread + failed,
            dict.fromkeys(group.methods, spent),
            {name: found for name, found in read.contents.items() if group.covers(name)},
            self._made_with,
        )

    def _one_by_one(
        self, unit: Unit, group: Group, pictures: Sequence[Loaded]
    ) -> tuple[list[Row], list[LeftOut]]:
        rows: list[Row] = []
        failed: list[LeftOut] = []
        for picture in pictures:
            try:
                rows += self._scorer.rows(self._scorer.chunk([picture]), group)
            except Exception as error:
                if unit.group not in self._worked and len(failed) == len(pictures) - 1:
                    raise
                line = " ".join(f"{type(error).__name__}: {error}".split())
                failed.append(LeftOut(picture.id, FAILED, line, ", ".join(group.methods)))
        return rows, failed

    def _chunk(self, number: int, without: frozenset[int]) -> tuple[_Read, Chunk | None]:
        """A chunk's pictures, and the network's clean predictions of those that could be read."""
        key = (number, without)
        if self._held is None or self._held[0] != key:
            self._read(number, without)
            read = self._reading.pop(key).result()
            self._reading.clear()
            loaded = [entry for entry in read.entries if isinstance(entry, Loaded)]
            self._held = (key, read, self._scorer.chunk(loaded) if loaded else None)
        return self._held[1], self._held[2]

    def _read(self, number: int, without: frozenset[int]) -> None:
        """Begin to read a chunk's pictures."""
        if (number, without) not in self._reading:
            self._reading[number, without] = self._reader.submit(self._entries, number, without)

    def _entries(self, number: int, without: frozenset[int]) -> _Read:
        size = self._job.chunk
        samples = self._job.data_set.samples[number * size : (number + 1) * size]
        contents = contents_of(samples)
        kept = [sample for place, sample in enumerate(samples) if place not in without]
        found: dict[str, Loaded | Skipped] = {
            entry.id: entry for entry in load(kept, workers=self._threads)
        }
        for sample in samples:
            if sample.id not in found:
                message = f"{sample.picture}: reading or measuring it ends the process"
                found[sample.id] = Skipped(sample.id, DEADLY, message)
        return _Read([found[sample.id] for sample in samples], contents)
