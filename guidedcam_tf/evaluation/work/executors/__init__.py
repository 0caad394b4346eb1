"""Executors: who computes a run's units. Each file here is one, by its name.

An executor is a function `execute(work)` that yields each of the units with its `Shard`, or with a
`Failure`, in any order and as they are done. It raises `InputError` where the job itself is at
fault. The driver writes what it yields.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.work.units import Failure
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Unit

if TYPE_CHECKING:
    from guidedcam_tf.evaluation.config import ExecutorConfig
    from guidedcam_tf.evaluation.job import Job

Result = tuple[Unit, Shard | Failure]


@dataclass(frozen=True, eq=False)
class Work:
    """What an executor is given.

    Attributes:
        job: The run.
        units: Those to compute.
        config: How.
        folder: The run's folder, for what must be found again where this process ends.
        show: Called with numbers by name, which the progress bar then shows.
    """

    job: Job
    units: Sequence[Unit]
    config: ExecutorConfig
    folder: Path
    show: Callable[..., None]


Execute = Callable[[Work], Iterator[Result]]


def executor_names() -> list[str]:
    """Return what there is."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def get_executor(name: str) -> Execute:
    """Return an executor by its name, one of `executor_names`.

    Raises:
        InputError: If the package that it needs is missing.
    """
    try:
        execute: Execute = importlib.import_module(f"{__name__}.{name}").execute
    except ModuleNotFoundError as error:
        raise InputError(
            f"executor {name!r} needs the package {error.name!r}; "
            f"pip install 'guidedcam-tf[{name}]' brings it"
        ) from error
    return execute
