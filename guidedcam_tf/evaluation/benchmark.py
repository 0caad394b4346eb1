"""What explaining costs, as a ratio to the network's plain forward pass.

Both are timed in turns in one run, so that a machine that slows down slows both; the ratio of a
round is taken within the round, and the median over rounds is reported.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from guidedcam_tf.explainer import Explainer
from guidedcam_tf.progress import progress

SEVERAL_TARGETS = 10
FREE_SIDE = 224
"""The side of the pictures for a network that takes any size."""

ONE_PASS = ("guided", "gradcam")


@dataclass(frozen=True)
class Row:
    """One line of the benchmark.

    Attributes:
        what: What was timed.
        ratio: Its time in forward passes of the same pictures, the median over rounds.
        target: What the ratio should be at most.
        seconds: Its median time.
        forward_seconds: The forward pass's median time.
    """

    what: str
    ratio: float
    target: float
    seconds: float
    forward_seconds: float


def run_benchmark(model: str, *, layer: str | None, pictures: int, rounds: int) -> list[Row]:
    """Time the rows of the speed table.

    Everything is timed from a NumPy batch at the network's size to a NumPy result.

    Args:
        model: A network by name.
        layer: The layer; by default the network's own.
        pictures: How many pictures the batch has.
        rounds: How often each row is timed after a warm-up.

    Returns:
        The rows, in the order of the table.
    """
    explainer = Explainer(model, layer=layer, weights=None)
    generator = np.random.default_rng(0)
    height, width = (side or FREE_SIDE for side in explainer.network.input_size)
    size = (pictures, height, width, explainer.network.channels or 3)
    batch = generator.uniform(0, 255, size).astype(np.float32)
    one = batch[:1]
    count = min(SEVERAL_TARGETS, len(explainer.network.classes.names))
    several = np.arange(count)[None]

    def forward(images: np.ndarray) -> Callable[[], object]:
        return lambda: explainer.forward(images).numpy()

    jobs: list[tuple[str, float, Callable[[], object], Callable[[], object]]] = [
        *(
            (
                f"{method}, {pictures} pictures",
                1.05,
                lambda method=method: explainer.maps(batch, method=method, batch_size=pictures),
                forward(batch),
            )
            for method in ONE_PASS
        ),
        ("guided, one picture", 1.15, lambda: explainer.maps(one), forward(one)),
        (
            f"guided, one picture, {count} targets",
            1 + 0.02 * count,
            lambda: explainer.maps(one, several),
            forward(one),
        ),
    ]
    steps = progress(jobs, "timing", total=len(jobs))
    return [_compare(*job, rounds=rounds) for job in steps]


def _compare(
    what: str,
    target: float,
    job: Callable[[], object],
    forward: Callable[[], object],
    *,
    rounds: int,
) -> Row:
    for warm_up in (job, forward, job, forward):
        warm_up()
    times = [(_seconds(job), _seconds(forward)) for _ in range(rounds)]
    return Row(
        what,
        ratio=median(job / forward for job, forward in times),
        target=target,
        seconds=median(job for job, _ in times),
        forward_seconds=median(forward for _, forward in times),
    )


def _seconds(job: Callable[[], object]) -> float:
    start = time.perf_counter()
    job()
    return time.perf_counter() - start
