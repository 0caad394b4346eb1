"""A list of one's own: pictures with classes, boxes and masks in `labels.csv`."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.boxes import from_corners
from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import class_map_for
from guidedcam_tf.data.mask_files import read_mask_file
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tables import PICTURE
from guidedcam_tf.data.tables import check_row
from guidedcam_tf.data.tables import find_picture
from guidedcam_tf.data.tables import first_spellings
from guidedcam_tf.data.tables import read_table
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.storage import as_path

CLASS = ("class", "label")
SIDES = ("x_min", "y_min", "x_max", "y_max")
_COLUMNS = (PICTURE, CLASS, *((side, side.replace("_", "")) for side in SIDES), ("mask",))
"""What each column may be called, by its own name first."""

_OTHER_SIDE = re.compile(
    r"bbox|(bbox_)?(c?[xy]|[xy]_?([0-2]|min|max|center)|w|h|width|height|left|top|right|bottom)"
)
"""A column of a box in another form."""

_EXPECTED = """
ROOT/labels.csv           with a header and the columns picture and class, and where there are any
                          x_min, y_min, x_max, y_max (or xmin, ...; pixels from 0, the end left
                          out) and mask,
                          and those of a network's further inputs: age, or age_0, age_1, ...
ROOT/any name.jpg         or in ROOT/images
ROOT/masks/any name.png   0, and one other value where the object is
(labels= names another list)
"""

Row = Mapping[str, str]


def open_labels(
    root: str | os.PathLike[str],
    class_map: Callable[[Sequence[str]], ClassMap],
    labels: str | os.PathLike[str] = "labels.csv",
) -> DataSet:
    """Find the pictures of a list, each line of which is about one object, or one class.

    A picture that it names several times has all these objects; the boxes and masks of one class
    are put together; all of one class have a box or none has, likewise a mask. A picture with a
    bad line is skipped. A sample's identifier is its name in the list, the first where it has
    several, such as `./a.png` and `images/a.png`.

    Args:
        root: The folder of the data set.
        class_map: Finds which of the network's classes stand for the list's.
        labels: The list, from the root.

    Raises:
        InputError: If the list is missing, cannot be read or lacks a column.
    """
    root, file = as_path(root), as_path(root) / labels
    if not file.is_file():
        raise wrong_tree(root, f"there is no list {file}", _EXPECTED)
    rows, further = _read_rows(root, file)
    by_picture: dict[str, list[Row]] = {}
    names = first_spellings(root, (row["file"] for row in rows))
    for row in rows:
        by_picture.setdefault(names[row["file"]], []).append(row)
    found = class_map(sorted({row["class"] for row in rows}))
    samples, skipped = [], []
    for name, listed in sorted(by_picture.items()):
        try:
            if not name or not all(row["class"] for row in listed):
                raise SampleError("bad label", f"a line has no {'class' if name else 'picture'}")
            for row in listed:
                check_row(row)
            annotate = partial(_annotate, rows=listed, root=root, class_map=found)
            texts = {each: tuple(dict.fromkeys(row[each] for row in listed)) for each in further}
            masks = tuple(_mask_file(root, row["mask"]) for row in listed if row.get("mask"))
            picture = find_picture(root, name)
            samples.append(Sample(name, picture, annotate, texts, annotations=masks))
        except SampleError as error:
            skipped.append(Skipped(name, error.reason, f"{file}, {name!r:.300}: {error}"))
    if not rows:
        skipped.append(Skipped(file.name, "empty list", f"list {file} names no picture"))
    return DataSet("labels", root, tuple(samples), tuple(skipped), found, (file,))


def _read_rows(root: Path, file: Path) -> tuple[list[Row], list[str]]:
    """Read the lines by the columns' own names, and what the further columns are called."""
    header, rows = read_table(file)
    columns = {names[0]: next(filter(header.__contains__, names), "") for names in _COLUMNS}
    sides = [side for side in SIDES if columns[side]]
    if header and not (columns["file"] and columns["class"] and len(sides) in (0, len(SIDES))):
        raise wrong_tree(root, f"list {file} has the columns {', '.join(header):.200}", _EXPECTED)
    own = {name: column for name, column in columns.items() if column}
    further = [column for column in header if column not in own.values()]
    others = [column for column in further if _OTHER_SIDE.fullmatch(column)]
    if not sides and (len(others) >= len(SIDES) or "bbox" in others):
        raise wrong_tree(
            root,
            f"list {file} seems to have boxes as {', '.join(others)}; expected "
            f"{', '.join(SIDES)}, which may be empty where those are a network's further inputs",
            _EXPECTED,
        )
    return [{**row, **{name: row[own[name]] for name in own}} for row in rows], further


def _annotate(frame: Frame, *, rows: Sequence[Row], root: Path, class_map: ClassMap) -> Annotation:
    by_class: dict[str, list[Row]] = {}
    for row in rows:
        by_class.setdefault(class_map.called(row["class"]), []).append(row)
    labels = []
    for name, listed in by_class.items():
        boxes = [box for row in listed if (box := _box(row, frame)) is not None]
        masks = [_mask(root, row["mask"], frame) for row in listed if row.get("mask")]
        for what, found in (("box", boxes), ("mask", masks)):
            if found and len(found) < len(listed):
                message = f"{len(found)} of {len(listed)} lines of class {name:.100} have a {what}"
                raise SampleError("bad annotation", f"{message}; expected all of them, or none")
        labels.append(
            Label(
                name=name,
                class_ids=class_map.find(name),
                boxes=tuple(boxes) or None,
                difficult=(False,) * len(boxes),
                crowd=(False,) * len(boxes),
                mask=np.any(masks, axis=0) if masks else None,
            )
        )
    return Annotation(tuple(labels))


def _box(row: Row, frame: Frame) -> Box | None:
    written = [row.get(side, "") for side in SIDES]
    if not any(written):
        return None
    try:
        corners = [float(text) for text in written]
    except ValueError:
        message = f"expected four numbers as a box; received {', '.join(written):.100}"
        raise SampleError("bad annotation", message) from None
    frame = frame.box_frame(row.get("width", ""), row.get("height", ""), "its width and height")
    try:
        return frame.upright_box(from_corners(corners, frame.stored))
    except InputError as error:
        raise SampleError("box outside the picture", str(error)) from error


def _mask_file(root: Path, name: str) -> Path:
    """Where a mask lies; where it is missing, the path that its picture's annotation will miss."""
    try:
        return find_picture(root, name)
    except SampleError:
        return root / name


def _mask(root: Path, name: str, frame: Frame) -> np.ndarray:
    """Read a mask of one object, bool `[H, W]`, as the picture is seen."""
    try:
        file = find_picture(root, name)
    except SampleError as error:
        raise SampleError("missing mask", str(error)) from error
    try:
        mask = read_mask_file(file)
        pixels = mask.one_object()
    except InputError as error:
        raise SampleError("bad mask", str(error)) from error
    return mask.upright(pixels, frame)


class LabelsConfig(DataSetConfig):
    """Pictures with classes, boxes and masks in a CSV file."""

    has_objects = True

    kind: Literal["labels"] = "labels"
    labels: str = Field(default="labels.csv", description="The list, from the root.")

    def read(self, classes: ClassNames | None) -> DataSet:
        """See `open_labels`."""
        return open_labels(
            self.root,
            lambda names: class_map_for(self.kind, names, classes, self.class_map),
            self.labels,
        )
