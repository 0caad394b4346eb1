"""The order in which processes that may die get units, and how often each is tried."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace

from guidedcam_tf.evaluation.work.units import Failure
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Unit

TRIES = 3
DEATHS = 2
"""How many are blamed on a unit's pictures, which are then tried alone, or on a picture alone:
a process may also end because a node is lost."""


CALL_SECONDS = 0.5
"""How long what is given at a time takes together, where units are shorter: giving costs
milliseconds."""


@dataclass(frozen=True)
class Died:
    """A process ended while it computed, and how."""

    how: str


Outcome = Shard | Failure | Died


@dataclass(frozen=True)
class Task:
    """A unit to compute.

    Attributes:
        unit: The unit.
        without: The places in its chunk of the pictures to leave out.
        tried: How often it failed so far.
        probe: The one picture's place, where it is tried alone.
    """

    unit: Unit
    without: frozenset[int] = frozenset()
    tried: int = 0
    probe: int | None = None


@dataclass
class _Probing:
    """The search for the pictures of a chunk that end a process."""

    left: set[int]
    waiting: list[Task]
    found: set[int] = field(default_factory=set)


class Queue:
    """Tasks by chunk, so that a process can continue with the chunk that it holds.

    Args:
        units: The units.
        size: How many pictures a chunk has.
        pictures: How many there are in all.
        deaths: See `DEATHS`.

    Attributes:
        waiting: The tasks by chunk.
        retried: How often a unit was tried again.
    """

    def __init__(
        self, units: Sequence[Unit], size: int, pictures: int, deaths: int = DEATHS
    ) -> None:
        self.waiting: dict[int, deque[Task]] = {}
        self.retried = 0
        self._deaths = deaths
        self._open = len(units)
        self._seconds: dict[int, float] = {}
        self._size = size
        self._pictures = pictures
        self._probing: dict[int, _Probing] = {}
        self._deadly: dict[int, frozenset[int]] = {}
        for unit in units:
            self._put(Task(unit))

    def __bool__(self) -> bool:
        """Whether a unit has not been settled."""
        return self._open > 0

    def _put(self, task: Task) -> None:
        self.waiting.setdefault(task.unit.chunk, deque()).append(task)

    def take(self, held: int | None, busy: set[int]) -> list[Task]:
        """Return what comes next: of the chunk that is held, or of one that nobody is at.

        That is one task, or several that together take no more than `CALL_SECONDS`. What failed
        before comes alone, so that nothing else is lost if it ends its process.
        """
        tasks = [self._pop(self._next(held, busy))]
        spent = self._expected(tasks[0])
        while self.waiting:
            chunk = self._next(tasks[-1].unit.chunk, busy)
            spent += self._expected(self.waiting[chunk][0])
            if spent > CALL_SECONDS:
                break
            tasks.append(self._pop(chunk))
        return tasks

    def _expected(self, task: Task) -> float:
        """The seconds that a task takes, endless where that is unknown."""
        if task.tried or task.probe is not None:
            return math.inf
        return self._seconds.get(task.unit.group, math.inf)

    def _next(self, held: int | None, busy: set[int]) -> int:
        """The chunk to go on with."""
        chunk = held if held in self.waiting else None
        if chunk is None:
            chunk = next((each for each in self.waiting if each not in busy), None)
        if chunk is None:
            chunk = next(iter(self.waiting))
        return chunk

    def _pop(self, chunk: int) -> Task:
        tasks = self.waiting[chunk]
        task = tasks.popleft()
        if not tasks:
            del self.waiting[chunk]
        without = self._deadly.get(chunk, frozenset())
        return task if task.probe is not None else replace(task, without=without)

    def settle(self, task: Task, outcome: Outcome) -> Iterator[tuple[Unit, Shard | Failure]]:
        """Record the outcome of a task, and yield its unit if that is settled."""
        if task.probe is not None:
            self._settle_probe(task, outcome)
        elif isinstance(outcome, Shard):
            self._open -= 1
            self._seconds[task.unit.group] = sum(outcome.seconds.values())
            yield task.unit, outcome
        elif task.unit.chunk not in self._deadly and self._died(task, outcome):
            self.retried += 1
            self._probe(task)
        elif task.tried + 1 < TRIES:
            self.retried += 1
            self._put(replace(task, tried=task.tried + 1))
        else:
            self._open -= 1
            if isinstance(outcome, Died):
                outcome = Failure(f"its process ended: {outcome.how}")
            yield task.unit, outcome

    def _died(self, task: Task, outcome: Outcome) -> bool:
        return isinstance(outcome, Died) and task.tried + 1 >= self._deaths

    def _probe(self, task: Task) -> None:
        """Have each picture of a task's chunk tried alone; the chunk's units wait for that."""
        chunk = task.unit.chunk
        if chunk in self._probing:
            self._probing[chunk].waiting.append(task)
            return
        places = frozenset(range(min(self._size, self._pictures - chunk * self._size)))
        # The chunk's other units would end of the same picture.
        self._probing[chunk] = _Probing(set(places), [task, *self.waiting.pop(chunk, ())])
        for place in sorted(places):
            self._put(Task(task.unit, places - {place}, 0, place))

    def _settle_probe(self, task: Task, outcome: Outcome) -> None:
        probing = self._probing[task.unit.chunk]
        if isinstance(outcome, Died):
            if not self._died(task, outcome):
                self._put(replace(task, tried=task.tried + 1))
                return
            probing.found.add(task.probe or 0)
        probing.left.discard(task.probe or 0)
        if not probing.left:
            self._deadly[task.unit.chunk] = frozenset(probing.found)
            for waiting in probing.waiting:
                self._put(replace(waiting, tried=0))
            del self._probing[task.unit.chunk]
