"""One driver at a time on a run in object storage, which has no locks.

The driver writes an object `lock` and renews it; one that was not renewed for `DEAD_SECONDS` is a
dead driver's. Two that start within the same second may both go on: units are computed alike and
written whole, so that costs work and no result.
"""

from __future__ import annotations

import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import suppress
from datetime import UTC
from datetime import datetime
from pathlib import Path
from typing import Any

BEAT_SECONDS = 15
DEAD_SECONDS = 60

_LEASE = re.compile(r"(process (\d+) on (\S+) since \S+)\n(\d+)\n")


def this_process() -> str:
    """What a lock calls this process."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return f"process {os.getpid()} on {socket.gethostname()} since {now}"


@contextmanager
def leased(folder: Path) -> Iterator[None]:
    """Write and renew a folder's lock until the block ends."""
    file: Any = folder / "lock"
    me, done = this_process(), threading.Event()

    def renew() -> None:
        file.fs.pipe_file(file.path, f"{me}\n{time.time():.0f}\n".encode())

    def keep() -> None:
        while not done.wait(BEAT_SECONDS):
            with suppress(Exception):  # A store that does not answer may do so the next time.
                renew()

    renew()
    keeper = threading.Thread(target=keep, daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()
        with suppress(FileNotFoundError):
            file.fs.rm_file(file.path)


def lessee(folder: Path) -> str | None:
    """Return which process holds a folder's lock, or `None`."""
    file: Any = folder / "lock"
    try:
        text = file.fs.cat_file(file.path).decode()
    except FileNotFoundError:
        return None
    found = _LEASE.fullmatch(text)
    if found is None:  # A local run's, which was copied here.
        return None
    who, process, host, renewed = found.groups()
    if host == socket.gethostname() and not _lives(int(process)):
        return None
    return who if time.time() - int(renewed) < DEAD_SECONDS else None


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
