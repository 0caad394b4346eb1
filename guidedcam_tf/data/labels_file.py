"""Lists of pictures and their ImageNet classes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import imagenet_classes

_COLUMNS = ("index", "wnid")


def read_labels(file: Path) -> tuple[dict[str, list[int]], list[Skipped]]:
    """Read which ImageNet classes the pictures of a list have.

    Args:
        file: A `.csv` with a header and the columns `file` and `index` (Keras's, 0 to 999), `wnid`
            or both, others being ignored; or a text with a file and an index, wnid or class name a
            line.

    Returns:
        The indices of each file in the list's order, each once; and what had to be left out. A file
        with a bad line is left out whole.

    Raises:
        InputError: If the list cannot be read, or lacks a column.
    """
    try:
        lines = file.read_bytes().decode("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list {file} cannot be read: {error}") from error
    lines = [line for line in lines if line.strip()]
    rows = list(_csv_rows(file, lines) if file.suffix.lower() == ".csv" else _text_rows(lines))
    indices: dict[str, list[int]] = {}
    skipped: dict[str, Skipped] = {}
    for name, targets in rows:
        try:
            index = _find(name, targets, file)
        except SampleError as error:
            skipped[name] = Skipped(name, error.reason, str(error))
            continue
        if index not in indices.setdefault(name, []):
            indices[name].append(index)
    if not rows:
        skipped[file.name] = Skipped(file.name, "empty list", f"list {file} names no picture")
    kept = {name: found for name, found in indices.items() if name not in skipped}
    return kept, list(skipped.values())


def _csv_rows(file: Path, lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    table = csv.DictReader(lines)
    header = table.fieldnames or []
    columns = [column for column in _COLUMNS if column in header]
    if lines and ("file" not in header or not columns):
        raise InputError(
            f"list {file} has the columns {', '.join(header)}; expected file and index or wnid"
        )
    for row in table:
        yield (row["file"] or "").strip(), [(row[column] or "").strip() for column in columns]


def _text_rows(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    for line in lines:
        name, *target = line.split(maxsplit=1)
        yield name, [text.strip() for text in target]


def _find(name: str, targets: list[str], file: Path) -> int:
    """Return the class that all that a line says of it agrees on."""
    try:
        found = {_index_of(target) for target in targets if target}
    except InputError as error:
        raise SampleError("bad label", f"{file}, {name!r}: {error}") from error
    if not name or len(found) != 1:
        said = " and ".join(target for target in targets if target) or "none"
        raise SampleError("bad label", f"{file}, {name!r}: expected one class; received {said}")
    return found.pop()


def _index_of(target: str) -> int:
    classes = imagenet_classes()
    # `find` compares with every name, which would take a minute for a list of all pictures.
    return classes.check(int(target)) if target.isdecimal() else classes.find(target)
