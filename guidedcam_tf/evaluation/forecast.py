"""How long a run would take, from the units of one that was measured."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import median

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.evaluation.config import read_config_of
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.work.units import Shards


@dataclass(frozen=True)
class Forecast:
    """What a run would take.

    Attributes:
        pictures: How many pictures each method is computed on, by its label.
        each: The seconds a picture and method, with its share of the metrics, by its label.
        workers: How many processes share the work.
    """

    pictures: dict[str, int]
    each: dict[str, float]
    workers: int

    @property
    def seconds(self) -> float:
        """The time in all, without the start-up of the workers."""
        return sum(self.pictures[name] * self.each[name] for name in self.each) / self.workers

    def lines(self) -> list[str]:
        """Say it in words: the time in all, and each method's share."""
        took = timedelta(seconds=round(self.seconds))
        return [f"about {took} on {self.workers} workers, and their start-up"] + [
            f"{name}: {self.pictures[name]:,} pictures of {self.each[name]:.3g} s"
            for name in self.each
        ]


def forecast(folder: Path, pictures: int, workers: int = 1) -> Forecast:
    """Forecast a run of the same configuration on other pictures.

    A method's time is the median over the run's units, so that what is compiled once, in the first
    of them, does not count as often as there are pictures.

    Args:
        folder: A run on such processors, with as many threads a worker.
        pictures: How many pictures the other run has.
        workers: How many processes share the work.

    Raises:
        InputError: If the folder holds no run, or none of its units is done.
    """
    done = status(folder).done
    measured: dict[str, list[float]] = defaultdict(list)
    for shard in Shards(folder).read(done):
        images: dict[str, set[str]] = defaultdict(set)
        for row in shard.rows:
            images[row.method].add(row.image)
        for method, found in images.items():
            measured[method].append(shard.seconds[method] / len(found))
    if not measured:
        raise InputError(f"{folder} has no unit that is done; there is nothing to forecast from")
    methods = [each for each in read_config_of(folder).methods if isinstance(each, MethodConfig)]
    parts = {each.label: min(pictures, each.pictures) for each in methods if each.pictures}
    return Forecast(
        {method: parts.get(method, pictures) for method in measured},
        {method: median(times) for method, times in measured.items()},
        workers,
    )
