"""Paths of this machine and URLs of object storage, behind one kind of object.

A URL such as `s3://bucket/folder` becomes a `upath.UPath`, which has the methods of `pathlib.Path`
over fsspec and is read by the same code; everything else stays a `Path`. The package behind it is
imported for URLs only.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guidedcam_tf.errors import InputError

WHOLE_ONLY = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "oss", "memory"})
"""Stores without folders where an object appears when all of it was sent, or not at all."""

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+(::.+)?://")


def as_path(path: str | os.PathLike[str]) -> Path:
    """Return a path, or the object that a URL stands for, which is used like one.

    Raises:
        InputError: If it is a URL and a package that reads it is missing, or none is known.
    """
    if not isinstance(path, str) or not _URL.match(path):
        return path if hasattr(path, "fs") else Path(path)  # type: ignore[return-value]
    if path.startswith("file://"):
        return Path(path.removeprefix("file://"))
    try:
        from upath import UPath
    except ImportError as error:
        raise InputError(
            f"{path} needs the package 'universal_pathlib'; "
            "pip install 'guidedcam-tf[storage]' brings it"
        ) from error
    try:
        found = UPath(path)
        _ = found.fs
    except Exception as error:  # Each store raises kinds of its own.
        raise InputError(f"{path} cannot be opened: {error}") from error
    return found  # type: ignore[no-any-return]


def is_remote(path: Path) -> bool:
    """Whether a path is a URL's."""
    return hasattr(path, "fs")


def readable(path: Path) -> Path | io.BytesIO:
    """Return what a library can read: the path, or a URL's content."""
    if not is_remote(path):
        return path
    store: Any = path
    return io.BytesIO(store.fs.cat_file(store.path))


def files_below(folder: Path) -> Iterator[Path]:
    """Find the files in a folder and in those below; of a URL with one listing."""
    if not is_remote(folder):
        yield from (path for path in folder.rglob("*") if not path.is_dir())
        return
    store: Any = folder
    root = store.fs._strip_protocol(store.path).rstrip("/")
    for name in store.fs.find(root):
        yield folder / name.removeprefix(root).lstrip("/")


def local_copy(path: Path) -> Path:
    """Return a file of this machine: the path, or a copy of a URL's in the user's cache.

    A copy is made once for each state of the object.

    Raises:
        InputError: If it cannot be read.
    """
    if not is_remote(path):
        return path
    store: Any = path
    try:
        state = f"{path} {store.fs.ukey(store.path)}"
        cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser()
        folder = cache / "guidedcam_tf" / "copies" / hashlib.sha256(state.encode()).hexdigest()[:16]
        if not (folder / path.name).exists():
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=folder, prefix=".partial-") as partial:
                store.fs.get_file(store.path, str(Path(partial) / path.name))
                (Path(partial) / path.name).replace(folder / path.name)
    except Exception as error:  # Each store raises kinds of its own.
        raise InputError(f"{path} cannot be read: {reason(error)}") from error
    return folder / path.name


def send(file: Path, path: Path) -> None:
    """Put a local file where a URL says, whole or not at all where the store allows that."""
    store: Any = path
    if WHOLE_ONLY.intersection(_protocols(path)):
        store.fs.put_file(str(file), store.path)
        return
    beside: Any = path.with_name(f".partial-{uuid.uuid4().hex}-{path.name}")
    try:
        store.fs.put_file(str(file), beside.path)
        store.fs.mv(beside.path, store.path)
    except BaseException:
        if store.fs.exists(beside.path):
            store.fs.rm_file(beside.path)
        raise


def make_folder(folder: Path) -> None:
    """Make a folder that can be written to.

    Raises:
        OSError: If it cannot be made or written to; a store may raise kinds of its own.
    """
    if not is_remote(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return
    store: Any = folder
    if not WHOLE_ONLY.intersection(_protocols(folder)):
        store.fs.makedirs(store.path, exist_ok=True)
    probe: Any = folder / f".partial-{uuid.uuid4().hex}"
    store.fs.pipe_file(probe.path, b"")
    store.fs.rm_file(probe.path)


def reason(error: Exception) -> str:
    """What went wrong with a file, in a line: stores seldom give the system's own words."""
    if isinstance(error, FileNotFoundError):
        return "No such file or directory"
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__


def _protocols(path: Any) -> tuple[str, ...]:
    said = path.fs.protocol
    return (said,) if isinstance(said, str) else tuple(said)
