"""What a whole process costs that explains one photograph."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.weights import FOLDER_VARIABLE
from guidedcam_tf.networks.weights import weights_folder
from guidedcam_tf.progress import progress
from guidedcam_tf.runtimes.openvino_model import is_installed

SIDES = (333, 500)
"""Height and width of the photograph."""


@dataclass(frozen=True)
class ColdStart:
    """One line: a call of `guidedcam explain`, from start to end.

    Attributes:
        what: Which call.
        seconds: How long it took, the median over rounds.
        processor: How many seconds of a processor core it took, likewise.
    """

    what: str
    seconds: float
    processor: float


def measure_cold_start(network: Sequence[str], *, rounds: int) -> list[ColdStart]:
    """Time calls in TensorFlow, in OpenVINO where nothing was kept before, and again in OpenVINO.

    Args:
        network: The options of the network, as on the command line.
        rounds: How often each is timed; what is kept begins empty.

    Raises:
        InputError: If a call fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        picture = Path(folder) / "noise.png"
        pixels = np.random.default_rng(0).integers(0, 256, (*SIDES, 3), np.uint8)
        Image.fromarray(pixels).save(picture)
        found: dict[str, list[tuple[float, float]]] = {}
        for place in progress(range(rounds), "timing", total=rounds):
            cache = {"XDG_CACHE_HOME": f"{folder}/{place}", FOLDER_VARIABLE: str(weights_folder())}
            command = ["explain", str(picture), f"--out={folder}/out", *network]
            calls = {"TensorFlow": command}
            if is_installed():
                kept = [*command, "--runtime=openvino"]
                calls |= {"OpenVINO, first call": kept, "OpenVINO, second call": kept}
            for what, arguments in calls.items():
                found.setdefault(what, []).append(_timed(arguments, cache))
    return [
        ColdStart(what, *(median(each) for each in zip(*times, strict=True)))
        for what, times in found.items()
    ]


def _timed(arguments: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Run the command line; returns seconds that passed, and those of the processor."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "guidedcam_tf", *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    passed, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise InputError(f"guidedcam {' '.join(arguments)} failed:\n{done.stderr.strip()}")
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return passed, spent
