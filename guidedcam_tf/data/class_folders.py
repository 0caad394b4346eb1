"""A folder for each class, as `keras.utils.image_dataset_from_directory` reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Sequence
from typing import Literal

from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import class_map_for
from guidedcam_tf.data.folder import find_pictures
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import Constant
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.tree import wrong_tree
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.storage import as_path

_EXPECTED = """
ROOT/cat/any name.jpg     a folder for each class, named after it
ROOT/dog/other name.png   pictures may also lie in folders below
"""


def open_class_folders(
    root: str | os.PathLike[str], class_map: Callable[[Sequence[str]], ClassMap]
) -> DataSet:
    """Find the pictures in the folders of a folder; each has the label of its folder.

    A sample's identifier is its path from the root, with `/`. Pictures that lie in no class's
    folder are skipped.

    Args:
        root: The folder of folders.
        class_map: Finds which of the network's classes stand for the folders' names.

    Raises:
        InputError: If there is no such folder, or no picture in its folders.
    """
    root = as_path(root)
    pictures = sorted(find_pictures(root))
    inside = [path for path in pictures if path.parent != root]
    if not inside:
        raise wrong_tree(root, f"{root} has no folders with pictures", _EXPECTED)
    names = sorted({path.relative_to(root).parts[0] for path in inside})
    found = class_map(names)
    labels = {name: Label(found.called(name), found.find(name)) for name in names}
    annotate = {name: Constant(Annotation((label,))) for name, label in labels.items()}
    samples = tuple(
        Sample(path.relative_to(root).as_posix(), path, annotate[path.relative_to(root).parts[0]])
        for path in inside
    )
    skipped = tuple(
        Skipped(path.name, "bad label", f"{path} lies in no class's folder")
        for path in pictures
        if path.parent == root
    )
    return DataSet("class_folders", root, samples, skipped, found)


class ClassFoldersConfig(DataSetConfig):
    """A folder for each class, named after it."""

    kind: Literal["class_folders"] = "class_folders"

    def read(self, classes: ClassNames | None) -> DataSet:
        """See `open_class_folders`."""
        return open_class_folders(
            self.root, lambda names: class_map_for(self.kind, names, classes, self.class_map)
        )
