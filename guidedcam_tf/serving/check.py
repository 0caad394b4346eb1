"""Does an export answer as the live `Explainer` does, in a process without this package?"""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from guidedcam_tf.data import Picture
from guidedcam_tf.data import read_picture
from guidedcam_tf.data import to_grey
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.overlay import overlay
from guidedcam_tf.runtimes.openvino_model import is_installed
from guidedcam_tf.runtimes.openvino_model import usable_precisions
from guidedcam_tf.serving import fresh_process
from guidedcam_tf.serving import openvino
from guidedcam_tf.serving.endpoints import PLURALS
from guidedcam_tf.serving.endpoints import TOP
from guidedcam_tf.serving.saved_model import describe
from guidedcam_tf.serving.saved_model import read_manifest
from guidedcam_tf.serving.saved_model import served_version

SAME = 1e-5
OTHER_RUNTIME = 1e-3
NEXT_COLOUR = 4.0
"""What rounding may change in a pixel of an overlay: the colour map's next colour, mixed in."""

INDICES = ("target", "top5_indices")

Arrays = dict[str, np.ndarray]
Request = tuple[str, dict[str, Any]]
Case = tuple[Request, Arrays]


@dataclass(frozen=True)
class Comparison:
    """One output of an export beside that of the live `Explainer`.

    Attributes:
        runtime: What ran the export.
        signature: The signature.
        output: The output.
        difference: The largest difference over all elements and pictures; of indices, the part
            that differs.
        allowed: What it may be; `None` where the difference is stated, not judged.
    """

    runtime: str
    signature: str
    output: str
    difference: float
    allowed: float | None

    @property
    def right(self) -> bool:
        """Whether the difference is as small as it must be; a NaN never is."""
        return self.allowed is None or self.difference <= self.allowed


def check_export(
    folder: str | os.PathLike[str], explainer: Explainer, pictures: Sequence[Picture] = ()
) -> list[Comparison]:
    """Compare an export with the live `Explainer`, and in OpenVINO too where that is installed.

    Every picture is explained for its best class, by -1, and for its second best, by its index.

    Args:
        folder: The export, or the model's folder for its highest version.
        explainer: What was exported; the method is read from the export.
        pictures: Pictures to compare on; by default a test card.

    Returns:
        A comparison for each runtime, signature and output.

    Raises:
        InputError: If there is no export, it is of another network, layer or post-processing, or
            it does not run.
    """
    version = served_version(folder)
    manifest = read_manifest(version)
    for what, value in describe(explainer).items():
        if manifest[what] != value:
            raise InputError(f"{version} has {what} {manifest[what]!r}; received {shown(value)}")
    method = get_method(manifest["method"], **manifest["options"])
    pixels = [read_picture(picture) for picture in pictures] or [test_card()]
    cases = [
        case
        for picture in pixels
        for case in _cases(explainer, method, manifest["colour_map"], picture)
    ]
    requests, expected = zip(*cases, strict=True)
    rows = _compare("TensorFlow", requests, answers_of(version, requests), expected, SAME)
    explained = [case for case in cases if case[0][0] == "explain"]
    return rows + (_in_openvino(version, explained) if is_installed() else [])


