"""Writing files so that each is either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guidedcam_tf.errors import InputError


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path of the same name; move it to `path` if the block succeeds."""
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".partial-") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        temporary.replace(path)


def output_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a folder for results. Raises `InputError` if it cannot be made or written to."""
    path = Path(folder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise InputError(f"output folder {path} cannot be written: {error.strerror}") from error
    return path
