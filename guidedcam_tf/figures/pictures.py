"""The pictures of a figure: files below a root, or photographs that scikit-image ships."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageOps

from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError

PHOTOGRAPHS = "skimage:"
SIDE = 300
"""Pixels of each square where photographs are put together."""


def find_picture(file: str, root: Path) -> Path | np.ndarray:
    """Return a picture's path, or a photograph as uint8 RGB `[H, W, 3]`.

    Args:
        file: A path from the root; or `skimage:NAME` for one photograph as it is,
            `skimage:A+B` for squares of several side by side, `skimage:A+B/C+D` for lines of them.
        root: The folder of the pictures.

    Raises:
        InputError: If the file does not exist, the photograph is not known, or scikit-image is not
            installed.
    """
    if not file.startswith(PHOTOGRAPHS):
        path = root / file
        if not path.exists():
            raise InputError(
                f"picture {path} does not exist; --set root=FOLDER names the pictures' folder, "
                "and --demo takes photographs that scikit-image ships"
            )
        return path
    lines = [line.split("+") for line in file.removeprefix(PHOTOGRAPHS).split("/")]
    if len({len(line) for line in lines}) > 1:
        raise InputError(f"picture {file!r} must have as many photographs on each line")
    if len(lines) == len(lines[0]) == 1:
        return _photograph(lines[0][0])
    return np.vstack([np.hstack([_square(name) for name in line]) for line in lines])


def picture_names(files: Iterable[str]) -> dict[str, str]:
    """Short names of pictures in tables and files; those that would have one keep their whole."""
    short = {file: _short_name(file) for file in files}
    count = Counter(short.values())
    return {file: name if count[name] == 1 else file for file, name in short.items()}


def _short_name(file: str) -> str:
    if file.startswith(PHOTOGRAPHS):
        return file.removeprefix(PHOTOGRAPHS).replace("+", "_").replace("/", "_")
    return Path(file).stem


def _square(name: str) -> np.ndarray:
    return np.asarray(ImageOps.fit(Image.fromarray(_photograph(name)), (SIDE, SIDE)))


def _photograph(name: str) -> np.ndarray:
    try:
        import skimage.data
    except ImportError:
        raise InputError(
            "the demo's photographs come with scikit-image: pip install 'guidedcam-tf[demo]'"
        ) from None
    if name == "motorcycle":
        return read_picture(skimage.data.stereo_motorcycle()[0])
    photographs = ("astronaut", "camera", "cat", "chelsea", "clock", "coffee", "rocket")
    if name not in photographs:
        raise InputError(
            f"photograph {name!r} is not known; expected one of motorcycle, "
            f"{', '.join(photographs)}"
        )
    return read_picture(Image.fromarray(getattr(skimage.data, name)()))
