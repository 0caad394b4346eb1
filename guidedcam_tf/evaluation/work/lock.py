"""One driver at a time on a run's folder."""

from __future__ import annotations

import fcntl
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.work.lease import leased
from guidedcam_tf.evaluation.work.lease import lessee
from guidedcam_tf.evaluation.work.lease import this_process
from guidedcam_tf.storage import is_remote

LOOK_SECONDS = 2.0
"""How long another process may take to look who holds a folder, which locks it for a moment."""


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a run's folder for this process, which lets go of it however it ends.

    A folder of object storage is leased, as there are no locks there.

    Raises:
        InputError: If another process holds it, and the message says which, or keeps looking at it.
    """
    if is_remote(folder):
        refuse_held(folder)
        with leased(folder):
            yield
        return
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            _lock(file, folder)
        except OSError as error:
            warnings.warn(
                f"{folder} cannot be locked ({error.strerror}); see to it that no second run "
                "writes to it",
                stacklevel=3,
            )
        file.truncate(0)
        file.write(f"{this_process()}\n")
        file.flush()
        yield


def _lock(file: TextIO, folder: Path) -> None:
    """Lock a folder's file; what is locked by nobody who works on it will be free in a moment."""
    until = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            refuse_held(folder)
            if time.monotonic() > until:
                raise InputError(
                    f"{file.name} is locked by a process that only looks at it, as guidedcam "
                    f"status does for a moment, and has not ended in {LOOK_SECONDS:g} seconds; "
                    "stop that process, and run the same command again"
                ) from error
        else:
            return
        time.sleep(0.05)


def refuse_held(folder: Path) -> None:
    """Raise `InputError` if a process works on a run's folder."""
    by = holder(folder)
    if by is not None:
        raise InputError(f"{folder} is worked on by {by}; wait until it is done, or stop it")


def holder(folder: Path) -> str | None:
    """Return which process holds a run's folder, or `None`."""
    if is_remote(folder):
        return lessee(folder)
    try:
        with (folder / "lock").open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return file.read().strip() or "another process"
            except OSError:
                return None
    except FileNotFoundError:
        return None
    return None
