"""Computing units in a process apart, which a picture may end without harm to the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from collections.abc import Sequence
from multiprocessing.connection import Connection
from multiprocessing.connection import Pipe

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.evaluation.job import open_job
from guidedcam_tf.evaluation.work.queueing import Died
from guidedcam_tf.evaluation.work.queueing import Outcome
from guidedcam_tf.evaluation.work.queueing import Queue
from guidedcam_tf.evaluation.work.queueing import Task
from guidedcam_tf.evaluation.work.units import Failure
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Unit
from guidedcam_tf.evaluation.work.worker import Worker


class Apart:
    """A process with the job's network open.

    Args:
        job: The run.
    """

    def __init__(self, job: Job) -> None:
        self._pipe, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        self._pipe.send((job.config, job.limit))

    def compute(self, task: Task) -> Outcome:
        """Compute a task; the outcome is `Died` if the process ends of it.

        Raises:
            InputError: If the job itself is at fault.
        """
        try:
            self._pipe.send((task.unit, task.without))
            outcome: Outcome | InputError = self._pipe.recv()
        except (EOFError, OSError):
            return Died(f"the process ended with {self._process.wait()}")
        if isinstance(outcome, InputError):
            raise outcome
        return outcome

    def close(self) -> None:
        """End the process."""
        self._pipe.close()
        self._process.kill()
        self._process.wait()


def compute_apart(job: Job, units: Sequence[Unit]) -> Iterator[tuple[Unit, Shard | Failure]]:
    """Compute units in processes apart, without the pictures that end them.

    Raises:
        InputError: If the job itself is at fault.
    """
    queue = Queue(units, job.chunk, len(job.data_set), deaths=1)
    apart = Apart(job)
    try:
        while queue:
            for task in queue.take(None, set()):
                outcome = apart.compute(task)
                if isinstance(outcome, Died):
                    apart.close()
                    apart = Apart(job)
                yield from queue.settle(task, outcome)
    finally:
        apart.close()


def _serve(pipe: Connection) -> None:
    """Compute what comes through a pipe until its other end is closed."""
    config, limit = pipe.recv()
    worker: Worker | None = None
    while True:
        try:
            unit, without = pipe.recv()
        except EOFError:
            return
        try:
            worker = worker or Worker(open_job(config, limit))
            pipe.send(worker.compute(unit, without=without))
        except InputError as error:
            pipe.send(error)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # The driver ends this process.
    _serve(Connection(int(sys.argv[1])))
