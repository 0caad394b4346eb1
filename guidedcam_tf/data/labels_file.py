"""Lists of pictures and their ImageNet classes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Mapping
from pathlib import Path

from guidedcam_tf.data.folder import PICTURE_SUFFIXES
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tables import PICTURE
from guidedcam_tf.data.tables import check_row
from guidedcam_tf.data.tables import read_table
from guidedcam_tf.data.tree import read_lines
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import imagenet_classes

_COLUMNS = ("index", "wnid")

_INDEX = re.compile(r"(\d{1,9})(\.0*)?")
"""An index, also as a spreadsheet writes it in a column of floats."""


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
        InputError: If the list cannot be read, lacks a column, or counts classes from 1.
    """
    rows = list(_csv_rows(file) if file.suffix.lower() == ".csv" else _text_rows(file))
    _check_first_index((target for _, targets, _ in rows for target in targets), file)
    indices: dict[str, list[int]] = {}
    skipped: dict[str, Skipped] = {}
    for name, targets, row in rows:
        try:
            index = _find(name, targets, row, file)
        except SampleError as error:
            skipped[name] = Skipped(name, error.reason, str(error))
            continue
        if index not in indices.setdefault(name, []):
            indices[name].append(index)
    if not rows:
        skipped[file.name] = Skipped(file.name, "empty list", f"list {file} names no picture")
    kept = {name: found for name, found in indices.items() if name not in skipped}
    return kept, list(skipped.values())


def _check_first_index(targets: Iterable[str], file: Path) -> None:
    """Raise `InputError` if a list's indices are 1 to 1000, each of which but one is a class."""
    found = filter(None, map(_INDEX.fullmatch, targets))
    numbers, count = {int(each[1]) for each in found}, len(imagenet_classes().names)
    if count in numbers and 0 not in numbers:
        raise InputError(
            f"list {file} has the index {count} and no 0, so that it seems to count classes from "
            f"1; expected Keras's indices, 0 to {count - 1}, or wnids"
        )


Line = tuple[str, list[str], Mapping[str, str]]
"""A picture, what is said of its class, and a table's row."""


def _csv_rows(file: Path) -> Iterator[Line]:
    header, rows = read_table(file)
    columns = [column for column in _COLUMNS if column in header]
    picture = next((column for column in PICTURE if column in header), None)
    if header and (picture is None or not columns):
        raise InputError(
            f"list {file} has the columns {', '.join(header):.200}; expected file and index or wnid"
        )
    for row in rows:
        yield row[picture or ""], [row[column] for column in columns], row


def _text_rows(file: Path) -> Iterator[Line]:
    try:
        lines = read_lines(file)
    except (OSError, ValueError) as error:
        raise InputError(f"list {file} cannot be read: {error}") from error
    for line in lines:
        words = line.split()
        ends = (count for count, word in enumerate(words[:-1], 1) if _is_picture(word))
        # A name may hold spaces: it ends with the first word that ends as pictures do.
        target = line.split(maxsplit=next(ends, 1))[-1] if len(words) > 1 else ""
        yield line.removesuffix(target).strip(), [target], {}


def _is_picture(word: str) -> bool:
    return Path(word).suffix.lower() in PICTURE_SUFFIXES


def _find(name: str, targets: list[str], row: Mapping[str, str], file: Path) -> int:
    """Return the class that all that a line says of it agrees on."""
    try:
        check_row(row)
        found = {_index_of(target) for target in targets if target}
    except InputError as error:
        raise SampleError("bad label", f"{file}, {name!r:.300}: {error}") from error
    if not name or len(found) != 1:
        said = " and ".join(target for target in targets if target) or "none"
        message = f"{file}, {name!r:.300}: expected one class; received {said:.200}"
        raise SampleError("bad label", message)
    return found.pop()


def _index_of(target: str) -> int:
    classes = imagenet_classes()
    # `find` compares with every name, which would take a minute for a list of all pictures.
    found = _INDEX.fullmatch(target)
    if found:
        return classes.check(int(found[1]))
    if len(target) > 200:
        raise InputError(f"a class of {len(target)} characters")
    return classes.find(target)
