"""ImageNet as it is kept: a folder a class, a list, or the official validation set."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field

from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import are_imagenet
from guidedcam_tf.data.class_map import class_map_for
from guidedcam_tf.data.folder import PICTURE_SUFFIXES
from guidedcam_tf.data.folder import find_pictures
from guidedcam_tf.data.labels_file import read_labels
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import Constant
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.synsets import GROUND_TRUTH
from guidedcam_tf.data.synsets import read_ground_truth
from guidedcam_tf.data.tables import find_picture
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.networks.classes import imagenet_classes
from guidedcam_tf.storage import as_path

_EXPECTED = f"""
a folder a class:
  ROOT/n02123045/any name.JPEG
or a list:
  ROOT/labels.csv             with columns file and index (Keras's, 0 to 999) or wnid
  ROOT/images/any name.JPEG   or in ROOT or ROOT/val
  (labels= names another list: .csv, or a text with a file and a class a line)
or the official validation set:
  ROOT/ILSVRC2012_val_00000001.JPEG          or in ROOT/images or ROOT/val
  ROOT/{GROUND_TRUTH}   or in ROOT/ILSVRC2012_devkit_t12/data; labels= names it elsewhere
  and meta.mat or map_clsloc.txt beside the ground truth; synsets= names it elsewhere
"""

_WNID = re.compile(r"n\d{8}")
_VALIDATION = re.compile(r"ILSVRC2012_val_(\d{8})\.\w+", re.IGNORECASE)


def open_imagenet(
    root: str | os.PathLike[str],
    labels: str | os.PathLike[str] | None = None,
    *,
    synsets: str | os.PathLike[str] | None = None,
    class_map: Callable[[Sequence[str]], ClassMap] | None = None,
) -> DataSet:
    """Find ImageNet's pictures and their classes, in one of three forms.

    - A folder a class: folders in `root` named by wnid, with pictures in them or below.
    - A list, `labels.csv` or a text; see `read_labels`. A picture that it names several times with
      different classes has all of them.
    - The official validation set with `ILSVRC2012_validation_ground_truth.txt`. Its numbers are
      ILSVRC's own, not Keras's indices, so the development kit's `meta.mat` or `map_clsloc.txt` is
      needed too. Only the pictures that are there count, so a part of the set will do.

    Which it is, is seen from what is there, in this order. A sample's identifier is its path from
    the folder of pictures, with `/`; samples are in alphabetical order.

    Args:
        root: The folder.
        labels: The list, or the ground truth, where its name or place is another.
        synsets: `meta.mat` or `map_clsloc.txt`, where it is not beside the ground truth.
        class_map: Finds which of the network's classes stand for ImageNet's names, where the
            network's classes are not ImageNet's.

    Raises:
        InputError: If the folder has none of these forms, or a list cannot be read.
    """
    root = as_path(root)
    folders = [path for path in _entries(root) if _WNID.fullmatch(path.name) and path.is_dir()]
    lists: tuple[Path, ...] = ()
    if labels is None and folders:
        found, skipped = _from_folders(root, folders)
    else:
        lists = (_find_list(root, labels),)
        found, skipped = _from_file(root, lists[0], synsets)
    names = imagenet_classes().names
    used = dict.fromkeys(names[index] for _, _, indices in found for index in indices)
    mapped = class_map(tuple(used)) if class_map else None

    def annotation(indices: tuple[int, ...]) -> Constant:
        return Constant(
            Annotation(
                tuple(
                    Label(names[index], mapped.find(names[index]) if mapped else (index,))
                    for index in indices
                )
            )
        )

    annotations = {indices: annotation(indices) for indices in {entry[2] for entry in found}}
    samples = tuple(Sample(name, path, annotations[indices]) for name, path, indices in found)
    return DataSet("imagenet", root, samples, tuple(skipped), mapped, lists)


Identified = list[tuple[str, Path, tuple[int, ...]]]
"""Identifiers, pictures and ImageNet's indices."""

Found = tuple[Identified, list[Skipped]]


def _find_list(root: Path, labels: str | os.PathLike[str] | None) -> Path:
    usual = (
        root / "labels.csv",
        root / GROUND_TRUTH,
        root / "ILSVRC2012_devkit_t12" / "data" / GROUND_TRUTH,
    )
    beside = (path for path in usual if path.exists())
    file = as_path(labels) if labels is not None else next(beside, None)
    if file is None:
        raise _wrong(root, f"{root} has no folders named by wnid, no labels.csv, no ground truth")
    if not file.is_file() or not root.is_dir():
        raise _wrong(root, f"there is no list {file}" if root.is_dir() else f"there is no {root}")
    return file


def _from_file(root: Path, file: Path, synsets: str | os.PathLike[str] | None) -> Found:
    if _is_ground_truth(file):
        indices = read_ground_truth(file, as_path(synsets) if synsets is not None else None)
        return _from_validation(root, indices)
    return _from_list(root, file)


def _from_folders(root: Path, folders: list[Path]) -> Found:
    known = imagenet_classes().wnids
    found: Identified = []
    skipped = []
    for folder in folders:
        if folder.name not in known:
            message = f"{folder} is none of the 1000 classes"
            skipped.append(Skipped(folder.name, "bad label", message))
            continue
        index = known.index(folder.name)
        found += [
            (path.relative_to(root).as_posix(), path, (index,))
            for path in sorted(find_pictures(folder))
        ]
    if not found:
        raise _wrong(root, f"the folders in {root} hold no picture of a known class")
    return found, skipped


def _from_validation(root: Path, indices: list[int]) -> Found:
    folders = (root, root / "images", root / "val")
    pictures = next(filter(None, ([*_pictures(folder)] for folder in folders)), [])
    found: Identified = []
    skipped = []
    for path in pictures:
        match = _VALIDATION.fullmatch(path.name)
        if match and 1 <= int(match[1]) <= len(indices):
            found.append((path.name, path, (indices[int(match[1]) - 1],)))
        else:
            message = f"{path} has no line in the ground truth, which has {len(indices)}"
            skipped.append(Skipped(path.name, "bad label", message))
    if not found:
        raise _wrong(root, f"{root} holds no picture named ILSVRC2012_val_ and its number")
    return found, skipped


def _from_list(root: Path, file: Path) -> Found:
    indices, skipped = read_labels(file)
    found: Identified = []
    for name in sorted(indices):
        try:
            found.append((name, find_picture(root, name), tuple(indices[name])))
        except SampleError as error:
            skipped.append(Skipped(name, error.reason, f"{file}: {error}"))
    return found, skipped


def _is_ground_truth(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig") as stream:
            return stream.readline().strip().isdecimal()
    except (OSError, UnicodeDecodeError):
        return False


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in _entries(folder) if path.suffix.lower() in PICTURE_SUFFIXES)


def _wrong(root: Path, problem: str) -> InputError:
    return wrong_tree(root, problem, _EXPECTED)


class ImageNetConfig(DataSetConfig):
    """ImageNet, a part of it, or pictures that are labelled with its classes."""

    kind: Literal["imagenet"] = "imagenet"
    labels: str | None = Field(
        default=None, description="The list of labels or the ground truth, where not the usual."
    )

    def read(self, classes: ClassNames | None) -> DataSet:
        """See `open_imagenet`."""
        if classes is not None and are_imagenet(classes) and self.class_map is None:
            return open_imagenet(self.root, self.labels)
        return open_imagenet(
            self.root,
            self.labels,
            class_map=lambda names: class_map_for(self.kind, names, classes, self.class_map),
        )
