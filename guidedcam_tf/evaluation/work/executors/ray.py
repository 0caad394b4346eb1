"""A Ray cluster: a pool of processes, each with one open network and a bounded number of threads.

Each process is given one unit at a time, or several short ones, of the chunk that it holds if there
is one left. Nothing but these is lost with a process or a node: they go to another. A unit that
ends its process twice has its pictures tried one by one, and is computed without those that do it
alone.
"""

from __future__ import annotations

import logging
import os
import platform
import socket
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
import tensorflow as tf
from ray.exceptions import RayError
from ray.exceptions import RayTaskError

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import ExecutorConfig
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.evaluation.job import open_job
from guidedcam_tf.evaluation.manifest import versions
from guidedcam_tf.evaluation.work.executors import Result
from guidedcam_tf.evaluation.work.executors import Work
from guidedcam_tf.evaluation.work.queueing import TRIES
from guidedcam_tf.evaluation.work.queueing import Died
from guidedcam_tf.evaluation.work.queueing import Outcome
from guidedcam_tf.evaluation.work.queueing import Queue
from guidedcam_tf.evaluation.work.queueing import Task
from guidedcam_tf.evaluation.work.units import Failure
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Unit
from guidedcam_tf.evaluation.work.worker import Worker

KNOCKING_SECONDS = 10

PATIENCE_SECONDS = 60
"""How long to wait for a worker before saying what the cluster has."""


class Computer:
    """The process that computes units.

    Args:
        config: The run's configuration, as `model_dump` gives it.
        limit: Take only this many of the pictures.
        cpus: How many threads it may use.
        folder: The driver's working folder, which relative paths are from.
        versions: The driver's versions, as `manifest.versions` gives them.
    """

    def __init__(
        self,
        config: dict[str, Any],
        limit: int | None,
        cpus: int,
        folder: Path,
        versions: dict[str, str | None],
    ) -> None:
        self._config = config
        self._folder = folder
        self._limit = limit
        self._cpus = cpus
        self._versions = versions
        self._worker: Worker | None = None

    def open(self) -> None:
        """Open the network and the data set.

        Raises:
            InputError: If that is impossible here, or a package has another version.
        """
        if self._worker is not None:
            return
        for package, here in versions().items():
            if here != self._versions[package]:
                raise InputError(
                    f"{platform.node()} has {package} {here} and the driver "
                    f"{self._versions[package]}; install the same on all nodes"
                )
        if self._folder.is_dir():
            os.chdir(self._folder)
        tf.config.threading.set_intra_op_parallelism_threads(self._cpus)
        tf.config.threading.set_inter_op_parallelism_threads(self._cpus)
        job = open_job(EvaluationConfig.model_validate(self._config), self._limit)
        self._worker = Worker(job, self._cpus)

    def compute(self, units: Sequence[tuple[Unit, frozenset[int]]]) -> list[Shard | Failure]:
        """Compute units, each without some pictures; see `Worker.compute`."""
        self.open()
        assert self._worker is not None
        return [self._worker.compute(unit, without=without) for unit, without in units]


