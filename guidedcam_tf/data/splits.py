"""Samples drawn with a seed, and the lists that pin them."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tree import read_lines
from guidedcam_tf.errors import InputError
from guidedcam_tf.files import writing
from guidedcam_tf.storage import as_path


def draw(data_set: DataSet, count: int, seed: int) -> DataSet:
    """Draw samples at random, without replacement.

    A picture's place in the draw is the SHA-256 of seed and identifier, so that the draw is the
    same on every machine, whatever the order of the files, and a smaller draw is part of a larger.

    Args:
        data_set: The data set to draw from.
        count: How many samples; all where there are fewer.
        seed: Any integer.

    Returns:
        The drawn samples in the data set's order.

    Raises:
        InputError: If `count` is negative.
    """
    if count < 0:
        raise InputError(f"count must be at least 0; received {count}")
    chosen = set(sorted(data_set.ids, key=lambda name: _sha256(f"{seed}:{name}"))[:count])
    return replace(
        data_set, samples=tuple(sample for sample in data_set.samples if sample.id in chosen)
    )


def select(data_set: DataSet, ids: Iterable[str], name: str = "list") -> DataSet:
    """Take the samples of a list, in its order, each once.

    Identifiers that the data set does not have are named in `skipped`, as is a list without any.

    Args:
        data_set: The data set to take from.
        ids: Identifiers, such as `read_list` gives.
        name: What to call the list in `skipped`.
    """
    wanted = list(dict.fromkeys(ids))
    samples = {sample.id: sample for sample in data_set.samples}
    known = {entry.id for entry in data_set.skipped}
    skipped = [
        Skipped(entry, "not in the data set", f"{data_set.root} has no sample {entry!r} of {name}")
        for entry in wanted
        if entry not in samples and entry not in known
    ]
    if not wanted:
        skipped.append(Skipped(name, "empty list", f"{name} names no sample"))
    return replace(
        data_set,
        samples=tuple(samples[entry] for entry in wanted if entry in samples),
        skipped=(*data_set.skipped, *skipped),
    )


def write_list(ids: Iterable[str], file: str | os.PathLike[str]) -> str:
    """Write a list, one identifier a line, and its SHA-256 beside it as `sha256sum -c` reads it.

    Args:
        ids: Identifiers, such as `DataSet.ids`.
        file: The list; its hash goes to the same name with `.sha256` added.

    Returns:
        The SHA-256 of the list, in hexadecimal.
    """
    file = as_path(file)
    text = _as_text(ids)
    line = f"{_sha256(text)}  {file.name}\n"
    for path, content in ((file, text), (_hash_file(file), line)):
        with writing(path) as temporary:
            temporary.write_text(content, encoding="utf-8", newline="\n")
    return _sha256(text)


def read_list(file: str | os.PathLike[str]) -> tuple[str, ...]:
    """Read a list: one identifier a line.

    Empty lines do not count, nor do comments: a `#` and a space at the start of a line.

    Raises:
        InputError: If it cannot be read, or there is a `.sha256` beside it that it does not match.
    """
    file = as_path(file)
    try:
        content = file.read_bytes()
        lines = read_lines(file)
        hash_text = _hash_file(file).read_text("utf-8") if _hash_file(file).exists() else ""
    except (OSError, ValueError) as error:
        raise InputError(f"list {file} cannot be read: {error}") from error
    digest = hashlib.sha256(content).hexdigest()
    if hash_text and hash_text.split()[:1] != [digest]:
        raise InputError(
            f"list {file} is not the one that {_hash_file(file).name} is about: its SHA-256 is "
            f"{digest}, expected {' '.join(hash_text.split()[:1])}"
        )
    return tuple(lines)


def list_sha256(ids: Iterable[str]) -> str:
    """Return the SHA-256 that the list of these identifiers has as a file of `write_list`."""
    return _sha256(_as_text(ids))


def _as_text(ids: Iterable[str]) -> str:
    return "".join(f"{entry}\n" for entry in ids)


def _hash_file(file: Path) -> Path:
    return file.with_name(f"{file.name}.sha256")


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
