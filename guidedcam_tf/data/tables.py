"""Tables of pictures as spreadsheets and scripts write them."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.tree import find_file
from guidedcam_tf.data.tree import read_whole_lines
from guidedcam_tf.errors import InputError

PICTURE = ("file", "picture")
"""What the column of the pictures may be called."""


def read_table(file: Path) -> tuple[tuple[str, ...], list[dict[str, str]]]:
    """Read a CSV file, separated by commas, semicolons or tabs.

    Each line is read by itself, so that a bad one costs only itself: cells that it lacks are empty.

    Returns:
        The header in lower case, and the rows by column.

    Raises:
        InputError: If the file cannot be read.
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
    return columns, [dict(zip(columns, row + [""] * len(columns), strict=False)) for row in rows]


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
        return [cell.strip() for cell in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error:
        return [line[:100]]
