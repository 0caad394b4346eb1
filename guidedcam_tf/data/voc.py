"""PASCAL VOC 2012: palette masks, and boxes from XML."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml
from PIL import Image

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.boxes import from_voc
from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import read_class_map
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.errors import InputError

CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)
"""The names in the order of the masks' values, 1 to 20."""

VOID = 255
"""The value of pixels that belong to no class."""

_EXPECTED = """
ROOT/JPEGImages/2007_000033.jpg
ROOT/ImageSets/Segmentation/val.txt         a picture's name a line: 2007_000033
ROOT/SegmentationClass/2007_000033.png      palette masks: 0, classes 1 to 20, void 255
ROOT/Annotations/2007_000033.xml            boxes
(ROOT may also be the folder that holds VOC2012 or VOCdevkit/VOC2012)
"""


def open_voc(
    root: str | os.PathLike[str],
    split: str = "val",
    *,
    image_set: str = "Segmentation",
    masks: bool = True,
    annotations: Sequence[str] = ("Annotations",),
    class_map: ClassMap | None = None,
) -> DataSet:
    """Find the pictures of one of PASCAL VOC 2012's lists.

    With masks, a picture has a label for each class in its mask or its XML. Where it has no XML its
    labels have no boxes, and the mask has to do: boxes around the mask's connected parts would join
    what touches and are not VOC's. Without masks, a picture's labels are those of its XML, and one
    without XML is skipped.

    Args:
        root: The folder with `JPEGImages`, or one that holds `VOC2012` or `VOCdevkit/VOC2012`.
        split: `"train"`, `"val"`, `"trainval"`, or another list of the image set.
        image_set: The folder of lists: `"Segmentation"`, or `"Main"`, most of whose pictures have
            no mask.
        masks: Read the masks, and skip pictures without one.
        annotations: Folders of XML in the order in which a picture's is looked for.
        class_map: By default the one that is shipped.

    Raises:
        InputError: If the folder is missing or laid out otherwise.
    """
    root = _find_root(Path(root))
    names = _read_names(root, image_set, split)
    for folder in ("JPEGImages", *(["SegmentationClass"] if masks else annotations)):
        if not (root / folder).is_dir():
            raise _wrong(root, f"{root} has no folder {folder}")
    annotate = partial(
        _annotate,
        root=root,
        masks=masks,
        folders=tuple(annotations),
        class_map=class_map or read_class_map("voc2012"),
    )
    samples, skipped = [], []
    for name in names:
        picture = root / "JPEGImages" / f"{name}.jpg"
        if picture.is_file():
            samples.append(Sample(name, picture, partial(annotate, name=name)))
        else:
            skipped.append(Skipped(name, "missing picture", f"{picture} does not exist"))
    if not names:
        which = f"{image_set}/{split}.txt"
        skipped.append(Skipped(which, "empty list", f"{which} in {root} names no picture"))
    return DataSet("voc2012", root, tuple(samples), tuple(skipped))


def _find_root(root: Path) -> Path:
    for candidate in (root, root / "VOC2012", root / "VOCdevkit" / "VOC2012"):
        if (candidate / "JPEGImages").is_dir():
            return candidate
    raise _wrong(root, f"{root} is not the folder of PASCAL VOC 2012")


def _read_names(root: Path, image_set: str, split: str) -> list[str]:
    folder = root / "ImageSets" / image_set
    files = [folder / f"{split}.txt"]
    if split == "trainval" and not files[0].exists():
        files = [folder / "train.txt", folder / "val.txt"]
    try:
        lines = [line for file in files for line in file.read_text("utf-8").splitlines()]
    except (OSError, UnicodeDecodeError):
        raise _wrong(root, f"{files[-1]} is missing or cannot be read") from None
    # The lists of ImageSets/Main have a second column, -1, 0 or 1, where they are about one class.
    return sorted({line.split()[0] for line in lines if line.strip()})


