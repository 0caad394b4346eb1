"""ILSVRC2012's own class numbers, which are not Keras's indices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import imagenet_classes
from guidedcam_tf.storage import readable

GROUND_TRUTH = "ILSVRC2012_validation_ground_truth.txt"
SYNSETS = ("meta.mat", "map_clsloc.txt")


def read_synsets(file: Path) -> dict[int, int]:
    """Read which Keras index each of ILSVRC2012's numbers, 1 to 1000, stands for.

    Args:
        file: The development kit's `meta.mat` (ILSVRC2012_devkit_t12), or the text `map_clsloc.txt`
            (later kits), lines such as `n02119789 1 kit_fox`.

    Raises:
        InputError: If the file cannot be read or does not give each class one number.
    """
    try:
        pairs = _from_mat(file) if file.suffix == ".mat" else _from_text(file)
    # SciPy may raise anything on bytes that are no MATLAB file.
    except Exception as error:
        raise InputError(f"synsets {file} cannot be read: {error or type(error)}") from error
    classes = imagenet_classes()
    numbers = {number: wnid for number, wnid in pairs if number <= len(classes.names)}
    if sorted(numbers) != list(range(1, 1001)) or set(numbers.values()) != set(classes.wnids):
        raise InputError(f"synsets {file} does not give each of the 1000 classes one number")
    return {number: classes.wnids.index(wnid) for number, wnid in numbers.items()}


def _from_mat(file: Path) -> list[tuple[int, str]]:
    from scipy.io import loadmat

    table = np.atleast_1d(loadmat(readable(file), squeeze_me=True)["synsets"])
    return [(int(row["ILSVRC2012_ID"]), str(row["WNID"])) for row in table]


def _from_text(file: Path) -> list[tuple[int, str]]:
    rows = [line.split() for line in file.read_text("utf-8-sig").splitlines() if line.strip()]
    return [(int(row[1]), row[0]) for row in rows]


def read_ground_truth(file: Path, synsets: Path | None) -> list[int]:
    """Read the Keras index of each validation picture, in the order of their numbers.

    Args:
        file: `ILSVRC2012_validation_ground_truth.txt`: a number from 1 to 1000 a line.
        synsets: See `read_synsets`; by default the one beside the file.

    Raises:
        InputError: If there are no synsets, or a line is no such number.
    """
    beside = [file.with_name(name) for name in SYNSETS]
    found = synsets or next((candidate for candidate in beside if candidate.exists()), None)
    if found is None:
        raise InputError(
            f"the numbers of {file} are ILSVRC2012's (1 is the kit fox), not Keras's indices; "
            f"put {' or '.join(SYNSETS)} of its development kit beside it, or name it as synsets="
        )
    indices = read_synsets(found)
    try:
        return [indices[int(line)] for line in file.read_text("utf-8-sig").split()]
    except (ValueError, KeyError) as error:
        raise InputError(f"{file} has a line that is no number from 1 to 1000: {error}") from error