class Pool:
    """The processes, and what each is at.

    Args:
        job: The run.
        config: How many processes, with what each.
        units: How many units there are, which is the most that can be at work.
    """

    def __init__(self, job: Job, config: ExecutorConfig, units: int) -> None:
        raw = job.config.model_dump(mode="json")
        made = ray.remote(Computer).options(
            num_cpus=config.cpus_per_worker, num_gpus=config.gpus_per_worker, max_restarts=0
        )
        self._make = lambda: made.remote(
            raw, job.limit, config.cpus_per_worker, Path.cwd(), versions()
        )
        self._at: dict[Any, tuple[Any, list[Task]]] = {}
        self.idle: list[Any] = []
        self.held: dict[Any, int] = {}
        self._deaths = 0
        for _ in range(min(units, config.workers or _room(config))):
            self._start()

    def _start(self) -> None:
        """Start a process; it is idle once its network is open."""
        actor = self._make()
        self._at[actor.open.remote()] = (actor, [])

    @property
    def open(self) -> int:
        """How many have their network open."""
        return len(self.idle) + sum(bool(tasks) for _, tasks in self._at.values())

    def give(self, tasks: list[Task]) -> None:
        """Have an idle process compute tasks."""
        actor = self.idle.pop()
        self.held[actor] = tasks[-1].unit.chunk
        units = [(task.unit, task.without) for task in tasks]
        self._at[actor.compute.remote(units)] = (actor, tasks)

    def results(self) -> Iterator[tuple[Task, Outcome]]:
        """Wait for what is done, and yield each task with its shard or what it ended with.

        Raises:
            InputError: If the job itself is at fault.
        """
        waiting = list(self._at)
        ready, _ = ray.wait(waiting, num_returns=1, timeout=PATIENCE_SECONDS)
        if ready and len(waiting) > 1:
            ready, _ = ray.wait(waiting, num_returns=len(waiting), timeout=0)
        if not ready and not self.idle and not any(tasks for _, tasks in self._at.values()):
            warnings.warn(
                f"no worker has started yet; the cluster has free: {ray.available_resources()}",
                stacklevel=2,
            )
        for reference in ready:
            actor, tasks = self._at.pop(reference)
            outcomes: Sequence[Outcome]
            try:
                outcomes = ray.get(reference) or ()
            except RayTaskError as error:
                raise error.cause from None
            except RayError as error:
                how = " ".join(str(error).split())
                ray.kill(actor)  # What is lost may be its answer alone.
                self.held.pop(actor, None)
                self._deaths += not tasks
                if self._deaths > TRIES:
                    raise InputError(f"workers end while they open the network: {how}") from None
                self._start()
                outcomes = [Died(how)] * len(tasks)
            else:
                self.idle.append(actor)
                self._deaths = 0
            yield from zip(tasks, outcomes, strict=True)


def execute(work: Work) -> Iterator[Result]:
    """Have a cluster compute the units.

    Raises:
        InputError: If the cluster cannot be reached, or the job is at fault.
    """
    queue = Queue(work.units, work.job.chunk, len(work.job.data_set))
    shown: dict[str, int] = {}
    with _connected(work.config.address):
        pool = Pool(work.job, work.config, len(work.units))
        while queue:
            while pool.idle and queue.waiting:
                busy = set(pool.held.values())
                pool.give(queue.take(pool.held.get(pool.idle[-1]), busy))
            for task, outcome in pool.results():
                yield from queue.settle(task, outcome)
            numbers = {"workers": pool.open, "retried": queue.retried}
            if numbers != shown:
                shown = numbers
                work.show(**numbers)


@contextmanager
def _connected(address: str | None) -> Iterator[None]:
    """Connect to a cluster, or start one here; both end with the block."""
    _knock(address)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        ray.init(
            address=address or "local",  # By itself Ray joins any cluster that runs here.
            include_dashboard=None if address else False,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:  # Ray raises bare ones where a node does not start in time.
        reason = " ".join(str(error).split())
        raise InputError(f"Ray cluster {address or 'on this machine'}: {reason}") from error
    try:
        yield
    finally:
        ray.shutdown()


def _knock(address: str | None) -> None:
    """Refuse an address where nothing answers, for which Ray would wait for minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if not (colon and port.isdigit()):
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCKING_SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error)
        raise InputError(f"Ray cluster {address} does not answer: {reason}") from error


def _room(config: ExecutorConfig) -> int:
    """How many processes the cluster has room for."""
    there = ray.cluster_resources()
    room = there.get("CPU", 1) // config.cpus_per_worker
    if config.gpus_per_worker:
        room = min(room, there.get("GPU", 0) // config.gpus_per_worker)
    if room < 1:
        raise InputError(
            f"a worker of {config.cpus_per_worker} CPUs and {config.gpus_per_worker:g} GPUs has no "
            f"room in a cluster of {there.get('CPU', 0):g} CPUs and {there.get('GPU', 0):g} GPUs"
        )
    return int(room)