def _annotate(
    shape: tuple[int, int],
    *,
    name: str,
    root: Path,
    masks: bool,
    folders: tuple[str, ...],
    class_map: ClassMap,
) -> Annotation:
    mask = _read_mask(root / "SegmentationClass" / f"{name}.png", shape) if masks else None
    files = (root / folder / f"{name}.xml" for folder in folders)
    file = next((file for file in files if file.exists()), None)
    if mask is None and file is None:
        raise SampleError("missing annotation", f"{name} has no XML in {', '.join(folders)}")
    objects = _read_objects(file, shape) if file else {}
    inside = np.zeros(VOID + 1, int) if mask is None else _count_values(mask)
    labels = []
    for value, class_name in enumerate(CLASSES, start=1):
        if class_name in objects or inside[value]:
            boxes = objects.get(class_name)
            labels.append(
                Label(
                    name=class_name,
                    class_ids=class_map.find(class_name),
                    boxes=tuple(box for box, _ in boxes) if boxes else None,
                    difficult=tuple(difficult for _, difficult in boxes or ()),
                    crowd=(False,) * len(boxes or ()),
                    mask=None if mask is None else mask == value,
                )
            )
    return Annotation(tuple(labels), None if mask is None else mask == VOID)


def _read_mask(file: Path, shape: tuple[int, int]) -> np.ndarray:
    """Read a mask of class numbers, uint8 `[H, W]`."""
    if not file.exists():
        raise SampleError("missing mask", f"{file} does not exist")
    try:
        with Image.open(file) as image:
            mode, values = image.mode, np.array(image)
    # Pillow may raise anything on damaged bytes.
    except Exception as error:
        raise SampleError("bad mask", f"{file} cannot be read: {error}") from error
    if mode not in ("P", "L"):
        raise SampleError(
            "bad mask", f"{file} has mode {mode}; expected a palette of class numbers"
        )
    if values.shape != shape:
        raise SampleError(
            "mask of another size",
            f"{file} is {values.shape[1]} x {values.shape[0]} pixels, "
            f"its picture {shape[1]} x {shape[0]}",
        )
    strange = np.flatnonzero(_count_values(values)[len(CLASSES) + 1 : VOID])
    if strange.size:
        raise SampleError(
            "bad mask",
            f"{file} holds {len(CLASSES) + 1 + strange[0]}; "
            f"expected 0 to {len(CLASSES)}, or {VOID} for void",
        )
    return values


def _count_values(mask: np.ndarray) -> np.ndarray:
    return np.bincount(mask.ravel(), minlength=VOID + 1)


def _read_objects(file: Path, shape: tuple[int, int]) -> dict[str, list[tuple[Box, bool]]]:
    """Read an XML file's boxes and their `difficult` flags, by class."""
    try:
        tree = parse_xml(file)
    except DefusedXmlException as error:
        message = f"{file} declares entities or a document type of its own: {error}"
        raise SampleError("bad annotation", message) from error
    except (OSError, ParseError, ValueError, LookupError) as error:
        raise SampleError(
            "bad annotation", f"{file} is no XML that can be read: {error}"
        ) from error
    objects: dict[str, list[tuple[Box, bool]]] = {}
    for element in tree.findall("object"):
        name = (element.findtext("name") or "").strip()
        if name not in CLASSES:
            raise SampleError("bad annotation", f"{file} has an object {name!r}, no class of VOC")
        corners = [_number(element, f"bndbox/{side}", file) for side in _SIDES]
        try:
            box = from_voc(corners, shape)
        except InputError as error:
            raise SampleError("box outside the picture", f"{file}: {error}") from error
        difficult = (element.findtext("difficult") or "0").strip() != "0"
        objects.setdefault(name, []).append((box, difficult))
    return objects


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def _number(element: Any, path: str, file: Path) -> float:
    text = element.findtext(path)
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SampleError("bad annotation", f"{file} has {path} {text!r}; expected a number")
    return number


def _wrong(root: Path, problem: str) -> InputError:
    return wrong_tree(root, problem, _EXPECTED)
