"""What the exported explanation costs in TensorFlow and in OpenVINO, beside the forward pass."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import tensorflow as tf

from guidedcam_tf.bench.speed import random_batch
from guidedcam_tf.bench.speed import seconds
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.progress import progress
from guidedcam_tf.runtimes.openvino_model import is_installed
from guidedcam_tf.runtimes.openvino_model import usable_precisions
from guidedcam_tf.serving import openvino
from guidedcam_tf.serving.saved_model import export

FORWARD, LIVE = "forward pass, TensorFlow", "Explainer.maps, TensorFlow"
SAVED = "export, TensorFlow"

WARM_UPS = 2


@dataclass(frozen=True)
class RuntimeTiming:
    """One line of the benchmark of runtimes.

    Attributes:
        what: What was run, and by what.
        forward_passes: Its time in TensorFlow's forward passes, the median over rounds.
        live: Its time in those of `Explainer.maps`, the median over rounds.
        seconds: Its median time.
        per_second: Pictures a second at that time.
    """

    what: str
    forward_passes: float
    live: float
    seconds: float
    per_second: float


def run_runtimes(
    model: str, *, layer: str | None, pictures: int, rounds: int
) -> list[RuntimeTiming]:
    """Export the proposed method and time what runs it, alternating.

    Args:
        model: A network by name.
        layer: The layer; by default the network's own.
        pictures: How many pictures the batch has.
        rounds: How often each is timed after a warm-up.

    Returns:
        The forward pass, the live explainer, the export in TensorFlow, and, where OpenVINO is
        installed, the three in OpenVINO at each precision that the processor has.
    """
    explainer = Explainer(model, layer=layer, weights=None)
    batch = random_batch(explainer, pictures)
    with tempfile.TemporaryDirectory() as folder:
        version = export(explainer, Path(folder) / "guidedcam")
        jobs = _jobs(explainer, version, batch)
        jobs |= _openvino_jobs(model, layer, batch)
        for _ in range(WARM_UPS):
            for job in jobs.values():
                job()
        steps = progress(range(rounds), "timing", total=rounds)
        times = [{what: seconds(job) for what, job in jobs.items()} for _ in steps]
    return [
        RuntimeTiming(
            what,
            forward_passes=median(each[what] / each[FORWARD] for each in times),
            live=median(each[what] / each[LIVE] for each in times),
            seconds=median(each[what] for each in times),
            per_second=pictures / median(each[what] for each in times),
        )
        for what in jobs
    ]


def _forward(explainer: Explainer, batch: np.ndarray) -> np.ndarray:
    return explainer.forward(batch).numpy()


def _jobs(
    explainer: Explainer, version: Path, batch: np.ndarray
) -> dict[str, Callable[[], object]]:
    explain = tf.saved_model.load(str(version)).signatures["explain"]
    ids = np.full(len(batch), -1, np.int32)
    inputs = {"images": batch, "class_ids": ids}

    def saved() -> object:
        outputs = explain(images=tf.constant(batch), class_ids=tf.constant(ids))
        return outputs["saliency"].numpy()

    jobs: dict[str, Callable[[], object]] = {
        FORWARD: partial(_forward, explainer, batch),
        LIVE: lambda: explainer.maps(batch, batch_size=len(batch)),
        SAVED: saved,
    }
    for precision in usable_precisions().values() if is_installed() else ():
        run = openvino.open_export(version, precision)
        jobs[f"export, OpenVINO {precision}"] = lambda run=run: run(inputs)  # type: ignore[misc]
    return jobs


def _openvino_jobs(
    model: str, layer: str | None, batch: np.ndarray
) -> dict[str, Callable[[], object]]:
    jobs: dict[str, Callable[[], object]] = {}
    for precision in usable_precisions() if is_installed() else ():
        twin = Explainer(model, layer=layer, weights=None, runtime="openvino", precision=precision)
        jobs |= {
            f"forward pass, OpenVINO {precision}": partial(_forward, twin, batch),
            f"Explainer.maps, OpenVINO {precision}": partial(
                twin.maps, batch, batch_size=len(batch)
            ),
        }
    return jobs
