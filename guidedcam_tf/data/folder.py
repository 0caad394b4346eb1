"""A plain folder of pictures, without labels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import Constant
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import files_below

PICTURE_SUFFIXES = frozenset(
    f".{kind}"
    for kinds in (
        "apng avif bmp dds dib gif heic heif icns ico j2c j2k jfif jp2 jpc jpe jpeg jpf jpg jpx",
        "jxl mpo npy pbm pcx pgm png pnm ppm psd qoi ras sgi tga tif tiff webp xbm",
    )
    for kind in kinds.split()
)
"""How pictures' files end. Those that cannot be read here are counted as unreadable."""

_EXPECTED = """
ROOT/any name.jpg     pictures, also in folders below
ROOT/folder/other.png
"""


def open_folder(root: str | os.PathLike[str]) -> DataSet:
    """Find the pictures of a folder and of the folders in it, in alphabetical order.

    A sample's identifier is its path from the root, with `/`. Files count as pictures by
    their suffix (`PICTURE_SUFFIXES`); hidden ones are left out.

    Raises:
        InputError: If there is no such folder or it holds no picture.
    """
    root = as_path(root)
    samples = tuple(
        Sample(path.relative_to(root).as_posix(), path, Constant(Annotation()))
        for path in sorted(find_pictures(root))
    )
    if not samples:
        raise wrong_tree(root, f"{root} holds no picture", _EXPECTED)
    return DataSet("folder", root, samples)


class FolderConfig(DataSetConfig):
    """A folder of pictures without labels."""

    kind: Literal["folder"] = "folder"

    def read(self, classes: ClassNames | None) -> DataSet:
        """See `open_folder`."""
        return open_folder(self.root)


def find_pictures(folder: Path) -> Iterator[Path]:
    """Find the files in a folder, and in those below, that have a picture's suffix."""
    return (
        path
        for path in files_below(folder)
        if path.suffix.lower() in PICTURE_SUFFIXES
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
