"""Tables of pictures as spreadsheets and scripts write them."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.tree import find_file
from guidedcam_tf.data.tree import read_whole_lines
from guidedcam_tf.errors import InputError

PICTURE = ("file", "picture")
"""What the column of the pictures may be called."""

_FURTHER = "\n"
"""By what a row has its first cell beyond the columns; no column can be called that."""


def read_table(file: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Read a CSV file, separated by commas, semicolons or tabs.

    Each line is read by itself, so that a bad one costs only itself: cells that it lacks are empty,
    and of those that it has too many `check_row` tells.

    Returns:
        The header in lower case, and the rows by column.

    Raises:
        InputError: If the file cannot be read, or two columns have one name.
    """
    try:
        # A tab at the start or end of a line is an empty cell's.
        lines = [line.strip(" ") for line in read_whole_lines(file)]
    except (OSError, ValueError) as error:
        raise InputError(f"list {file} cannot be read: {error}") from error
    if not lines:
        return (), []
    separator = max(",;\t", key=lines[0].count)
    header, *rows = [_cells(line, separator) for line in lines]
    columns = tuple(cell.lower() for cell in header)
    if twice := [name for name, count in Counter(filter(None, columns)).items() if count > 1]:
        raise InputError(
            f"list {file} has the column {twice[0]!r:.100} twice; it is in doubt which one counts"
        )
    return columns, [_by_column(columns, row) for row in rows]


def check_row(row: Mapping[str, str]) -> None:
    """Raise `SampleError` if a line has cells beyond the header's columns."""
    if further := row.get(_FURTHER):
        raise SampleError(
            "bad label",
            f"a line has more cells than the header has columns, the next being {further!r:.100}; "
            "a text that holds the separator stands in double quotes",
        )


def _by_column(columns: Sequence[str], row: Sequence[str]) -> dict[str, str]:
    further = next(filter(None, row[len(columns) :]), "")
    cells = dict(zip(columns, (*row, *[""] * len(columns)), strict=False))
    return {**cells, _FURTHER: further} if further else cells


def find_picture(root: Path, name: str) -> Path:
    """Find a picture that a list names, in a data set's folder, its `images/` or its `val/`.

    Raises:
        SampleError: If it is not there, or lies outside of the folder.
    """
    spellings = dict.fromkeys((name, name.replace("\\", "/")))
    for spelling in spellings:
        if Path(spelling).is_absolute() or ".." in Path(spelling).parts:
            raise SampleError("bad label", f"{name} lies outside of {root}")
        for folder in (root, root / "images", root / "val"):
            if found := find_file(folder, spelling):
                return found
    raise SampleError("missing picture", f"{name:.300} is not in {root}, its images/ or its val/")


def first_spellings(root: Path, names: Iterable[str]) -> dict[str, str]:
    """Return, by each name that a list gives a picture, the first that finds the same file."""
    firsts: dict[Path | str, str] = {}
    result = {}
    for name in dict.fromkeys(names):
        try:
            found: Path | str = find_picture(root, name)
        except SampleError:
            found = name
        result[name] = firsts.setdefault(found, name)
    return result


def _cells(line: str, separator: str) -> list[str]:
    try:
        return [
            cell.strip()
            for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True), [])
        ]
    except csv.Error:
        return [line[:100]]
