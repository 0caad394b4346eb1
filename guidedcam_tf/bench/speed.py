"""What explaining costs, as a ratio to the network's plain compiled forward pass.

Both are timed alternating within one run, so that a machine that slows down slows both; the ratio
of a round is taken within the round, and the median over rounds is reported.
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from guidedcam_tf.arrays import check_sees_pictures
from guidedcam_tf.bench.peers import peer_jobs
from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import METHODS
from guidedcam_tf.networks.applications import find_application
from guidedcam_tf.progress import progress

Job = Callable[[], object]

SEVERAL_TARGETS = 10
ONE_PASS = ("guided", "gradcam", "gradcam++", "xgradcam")
PATH_STEPS = 50
MASKS_TOGETHER = 32
FREE_SIDE = 224
"""The side of the pictures for a network that takes any size."""

PEER_TARGETS = {"tf_keras_vis": 10.0, "tf_explain": 10.0, "xplique": 1.4}
"""How many times faster than each peer one picture's Grad-CAM should be."""

MEMORY_MEGABYTES = 2500


@dataclass(frozen=True)
class Timing:
    """One line of the benchmark.

    Attributes:
        what: What was measured.
        value: The result, the median over rounds.
        unit: `"forward passes"`, `"x faster"` or `"MB"`.
        target: What it should be, `"<= 1.05"` or `">= 10"`.
        met: Whether it is.
    """

    what: str
    value: float
    unit: str
    target: str
    met: bool


Row = tuple[str, Job, Job, float, float, int]
"""What; the job; the forward pass to compare with, and how many of these it needs; the target for
what it costs in units of that; and how often it is timed."""


def measure_speed(
    model: str, *, layer: str | None, pictures: int, rounds: int, peers: bool = False
) -> list[Timing]:
    """Time the rows of the speed table.

    Everything is timed from a NumPy batch at the network's size to a NumPy result. The weights do
    not matter for the time, so a network by name gets random ones.

    Args:
        model: A network by name, or a model file.
        layer: The layer; by default the network's own.
        pictures: How many pictures the batch has.
        rounds: How often each fast row is timed after a warm-up; the slow ones once in five.
        peers: Also time the other packages that are installed.

    Returns:
        The rows, in the order of the table.
    """
    explainer = Explainer(model, layer=layer, weights=None)
    batch = random_batch(explainer, pictures)
    rows = _rows(explainer, batch, rounds)
    found = [_compare(*row) for row in progress(rows, "timing", total=len(rows))]
    if peers:
        found += _compare_peers(explainer, batch[:1], rounds)
    return found


def _rows(explainer: Explainer, batch: np.ndarray, rounds: int) -> list[Row]:
    pictures, one = len(batch), batch[:1]
    masks = random_batch(explainer, MASKS_TOGETHER)
    count = min(SEVERAL_TARGETS, len(explainer.network.classes.names))
    channels = explainer.pipeline.view.step.shape[-1] or 1

    def forward(images: np.ndarray) -> Job:
        return lambda: explainer.pipeline.logits(images).numpy()

    def maps(images: np.ndarray, method: str, ids: np.ndarray | None = None) -> Job:
        return lambda: explainer.maps(images, ids, method, batch_size=len(images))

    slow_rounds = max(1, rounds // 5)
    return [
        *(
            (f"{name}, {pictures} pictures", maps(batch, name), forward(batch), 1.0, 1.05, rounds)
            for name in ONE_PASS
        ),
        ("guided, one picture", maps(one, "guided"), forward(one), 1.0, 1.15, rounds),
        (
            f"guided, one picture, {count} targets",
            maps(one, "guided", np.arange(count)[None]),
            forward(one),
            1.0,
            1 + 0.02 * count,
            rounds,
        ),
        (
            f"integrated_gradcam, one picture, each of {PATH_STEPS} steps",
            maps(one, "integrated_gradcam"),
            forward(masks),
            PATH_STEPS / MASKS_TOGETHER,
            1.10,
            slow_rounds,
        ),
        (
            f"scorecam, one picture, each of {channels} channels",
            maps(one, "scorecam"),
            forward(masks),
            channels / MASKS_TOGETHER,
            1.10,
            1,
        ),
    ]


def measure_memory(model: str, *, layer: str | None) -> list[Timing]:
    """Measure the peak memory of explaining one picture by each method.

    Each method runs in a fresh process, whose whole resident memory counts: Python, TensorFlow and
    the network too. Methods that refuse the network are left out.
    """
    rows = []
    for method in progress(METHODS, "measuring memory", total=len(METHODS)):
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            peak = pool.apply(_peak_megabytes, (model, layer, method))
        if peak is None:
            continue
        target = f"<= {MEMORY_MEGABYTES}"
        rows.append(Timing(f"{method}, one picture", peak, "MB", target, peak <= MEMORY_MEGABYTES))
    return rows


def random_batch(explainer: Explainer, pictures: int) -> np.ndarray:
    """Seeded noise at the network's size, float32 in 0..255, `[pictures, H, W, C]`."""
    check_sees_pictures(explainer.network, "guidedcam bench")
    height, width = (side or FREE_SIDE for side in explainer.network.input_size)
    size = (pictures, height, width, explainer.network.channels or 3)
    return np.random.default_rng(0).uniform(0, 255, size).astype(np.float32)


def seconds(job: Job) -> float:
    """The time that a job takes."""
    start = time.perf_counter()
    job()
    return time.perf_counter() - start


def _compare(
    what: str, job: Job, forward: Job, passes: float, target: float, rounds: int
) -> Timing:
    """The median time of a job in units of `passes` forward passes."""
    for warm_up in (forward, forward, *([job, job, forward] if rounds > 1 else [])):
        warm_up()
    ratios = []
    for _ in range(rounds):
        # A long job is compared with the passes on both sides of it.
        before, spent, after = seconds(forward), seconds(job), seconds(forward)
        ratios.append(spent / (passes * (before + after) / 2))
    value = median(ratios)
    return Timing(what, value, "forward passes", f"<= {target:.2f}", value <= target)


def _compare_peers(explainer: Explainer, one: np.ndarray, rounds: int) -> list[Timing]:
    application = find_application(explainer.network.name)
    bare = application.build(weights=None, classifier_activation=None)
    picture = explainer.network.model_inputs(one).numpy()
    rows = []
    for name, job in peer_jobs(bare, explainer.layer, picture).items():
        mine = lambda: explainer.maps(one, [0], "gradcam")  # noqa: E731
        for warm_up in (mine, job):
            warm_up()
        value = median(seconds(job) / seconds(mine) for _ in range(rounds))
        least = PEER_TARGETS[name]
        what = f"gradcam, one picture, against {name}"
        rows.append(Timing(what, value, "x faster", f">= {least:g}", value >= least))
    return rows


def _peak_megabytes(model: str, layer: str | None, method: str) -> float | None:
    explainer = Explainer(model, layer=layer, weights=None)
    try:
        explainer.maps(random_batch(explainer, 1), method=method)
    except InputError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
