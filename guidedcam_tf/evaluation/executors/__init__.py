"""Executors: who computes a run's units. Each file here is one, by its name.

An executor is a function `execute(job, units, config)` that yields each of the units with its
`Shard`, or with a `Failure`, in any order and as they are done. It raises `InputError` where the
job itself is at fault. The driver writes what it yields.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from typing import TYPE_CHECKING

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.units import Failure
from guidedcam_tf.evaluation.units import Shard
from guidedcam_tf.evaluation.units import Unit

if TYPE_CHECKING:
    from guidedcam_tf.evaluation.config import ExecutorConfig
    from guidedcam_tf.evaluation.job import Job

Result = tuple[Unit, Shard | Failure]
Execute = Callable[["Job", Sequence[Unit], "ExecutorConfig"], Iterator[Result]]


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
