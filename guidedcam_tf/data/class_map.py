"""From a data set's class names to the network's classes that stand for them."""

from __future__ import annotations

import hashlib
import os
import re
import reprlib
from collections import Counter
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from guidedcam_tf.configuring import read_yaml
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.networks.classes import imagenet_classes
from guidedcam_tf.networks.classes import plain_name
from guidedcam_tf.storage import as_path

SHIPPED = "class_map.yaml"

_ENTRY = re.compile(r"(?P<first>\d{1,9})(-(?P<last>\d{1,9}))? (?P<names>.+)")


MOST_NAMED = 3
"""How many names an error shows."""

UNMATCHED = "no class of the network has this name"
ABSENT = "the class map does not have this name"


@dataclass(frozen=True)
class ClassMap:
    """The network's classes that stand for each name of one data set.

    Attributes:
        data_set: The kind of data set, such as `"voc2012"`.
        class_ids: The indices of each name in rising order; none where no class stands for it.
        unmapped: Why there is none, for each such name.
        notes: What was decided about a name.
        sha256: Of the file, for a manifest.
        by_name: Whether it was made by comparing names.
        spellings: By each name the one of `class_ids` that is the same class.
    """

    data_set: str
    class_ids: Mapping[str, tuple[int, ...]]
    unmapped: Mapping[str, str]
    notes: Mapping[str, str]
    sha256: str
    by_name: bool = False
    spellings: Mapping[str, str] = field(default_factory=dict)

    def called(self, name: str) -> str:
        """Return the one name of a class that the data set spells in several ways."""
        return self.spellings.get(name, name)

    def find(self, name: str) -> tuple[int, ...]:
        """Return the indices of a name; none where it is unmapped or not in the map."""
        return self.class_ids.get(self.called(name), ())

    def template(self, classes: ClassNames) -> str:
        """Write it as YAML for `read_class_map`, with all of the network's classes as a comment."""
        entries: dict[str, Any] = {
            name: {"classes": [f"{index} {classes.names[index]}" for index in ids]}
            if ids
            else {"unmapped": self.unmapped[name]}
            for name, ids in self.class_ids.items()
        }
        text = yaml.safe_dump({self.data_set: entries}, sort_keys=False, allow_unicode=True)
        listed = [f"#   {index} {name}" for index, name in enumerate(classes.names)]
        head = [
            "# Which of the network's classes stand for each name of the data set. To finish it,",
            "# put 'classes: [INDEX NAME, ...]' in place of 'unmapped', and name this file as",
            "# data.class_map. The network's classes:",
        ]
        return "\n".join([*head, *listed, text])

    def check(self, classes: ClassNames) -> None:
        """Raise `InputError` if there are names and none of them was found."""
        if not self.class_ids or len(self.unmapped) < len(self.class_ids):
            return
        theirs, own = list(self.class_ids)[:MOST_NAMED], list(classes.names[:MOST_NAMED])
        if not self.by_name:
            raise InputError(
                f"data.class_map gives none of the {len(self.class_ids)} class names of "
                f"{self.data_set} ({', '.join(theirs)}, ...) a class of the network"
            )
        raise InputError(
            f"none of the {len(self.class_ids)} class names of {self.data_set} "
            f"({', '.join(theirs)}, ...) is the name of one of the network's "
            f"{len(classes.names)} classes ({', '.join(own)}, ...): give the network's class_names "
            "in the order of its outputs, or a data.class_map"
            + (", or data.classes where they are not VOC's" if self.data_set[:3] == "voc" else "")
        )


