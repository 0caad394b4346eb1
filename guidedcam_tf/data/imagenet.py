"""ImageNet as it is kept: a folder a class, a list, or the official validation set."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from guidedcam_tf.data.folder import PICTURE_SUFFIXES
from guidedcam_tf.data.folder import find_pictures
from guidedcam_tf.data.labels_file import read_labels
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.synsets import GROUND_TRUTH
from guidedcam_tf.data.synsets import read_ground_truth
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import imagenet_classes

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

    Raises:
        InputError: If the folder has none of these forms, or a list cannot be read.
    """
    root = Path(root)
    folders = [path for path in _entries(root) if _WNID.fullmatch(path.name) and path.is_dir()]
    if labels is None and folders:
        return _from_folders(root, folders)
    usual = (
        root / "labels.csv",
        root / GROUND_TRUTH,
        root / "ILSVRC2012_devkit_t12" / "data" / GROUND_TRUTH,
    )
    file = Path(labels) if labels is not None else next(filter(Path.exists, usual), None)
    if file is None:
        raise _wrong(root, f"{root} has no folders named by wnid, no labels.csv, no ground truth")
    if not file.is_file() or not root.is_dir():
        raise _wrong(root, f"there is no list {file}" if root.is_dir() else f"there is no {root}")
    if _is_ground_truth(file):
        indices = read_ground_truth(file, Path(synsets) if synsets is not None else None)
        return _from_validation(root, indices)
    return _from_list(root, file)


def _from_folders(root: Path, folders: list[Path]) -> DataSet:
    known = imagenet_classes().wnids
    samples: list[Sample] = []
    skipped = []
    for folder in folders:
        if folder.name not in known:
            message = f"{folder} is none of the 1000 classes"
            skipped.append(Skipped(folder.name, "bad label", message))
            continue
        annotate = _annotator(known.index(folder.name))
        samples += (
            Sample(path.relative_to(root).as_posix(), path, annotate)
            for path in sorted(find_pictures(folder))
        )
    if not samples:
        raise _wrong(root, f"the folders in {root} hold no picture of a known class")
    return DataSet("imagenet", root, tuple(samples), tuple(skipped))


def _from_validation(root: Path, indices: list[int]) -> DataSet:
    folders = (root, root / "images", root / "val")
    pictures = next(filter(None, ([*_pictures(folder)] for folder in folders)), [])
    samples, skipped = [], []
    for path in pictures:
        found = _VALIDATION.fullmatch(path.name)
        if found and 1 <= int(found[1]) <= len(indices):
            samples.append(Sample(path.name, path, _annotator(indices[int(found[1]) - 1])))
        else:
            message = f"{path} has no line in the ground truth, which has {len(indices)}"
            skipped.append(Skipped(path.name, "bad label", message))
    if not samples:
        raise _wrong(root, f"{root} holds no picture named ILSVRC2012_val_ and its number")
    return DataSet("imagenet", root, tuple(samples), tuple(skipped))


def _from_list(root: Path, file: Path) -> DataSet:
    indices, skipped = read_labels(file)
    samples = []
    for name in sorted(indices):
        try:
            samples.append(Sample(name, _find_picture(root, name), _annotator(*indices[name])))
        except SampleError as error:
            skipped.append(Skipped(name, error.reason, f"{file}: {error}"))
    return DataSet("imagenet", root, tuple(samples), tuple(skipped))


def _find_picture(root: Path, name: str) -> Path:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise SampleError("bad label", f"{name} lies outside of {root}")
    places = (root / name, root / "images" / name, root / "val" / name)
    found = next(filter(Path.is_file, places), None)
    if found is None:
        raise SampleError("missing picture", f"{name} is not in {root}, its images/ or its val/")
    return found


def _annotator(*indices: int) -> partial[Annotation]:
    names = imagenet_classes().names
    labels = tuple(Label(names[index], (index,)) for index in indices)
    return partial(_annotate, annotation=Annotation(labels))


def _annotate(shape: tuple[int, int], *, annotation: Annotation) -> Annotation:
    return annotation


def _is_ground_truth(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8") as stream:
            return stream.readline().strip().isdecimal()
    except (OSError, UnicodeDecodeError):
        return False


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _pictures(folder: Path) -> Iterator[Path]:
    return (path for path in _entries(folder) if path.suffix.lower() in PICTURE_SUFFIXES)


def _wrong(root: Path, problem: str) -> InputError:
    return wrong_tree(root, problem, _EXPECTED)
