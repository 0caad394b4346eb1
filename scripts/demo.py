"""Explain a cat, a cup of coffee, and the two side by side; started by scripts/demo.sh."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import skimage.data
import yaml
from PIL import Image
from PIL import ImageOps

REPOSITORY = Path(__file__).resolve().parent.parent


def main() -> int:
    config = yaml.safe_load((REPOSITORY / "configs" / "demo.yaml").read_text())
    folder = Path(os.path.relpath(REPOSITORY / "demo"))
    pictures = write_pictures(config, folder / "pictures")
    command = [sys.executable, "-m", "guidedcam_tf", "explain", *pictures, "--figure"]
    for target in config["targets"]:
        command += ["--target", target]
    results = folder / "results"
    command += ["--model", config["model"], "--method", config["method"], "--out", results]
    code = subprocess.run(command, check=False).returncode
    if code == 0:
        first = max(results.glob(f"{config['mosaic']}_figure_*.png"), key=os.path.getmtime)
        print(f"\nthe figures are in {results}; begin with {first.name}")
    return code


def write_pictures(config: dict[str, Any], folder: Path) -> list[Path]:
    """Write the photographs and the mosaic of their centres, and return the files."""
    folder.mkdir(parents=True, exist_ok=True)
    side = (config["side"], config["side"])
    pictures = {
        name: Image.fromarray(getattr(skimage.data, source)())
        for name, source in config["pictures"].items()
    }
    halves = [np.asarray(ImageOps.fit(picture, side)) for picture in pictures.values()]
    pictures[config["mosaic"]] = Image.fromarray(np.hstack(halves))
    files = [folder / f"{name}.png" for name in pictures]
    for file, picture in zip(files, pictures.values(), strict=True):
        picture.save(file)
    return files


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__).parse_args()
    sys.exit(main())
