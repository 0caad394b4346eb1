"""From the class names of PASCAL VOC and MS-COCO to the ImageNet classes that stand for them."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import imagenet_classes

SHIPPED = "class_map.yaml"

_ENTRY = re.compile(r"(?P<first>\d+)(-(?P<last>\d+))? (?P<names>.+)")


@dataclass(frozen=True)
class ClassMap:
    """The ImageNet indices of each name of one data set.

    Attributes:
        data_set: `"voc2012"` or `"coco2014"`.
        class_ids: The indices of each name in rising order; none where no class stands for it.
        unmapped: Why there is none, for each such name.
        notes: What was decided about a name.
        sha256: Of the file, for a manifest.
    """

    data_set: str
    class_ids: Mapping[str, tuple[int, ...]]
    unmapped: Mapping[str, str]
    notes: Mapping[str, str]
    sha256: str

    def find(self, name: str) -> tuple[int, ...]:
        """Return the indices of a name; none where it is unmapped or not in the map."""
        return self.class_ids.get(name, ())


def read_class_map(data_set: str, file: str | os.PathLike[str] | None = None) -> ClassMap:
    """Read a data set's class map.

    Args:
        data_set: `"voc2012"` or `"coco2014"`.
        file: A YAML file in the form of the one that is shipped, which is the default.

    Raises:
        InputError: If the file is missing, has no map of that data set, or has an entry of another
            form, an index out of range or with another class's name, or a class twice.
    """
    source = resources.files(__package__).joinpath(SHIPPED) if file is None else Path(file)
    try:
        text = source.read_text("utf-8")
        document = yaml.safe_load(text)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"class map {source} cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get(data_set), dict):
        held = ", ".join(map(str, document)) if isinstance(document, dict) else "no maps"
        raise InputError(f"class map {source} has no map of {data_set!r}; it holds {held}")
    class_ids: dict[str, tuple[int, ...]] = {}
    unmapped: dict[str, str] = {}
    notes: dict[str, str] = {}
    owners: dict[int, str] = {}
    for name, entry in document[data_set].items():
        where = f"class map {source}, {data_set}, {name!r}"
        classes, reason, note = _check_entry(entry, where)
        indices = sorted(index for text in classes for index in _indices(text, where))
        class_ids[name] = tuple(indices)
        for index in indices:
            if index in owners:
                raise InputError(f"{where}: {index} also stands for {owners[index]!r}")
            owners[index] = name
        if reason:
            unmapped[name] = reason
        if note:
            notes[name] = note
    digest = hashlib.sha256(text.encode()).hexdigest()
    return ClassMap(data_set, class_ids, unmapped, notes, digest)


def _check_entry(entry: Any, where: str) -> tuple[list[str], str, str]:
    if isinstance(entry, dict) and set(entry) <= {"classes", "note", "unmapped"}:
        classes, reason = entry.get("classes", []), entry.get("unmapped", "")
        note = entry.get("note", "")
        listed = isinstance(classes, list) and all(isinstance(text, str) for text in classes)
        texts = isinstance(reason, str) and isinstance(note, str)
        if listed and texts and bool(classes) != bool(reason):
            return classes, reason, note
    raise InputError(
        f"{where}: expected either 'classes', a list such as [404 airliner], or 'unmapped', a "
        f"reason, and perhaps a 'note'; received {entry!r}"
    )


def _indices(text: str, where: str) -> range:
    """Read `"404 airliner"` or `"281-285 tabby .. Egyptian cat"`."""
    names = imagenet_classes().names
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise InputError(f"{where}: expected an index and its name; received {text!r}")
    first = int(found["first"])
    last = int(found["last"] or first)
    if not first <= last < len(names):
        raise InputError(f"{where}: {text!r} is no range of indices from 0 to {len(names) - 1}")
    expected = names[first] if found["last"] is None else f"{names[first]} .. {names[last]}"
    if found["names"] != expected:
        raise InputError(f"{where}: {text!r} should be called {expected!r}")
    return range(first, last + 1)
