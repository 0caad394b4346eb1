"""MS-COCO 2014: boxes, polygons and run lengths from one JSON file."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from typing import Literal

import numpy as np
from pydantic import Field

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.boxes import from_coco
from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import class_map_for
from guidedcam_tf.data.class_map import read_class_map
from guidedcam_tf.data.coco_masks import check_pycocotools
from guidedcam_tf.data.coco_masks import of_entry
from guidedcam_tf.data.coco_masks import packed
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tree import find_file
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.storage import as_path

_EXPECTED = """
ROOT/annotations/instances_val2014.json      with images, annotations and categories
ROOT/val2014/COCO_val2014_000000000042.jpg
(annotations= and pictures= say where they are from ROOT if elsewhere)
"""

_KEPT = frozenset({"bbox", "category_id", "image_id", "iscrowd", "segmentation"})


def open_coco(
    root: str | os.PathLike[str],
    split: str = "val2014",
    *,
    annotations: str | os.PathLike[str] | None = None,
    pictures: str | os.PathLike[str] | None = None,
    masks: bool = True,
    class_map: ClassMap | Callable[[Sequence[str]], ClassMap] | None = None,
) -> DataSet:
    """Find the pictures that a COCO file of instances names, in its order.

    A picture has a label for each category in it, with the boxes of all its annotations, crowds
    included and flagged, and the union of their masks; categories of one name are one, in
    whatever spelling (`class_map_for`). A sample's identifier is its `file_name`.

    Args:
        root: The folder of the data set.
        split: `"val2014"` or `"train2014"`.
        annotations: The JSON file, from the root; by default `annotations/instances_SPLIT.json`.
        pictures: The folder of pictures, from the root; by default `SPLIT`.
        masks: Make the masks, which needs pycocotools, of the extra `coco`.
        class_map: By default the one that is shipped; or what makes one of the categories' names.

    Raises:
        InputError: If a file or folder is missing, the JSON is not COCO's or has an `id` twice, or
            pycocotools is missing.
    """
    root = as_path(root)
    file = root / (annotations or Path("annotations") / f"instances_{split}.json")
    folder = root / (pictures or split)
    if not folder.is_dir():
        raise wrong_tree(root, f"{folder} is not a folder of pictures", _EXPECTED)
    if masks:
        check_pycocotools()
    document = _read_json(file, root)
    categories = {
        _number(entry.get("id")): str(entry.get("name", "")).strip()
        for entry in document["categories"]
    }
    if callable(class_map):
        class_map = class_map(tuple(dict.fromkeys(categories.values())))
    class_map = class_map or read_class_map("coco2014")
    categories = {number: class_map.called(name) for number, name in categories.items()}
    read = partial(_annotate, categories=categories, masks=masks, class_map=class_map)
    entries: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in document["annotations"]:
        entries[_number(entry.get("image_id"))].append(entry)
    samples: dict[str, Sample] = {}
    skipped = []
    for image in document["images"]:
        name, number = str(image.get("file_name")), _number(image.get("id"))
        record = _Record(
            where=f"{file}, {name}",
            size=(image.get("height"), image.get("width")),
            entries=tuple(entries.pop(number, ())),
        )
        try:
            picture = _find_picture(folder, name, record.where)
            if name in samples:
                raise SampleError("bad annotation", f"{record.where} is named twice")
            samples[name] = Sample(name, picture, partial(read, record))
        except SampleError as error:
            skipped.append(Skipped(name, error.reason, str(error)))
    for number, orphans in entries.items():
        message = (
            f"{file} has annotations of a picture {number}, {len(orphans)}, but no such picture"
        )
        skipped.append(Skipped(number, "bad annotation", message))
    if not document["images"]:
        skipped.append(Skipped(file.name, "empty list", f"{file} names no picture"))
    found = tuple(samples.values())
    return DataSet("coco2014", root, found, tuple(skipped), class_map, (file,))


@dataclass(frozen=True)
class _Record:
    """What the JSON says of one picture; `where` names it in messages."""

    where: str
    size: tuple[Any, Any]
    entries: tuple[Mapping[str, Any], ...]


def _read_json(file: Path, root: Path) -> dict[str, list[dict[str, Any]]]:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            document = json.load(stream, object_hook=_compact)
    except OSError as error:
        raise wrong_tree(root, f"{file} cannot be read: {error.strerror}", _EXPECTED) from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{file} is not JSON: {error}") from error
    for key in ("images", "annotations", "categories"):
        entries = document.get(key) if isinstance(document, dict) else None
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f"{file} is not a COCO file of instances: it has no list {key!r}")
    for key in ("images", "categories"):
        numbers = Counter(_number(entry.get("id")) for entry in document[key])
        if twice := [number for number, count in numbers.items() if count > 1]:
            raise InputError(
                f"{file}: {key} has the id {', '.join(twice):.100} twice, so that annotations of "
                "it are of either; give each its own"
            )
    result: dict[str, list[dict[str, Any]]] = document
    return result


def _compact(entry: dict[str, Any]) -> dict[str, Any]:
    """Pack an annotation's numbers while the file is read; lists of them take 2.4 x the room."""
    if "segmentation" in entry:
        entry = {key: value for key, value in entry.items() if key in _KEPT}
        if isinstance(entry["segmentation"], list):
            entry["segmentation"] = [packed(polygon) for polygon in entry["segmentation"]]
    elif isinstance(entry.get("counts"), list):
        entry["counts"] = packed(entry["counts"])
    return entry


