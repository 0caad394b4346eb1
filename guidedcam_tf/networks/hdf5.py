"""HDF5 files that end: a damaged one can make the library loop or crash."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from guidedcam_tf.errors import InputError

LONGEST = 60
"""Seconds that reading a whole file may take."""

_READ = """
import sys, h5py
def read(name, item):
    dict(item.attrs)
    if isinstance(item, h5py.Dataset):
        item[()]
with h5py.File(sys.argv[1]) as file:
    dict(file.attrs)
    file.visititems(read)
"""


def check_it_ends(path: Path) -> None:
    """Read a file in a process of its own, which can be stopped where this one could not.

    What it raises is left to the reading that follows.

    Raises:
        InputError: If reading does not end within `LONGEST` seconds, or crashes.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-c", _READ, str(path)], capture_output=True, timeout=LONGEST
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{path} is damaged: reading it did not end within {LONGEST} seconds"
        ) from None
    if done.returncode < 0:
        raise InputError(f"{path} is damaged: reading it crashes the HDF5 library")