def answers_of(version: Path, requests: Sequence[Request]) -> list[Arrays]:
    """Answer requests with an export in a process of its own, without this package.

    Args:
        version: The version's folder.
        requests: Pairs of a signature and its inputs by name.

    Raises:
        InputError: If the export does not load or a request fails; with what TensorFlow said.
    """
    with tempfile.TemporaryDirectory() as folder:
        asked, answered = Path(folder) / "requests.pkl", Path(folder) / "answers.pkl"
        asked.write_bytes(pickle.dumps(list(requests)))
        done = subprocess.run(
            [sys.executable, "-I", fresh_process.__file__, str(version), asked, answered],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        if done.returncode != 0:
            said = done.stdout.strip() or done.stderr.strip()
            raise InputError(f"{version} does not run in a fresh process: {said}")
        return pickle.loads(answered.read_bytes())


def test_card() -> np.ndarray:
    """A picture of colours and edges, uint8 `[240, 320, 3]`."""
    rows, columns = np.mgrid[:240, :320]
    card = np.stack([columns * 255 // 319, rows * 255 // 239, (rows + columns) % 256], axis=-1)
    card[(rows - 120) ** 2 + (columns - 200) ** 2 < 60**2] = (240, 200, 40)
    return card.astype(np.uint8)


def _cases(
    explainer: Explainer, method: Method, colour_map: str, pixels: np.ndarray
) -> Iterator[Case]:
    """Requests for a picture, each with the outputs that it should have."""
    network = explainer.network
    picture = to_grey(pixels) if network.channels == 1 else pixels
    fitted = network.fit(np.stack([picture, picture])).numpy()
    logits = explainer.pipeline.logits(fitted)
    probabilities = network.probabilities(logits).numpy()
    ranking = np.argsort(-logits.numpy()[0], kind="stable")
    plural = PLURALS[network.quantity]
    targets = ranking[[0, min(1, len(ranking) - 1)]].astype(np.int32)
    maps = explainer.maps(fitted, targets, method)
    explained = {
        "saliency": maps,
        "target": targets,
        network.quantity: probabilities[0, targets],
        "top5_indices": np.stack([ranking[:TOP]] * 2),
        f"top5_{plural}": probabilities[:, ranking[:TOP]],
    }
    shown = np.round(np.clip(fitted[0], 0, 255)).astype(np.uint8)
    overlays = {"overlay_png_bytes": np.stack([overlay(shown, one, colour_map) for one in maps])}
    images = np.stack([picture, picture])
    ids = np.array([-1, targets[1]], np.int32)
    of_floats = {"images": images.astype(np.float32), "class_ids": ids}
    yield ("explain", of_floats), explained
    yield ("serving_default", of_floats), explained
    yield ("explain_uint8", {"images": images, "class_ids": ids}), explained
    yield ("predict", {"images": of_floats["images"]}), {plural: probabilities}
    if network.channels in (1, 3):
        of_bytes = {"image_bytes": [_png(pixels)] * 2, "class_ids": ids}
        yield ("explain_bytes", of_bytes), {**explained, **overlays}
        yield ("overlay_bytes", of_bytes), overlays


def _in_openvino(version: Path, cases: Sequence[Case]) -> list[Comparison]:
    """What OpenVINO makes of the requests to `explain`: judged in f32, stated in bf16."""
    requests, expected = zip(*cases, strict=True)
    rows = []
    for precision in usable_precisions().values():
        try:
            run = openvino.open_export(version, precision)
        except InputError as error:
            warnings.warn(f"not compared in OpenVINO: {error}", stacklevel=3)
            return []
        rows += _compare(
            f"OpenVINO {precision}",
            requests,
            [run(inputs) for _, inputs in requests],
            expected,
            OTHER_RUNTIME if precision == "f32" else None,
        )
    return rows


def _png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def _compare(
    runtime: str,
    requests: Sequence[Request],
    answers: Sequence[Arrays],
    expected: Sequence[Arrays],
    allowed: float | None,
) -> list[Comparison]:
    """One comparison for each signature and output, over all requests to it."""
    largest: dict[tuple[str, str], float] = {}
    for (signature, _), answer, right in zip(requests, answers, expected, strict=True):
        for output, values in right.items():
            given = _pixels(answer[output]) if output.endswith("png_bytes") else answer[output]
            if output in INDICES:
                difference = float((given != values).mean())
            else:
                difference = float(np.abs(given.astype(np.float64) - values).max())
            key = (signature, output)
            largest[key] = max(difference, largest.get(key, 0.0), key=_nan_first)
    return [
        Comparison(
            runtime,
            signature,
            output,
            difference,
            NEXT_COLOUR if output.endswith("png_bytes") else allowed,
        )
        for (signature, output), difference in largest.items()
    ]


def _nan_first(value: float) -> float:
    return np.inf if np.isnan(value) else value


def _pixels(files: np.ndarray) -> np.ndarray:
    return np.stack([np.asarray(Image.open(io.BytesIO(file))) for file in files])