def _number(written: Any) -> str:
    """An `id` as a key; tools that hold them in columns of floats write 1 as 1.0."""
    return f"{written:.0f}" if isinstance(written, float) and written % 1 == 0 else str(written)


def _side(written: Any) -> Any:
    """A height or width as a number, also where it is written as text."""
    try:
        return float(written) if isinstance(written, str) else written
    except ValueError:
        return written


def _find_picture(folder: Path, name: str, where: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SampleError("bad annotation", f"{where} lies outside of {folder}")
    found = find_file(folder, name)
    if found is None:
        raise SampleError("missing picture", f"{where:.300} does not exist in {folder}")
    return found


def _annotate(
    record: _Record,
    frame: Frame,
    *,
    categories: Mapping[str, str],
    masks: bool,
    class_map: ClassMap,
) -> Annotation:
    where = record.where
    height, width = map(_side, record.size)
    seen = frame if record.size == (None, None) else frame.annotated_as((height, width))
    if seen is None:
        raise SampleError(
            "mask of another size",
            f"{where} is {frame.stored[1]} x {frame.stored[0]} pixels, "
            f"annotated as {record.size[1]} x {record.size[0]}",
        )
    by_name: dict[str, list[Mapping[str, Any]]] = {name: [] for name in categories.values()}
    for entry in record.entries:
        category = _number(entry.get("category_id"))
        if category not in categories:
            raise SampleError("bad annotation", f"{where} has no known category: {category}")
        by_name[categories[category]].append(entry)
    labels = []
    for name, found in by_name.items():
        if found:
            labels.append(
                Label(
                    name=name,
                    class_ids=class_map.find(name),
                    boxes=_boxes(found, seen, where),
                    difficult=(False,) * len(found),
                    crowd=tuple(_is_crowd(entry, where) for entry in found),
                    mask=_union(found, seen, where) if masks else None,
                )
            )
    return Annotation(tuple(labels))


def _boxes(entries: list[Mapping[str, Any]], frame: Frame, where: str) -> tuple[Box, ...] | None:
    """The boxes as the picture is seen; `None` where no entry has one."""
    if not any("bbox" in entry for entry in entries):
        return None
    return tuple(
        frame.upright_box(_box(entry.get("bbox"), frame.stored, where)) for entry in entries
    )


def _is_crowd(entry: Mapping[str, Any], where: str) -> bool:
    said = str(entry.get("iscrowd") or 0).casefold()
    if said not in ("0", "1", "0.0", "1.0", "false", "true"):
        raise SampleError("bad annotation", f"{where} has iscrowd {said:.60}; expected 0 or 1")
    return said in ("1", "1.0", "true")


def _box(numbers: Any, shape: tuple[int, int], where: str) -> Box:
    array = packed(numbers)
    if array is None or len(array) != 4:
        raise SampleError(
            "bad annotation", f"{where} has a bbox {numbers!r}; expected four numbers"
        )
    try:
        return from_coco(array.tolist(), shape)
    except InputError as error:
        raise SampleError("box outside the picture", f"{where}: {error}") from error


def _union(entries: list[Mapping[str, Any]], frame: Frame, where: str) -> np.ndarray | None:
    """The union of the masks as the picture is seen; `None` where no entry has one."""
    if not any(entry.get("segmentation") for entry in entries):
        return None
    mask = np.zeros(frame.stored, bool)
    for entry in entries:
        try:
            mask |= of_entry(entry, frame.stored)
        except ValueError as error:
            raise SampleError("bad mask", f"{where}: {error}") from error
    return frame.upright(mask)


class CocoConfig(DataSetConfig):
    """MS-COCO, or instances in its format."""

    has_objects = True

    kind: Literal["coco2014", "coco"] = "coco2014"
    split: str = Field(default="val2014", description="val2014 or train2014.")
    annotations: str | None = Field(
        default=None, description="The JSON file, from the root, where it is not the usual."
    )
    pictures: str | None = Field(
        default=None, description="The folder of pictures, from the root, likewise."
    )
    masks: bool = Field(default=True, description="Make masks, which needs pycocotools.")

    def read(self, classes: ClassNames | None) -> DataSet:
        """See `open_coco`."""

        def class_map(names: Sequence[str]) -> ClassMap:
            return class_map_for(self.kind, names, classes, self.class_map, "coco2014")

        return open_coco(
            self.root,
            self.split,
            annotations=self.annotations,
            pictures=self.pictures,
            masks=self.masks,
            class_map=class_map,
        )
