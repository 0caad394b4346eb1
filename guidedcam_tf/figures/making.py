"""A figure from its configuration to files."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path

import numpy as np

from guidedcam_tf.evaluation.manifest import environment
from guidedcam_tf.figures.computing import compute
from guidedcam_tf.figures.config import FigureConfig
from guidedcam_tf.figures.explaining import Networks
from guidedcam_tf.figures.fitting import drawn_for
from guidedcam_tf.figures.fitting import fit
from guidedcam_tf.figures.saving import save_figure
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing


def make_figure(
    config: FigureConfig, out: Path, *, demo: bool = False, full: bool = False
) -> list[Path]:
    """Compute a figure, draw it, and write it with its numbers.

    Args:
        config: What it shows.
        out: The folder of runs; this figure's folder in it has the config's name.
        demo: Show the photographs that scikit-image ships.
        full: Add the columns that take long.

    Returns:
        The files: PNG, PDF, CSV, for maps NPZ, and `manifest.json`. The same configuration gives
        the same bytes, but for the manifest's time.

    Raises:
        InputError: If something that the figure needs is not available.
    """
    folder = output_folder(out / config.name)
    start = time.perf_counter()
    networks = Networks(config)
    with drawn_for(config.style, config.width) as chosen:
        result = compute(config, networks, demo=demo, full=full)
    fit(result.figure, chosen)
    files = [folder / f"{config.name}{ending}" for ending in (".png", ".pdf", ".csv")]
    for file in files[:2]:
        save_figure(result.figure, file, dots_per_inch=config.dots_per_inch)
    with writing(files[2]) as temporary:
        result.table.to_csv(temporary, index=False, float_format="%.7g", lineterminator="\n")
    if result.arrays:
        files.append(folder / f"{config.name}.npz")
        with writing(files[-1]) as temporary:
            np.savez_compressed(temporary, allow_pickle=False, **result.arrays)
    manifest = {
        **environment(),
        "figure": config.name,
        "demo": demo,
        "full": full,
        "weights": networks.weights(),
        "left_out": networks.left_out,
        "seconds": round(time.perf_counter() - start, 1),
        "files": {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files},
        "config": config.model_dump(mode="json"),
    }
    files.append(folder / "manifest.json")
    with writing(files[-1]) as temporary:
        temporary.write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
    return files