def class_map_for(
    data_set: str,
    names: Iterable[str],
    classes: ClassNames | None,
    file: Path | None = None,
    shipped: str = "",
) -> ClassMap:
    """Find which of a network's classes stand for the names of a data set.

    Names are spellings of one class where they stand for the same class of the network, or for none
    and case, underscores and hyphens alone tell them apart. It is called as the file or the shipped
    map calls it, or else by the first of them.

    Args:
        data_set: The kind of data set.
        names: Its names.
        classes: The network's classes; `None` where it does not matter, so that none stands for
            any.
        file: A class map to read instead.
        shipped: The name of the shipped map that holds where the classes are ImageNet's and it
            has all the names.

    Returns:
        The names' part of the file's map; the shipped one; or each name with the class of that
        name, if any.

    Raises:
        InputError: As `read_class_map`.
    """
    if classes is None:
        return ClassMap(data_set, {}, {}, {}, "")
    names = tuple(names)
    if file is not None:
        read = read_class_map(data_set, file, classes)
        spellings = _spellings(names, read)
        class_ids = {name: read.find(name) for name in spellings.values()}
        unmapped = {n: read.unmapped.get(n, ABSENT) for n, ids in class_ids.items() if not ids}
        return replace(read, class_ids=class_ids, unmapped=unmapped, spellings=spellings)
    if shipped and are_imagenet(classes):
        of_imagenet = read_class_map(shipped)
        spellings = _spellings(names, of_imagenet)
        if set(spellings.values()) <= set(of_imagenet.class_ids):
            return replace(of_imagenet, spellings=spellings)
    firsts: dict[str | tuple[int, ...], str] = {}
    found = {name: _named(name, classes) for name in names}
    spellings = {n: firsts.setdefault(ids or plain_name(n), n) for n, ids in found.items()}
    class_ids = {name: found[name] for name in firsts.values()}
    unmapped = {name: UNMATCHED for name, ids in class_ids.items() if not ids}
    made = ClassMap(data_set, class_ids, unmapped, {}, "", by_name=True, spellings=spellings)
    return replace(made, sha256=hashlib.sha256(made.template(classes).encode()).hexdigest())


def _spellings(names: Sequence[str], given: ClassMap) -> dict[str, str]:
    """Return by each name the one in a given map, or else the first, that differs in spelling."""
    count = Counter(map(plain_name, given.class_ids))
    firsts = {plain_name(n): n for n in given.class_ids if count[plain_name(n)] == 1}
    return {
        name: name if name in given.class_ids else firsts.setdefault(plain_name(name), name)
        for name in names
    }


def are_imagenet(classes: ClassNames) -> bool:
    """Whether classes are ImageNet's, in Keras's order, with spaces or underscores."""
    names = [name.replace("_", " ") for name in classes.names]
    return names == list(imagenet_classes().names)


def _named(name: str, classes: ClassNames) -> tuple[int, ...]:
    """The one class of that name. A number is a name here, never an index."""
    if name.strip().isdecimal() and name.strip() not in classes.names:
        return ()
    try:
        return (classes.find(name),)
    except InputError:
        return ()


def read_class_map(
    data_set: str,
    file: str | os.PathLike[str] | None = None,
    classes: ClassNames | None = None,
) -> ClassMap:
    """Read a data set's class map.

    Args:
        data_set: The kind of data set; the shipped map has `"voc2012"` and `"coco2014"`.
        file: A YAML file in the form of the one that is shipped, which is the default.
        classes: The network's classes, by default ImageNet's.

    Raises:
        InputError: If the file is missing, has no map of that data set, or has an entry of another
            form, an index out of range or with another class's name, or a class twice.
    """
    source = resources.files(__package__).joinpath(SHIPPED) if file is None else as_path(file)
    try:
        text = source.read_text("utf-8-sig")
        document = read_yaml(text)
    # PyYAML lets through whatever making an impossible date, number or key raises.
    except Exception as error:
        raise InputError(f"class map {source} cannot be read: {error}") from error
    if not isinstance(document, dict) or not isinstance(document.get(data_set), dict):
        held = ", ".join(map(str, document)) if isinstance(document, dict) else "no maps"
        raise InputError(f"class map {source} has no map of {data_set!r}; it holds {held}")
    known = imagenet_classes() if classes is None else classes
    class_ids: dict[str, tuple[int, ...]] = {}
    unmapped: dict[str, str] = {}
    notes: dict[str, str] = {}
    owners: dict[int, str] = {}
    for name, entry in document[data_set].items():
        where = f"class map {source}, {data_set}, {name!r}"
        texts, reason, note = _check_entry(entry, where)
        indices = sorted(index for text in texts for index in _indices(text, known, where))
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
        f"reason, and perhaps a 'note'; received {reprlib.repr(entry)}"
    )


def _indices(text: str, classes: ClassNames, where: str) -> range:
    """Read `"404 airliner"` or `"281-285 tabby .. Egyptian cat"`."""
    names = classes.names
    found = _ENTRY.fullmatch(text)
    if found is None:
        raise InputError(f"{where}: expected an index and its name; received {shown(text)}")
    first = int(found["first"])
    last = int(found["last"] or first)
    if not first <= last < len(names):
        raise InputError(f"{where}: {text!r} is not a range of indices from 0 to {len(names) - 1}")
    expected = names[first] if found["last"] is None else f"{names[first]} .. {names[last]}"
    if found["names"] != expected:
        raise InputError(f"{where}: {text!r} should be called {expected!r}")
    return range(first, last + 1)
