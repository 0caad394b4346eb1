"""Writing files so that each is either whole or not there."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from guidedcam_tf.errors import InputError
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import is_remote
from guidedcam_tf.storage import make_folder
from guidedcam_tf.storage import reason
from guidedcam_tf.storage import send


def cache_folder() -> Path:
    """The user's cache folder for this package, whether it exists or not."""
    cache = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(cache).expanduser() / "guidedcam_tf"


@contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a temporary path of the same name; move it to `path` if the block succeeds."""
    beside = None if is_remote(path) else path.parent
    with tempfile.TemporaryDirectory(dir=beside, prefix=".partial-") as folder:
        temporary = Path(folder) / path.name
        yield temporary
        if beside is None:
            send(temporary, path)
        else:
            temporary.replace(path)


def output_folder(folder: str | os.PathLike[str]) -> Path:
    """Make a folder for results. Raises `InputError` if it cannot be made or written to."""
    path = as_path(folder)
    try:
        make_folder(path)
    except Exception as error:  # Stores raise kinds of their own.
        raise InputError(f"output folder {path} cannot be written: {reason(error)}") from error
    return path
