"""This process: a loop over the units that are missing."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from collections.abc import Sequence

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import ExecutorConfig
from guidedcam_tf.evaluation.executors import Result
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.evaluation.units import Failure
from guidedcam_tf.evaluation.units import Unit
from guidedcam_tf.evaluation.worker import Worker


def execute(job: Job, units: Sequence[Unit], config: ExecutorConfig) -> Iterator[Result]:
    """Compute the units one after the other."""
    worker = Worker(job)
    for unit, then in zip(units, [*units[1:], None], strict=True):
        try:
            yield unit, worker.compute(unit, then)
        except InputError:
            raise
        except Exception as error:
            yield unit, Failure(f"{type(error).__name__}: {error}", traceback.format_exc())
