"""PASCAL VOC 2012, and trees that are laid out alike: palette masks, and boxes from XML."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Annotated
from typing import Literal

import numpy as np
from pydantic import Field

from guidedcam_tf.configuring import EACH_ONCE
from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import class_map_for
from guidedcam_tf.data.class_map import read_class_map
from guidedcam_tf.data.folder import PICTURE_SUFFIXES
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tree import is_file
from guidedcam_tf.data.tree import read_lines
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.data.voc_files import VOID
from guidedcam_tf.data.voc_files import count_values
from guidedcam_tf.data.voc_files import read_mask
from guidedcam_tf.data.voc_files import read_objects
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.storage import as_path

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

_EXPECTED = """
ROOT/JPEGImages/2007_000033.jpg
ROOT/ImageSets/Segmentation/val.txt         a picture's name a line: 2007_000033
ROOT/SegmentationClass/2007_000033.png      palette masks: 0, classes 1 to 20, void 255
ROOT/Annotations/2007_000033.xml            boxes
(boxes without masks: image_set: Main, with the lists of ImageSets/Main)
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
    classes: Sequence[str] = CLASSES,
    first_pixel: int = 1,
) -> DataSet:
    """Find the pictures of one of the lists of PASCAL VOC, or of a tree that is laid out alike.

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
        classes: The names of the masks' values from 1; objects in XML have one of them.
        first_pixel: The number of the first pixel in boxes: 1, or 0 as many tools write them.

    Raises:
        InputError: If the folder is missing or laid out otherwise.
    """
    root = _find_root(as_path(root))
    lines = _read_names(root, image_set, split)
    for folder in ("JPEGImages", *(["SegmentationClass"] if masks else annotations)):
        if not (root / folder).is_dir():
            raise _wrong(root, f"{root} has no folder {folder}")
    class_map = class_map or read_class_map("voc2012")
    annotate = partial(
        _annotate,
        class_map=class_map,
        classes=tuple(classes),
        first_pixel=first_pixel,
    )
    pictures = _find_pictures(root)
    # The lists of ImageSets/Main have a second column, -1, 0 or 1, where they are about one class.
    names = sorted({line if line in pictures else line.split()[0] for line in lines})
    samples, skipped = [], []
    for name in names:
        if name in pictures:
            mask = root / "SegmentationClass" / f"{name}.png" if masks else None
            boxes = tuple(root / folder / f"{name}.xml" for folder in annotations)
            read = partial(annotate, mask_file=mask, box_files=boxes)
            files = boxes if mask is None else (mask, *boxes)
            samples.append(Sample(name, pictures[name], read, annotations=files))
        else:
            message = f"{root / 'JPEGImages'} has no picture {name:.200}"
            skipped.append(Skipped(name, "missing picture", message))
    if not names:
        which = f"{image_set}/{split}.txt"
        skipped.append(Skipped(which, "empty list", f"{which} in {root} names no picture"))
    return DataSet("voc2012", root, tuple(samples), tuple(skipped), class_map)


def _find_root(root: Path) -> Path:
    years = [Path(kit) / year for kit in ("", "VOCdevkit") for year in ("VOC2012", "VOC2007")]
    for candidate in (root, *(root / year for year in years)):
        if (candidate / "JPEGImages").is_dir():
            return candidate
    raise _wrong(root, f"{root} is not the folder of PASCAL VOC 2012")


def _read_names(root: Path, image_set: str, split: str) -> list[str]:
    folder = root / "ImageSets" / image_set
    files = [folder / f"{split}.txt"]
    if split == "trainval" and not is_file(files[0]):
        files = [folder / "train.txt", folder / "val.txt"]
    try:
        return [line for file in files for line in read_lines(file)]
    except (OSError, ValueError):
        raise _wrong(root, f"{files[-1]} is missing or cannot be read") from None


def _find_pictures(root: Path) -> dict[str, Path]:
    """The pictures by their names without suffix; of several, the `.jpg`."""
    found = sorted(
        path for path in (root / "JPEGImages").iterdir() if path.suffix.lower() in PICTURE_SUFFIXES
    )
    return {path.stem: path for path in sorted(found, key=lambda path: path.suffix == ".jpg")}


def _annotate(
    frame: Frame,
    *,
    mask_file: Path | None,
    box_files: tuple[Path, ...],
    class_map: ClassMap,
    classes: tuple[str, ...],
    first_pixel: int,
) -> Annotation:
    mask = read_mask(mask_file, frame, classes) if mask_file else None
    file = next(filter(is_file, box_files), None)
    if mask is None and file is None:
        files = ", ".join(map(str, box_files))
        raise SampleError("missing annotation", f"none of {files} is there")
    objects = read_objects(file, frame, classes, first_pixel) if file else {}
    inside = np.zeros(VOID + 1, int) if mask is None else count_values(mask)
    labels = []
    for value, class_name in enumerate(classes, start=1):
        if class_name in objects or inside[value]:
            things = objects.get(class_name, [])
            labels.append(
                Label(
                    name=class_name,
                    class_ids=class_map.find(class_name),
                    boxes=tuple(thing.box for thing in things) or None,
                    difficult=tuple(thing.difficult for thing in things),
                    crowd=(False,) * len(things),
                    mask=None if mask is None or not inside[value] else mask == value,
                )
            )
    return Annotation(tuple(labels), None if mask is None else mask == VOID)


class VocConfig(DataSetConfig):
    """PASCAL VOC, or a tree that is laid out alike."""

    has_objects = True

    kind: Literal["voc2012", "voc"] = "voc2012"
    split: str = Field(default="val", description="val, train, trainval, or another list.")
    image_set: str = Field(
        default="Segmentation", description="The folder of lists: Segmentation or Main."
    )
    masks: bool | None = Field(
        default=None, description="Read masks. By default of the lists in Segmentation only."
    )
    classes: Annotated[tuple[str, ...], EACH_ONCE] = Field(
        default=CLASSES,
        min_length=1,
        max_length=VOID - 1,
        description="The classes in the order of the masks' values from 1, where not VOC's.",
    )
    first_pixel: Literal[0, 1] = Field(
        default=1, description="The number of the first pixel in boxes."
    )

    def read(self, classes: ClassNames | None) -> DataSet:
        """See `open_voc`."""
        shipped = "voc2012" if self.classes == CLASSES else ""
        return open_voc(
            self.root,
            self.split,
            image_set=self.image_set,
            masks=self.image_set == "Segmentation" if self.masks is None else self.masks,
            class_map=class_map_for(self.kind, self.classes, classes, self.class_map, shipped),
            classes=self.classes,
            first_pixel=self.first_pixel,
        )


def _wrong(root: Path, problem: str) -> InputError:
    return wrong_tree(root, problem, _EXPECTED)
