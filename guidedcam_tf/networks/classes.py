"""The names of a network's classes, and finding a class by its name."""

from __future__ import annotations

import csv
import difflib
import json
import re
import unicodedata
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from numbers import Integral
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown


@dataclass(frozen=True)
class ClassNames:
    """What the outputs of a network are called.

    Attributes:
        names: One name a class, in the order of the outputs; spaces or underscores.
        wnids: WordNet identifiers such as `"n02123045"` in the same order; empty where the classes
            are not ImageNet's.
    """

    names: tuple[str, ...]
    wnids: tuple[str, ...] = ()

    def ids(self, target: str) -> list[int]:
        """Return the index of a class as `find` does, or `[-1, ..., -K]`, the K best, for `topK`.

        Raises:
            InputError: As `find`, or if there are fewer than K classes.
        """
        if not (match := re.fullmatch(r"top(\d+)", target)):
            return [self._find(target, "a class name, a wnid, 'top1' or 'topK'")]
        if not 1 <= int(match[1]) <= len(self.names):
            raise InputError(
                f"target {shown(target)} is out of range: the network has {len(self.names)} classes"
            )
        return list(range(-1, -1 - int(match[1]), -1))

    def find(self, target: str) -> int:
        """Return the index of the class with that name, wnid or index, written as text.

        Case and the choice of space, underscore or hyphen do not matter, unless they alone tell two
        classes apart (ImageNet's `Cardigan` is a dog, `cardigan` a garment).

        Raises:
            InputError: If no class or several have that name. The message offers the nearest.
        """
        return self._find(target, "a class name or a wnid")

    def _find(self, target: str, expected: str) -> int:
        if target in self.wnids:
            return self.wnids.index(target)
        exact = [i for i, name in enumerate(self.names) if _spaced(name) == _spaced(target)]
        if len(exact) == 1:
            return exact[0]
        plain = plain_name(target)
        alike = exact or [i for i, name in enumerate(self.names) if plain_name(name) == plain]
        if len(alike) == 1:
            return alike[0]
        if alike:
            raise InputError(
                f"target {shown(target)} is the name of {len(alike)} classes; "
                f"say which by its index or wnid: {self._listing(alike)}"
            )
        if target.strip().isdecimal() and len(target) < 20:
            return self.check(int(target))
        raise InputError(
            f"target {shown(target)} is not a class of this network; expected an index from 0 to "
            f"{len(self.names) - 1}, {expected}; "
            f"nearest names: {self._listing(self._nearest(target)) or 'none'}"
        )

    def check(self, index: int) -> int:
        """Return the index if it is a class. Raises `InputError` if it is out of range."""
        if not 0 <= index < len(self.names):
            raise InputError(
                f"target {index} is out of range: the network has {len(self.names)} classes, "
                f"0 to {len(self.names) - 1}"
            )
        return index

    def _nearest(self, target: str, count: int = 5) -> list[int]:
        plain = [plain_name(name) for name in self.names]
        wanted = plain_name(target)
        inside = [i for i, name in enumerate(plain) if wanted and wanted in name]
        inside.sort(key=lambda i: (wanted not in plain[i].split(), not plain[i].endswith(wanted)))
        similar = difflib.get_close_matches(wanted, plain, n=count, cutoff=0.6)
        return list(dict.fromkeys(inside + [plain.index(name) for name in similar]))[:count]

    def _listing(self, indices: list[int]) -> str:
        def entry(index: int) -> str:
            wnid = f", {self.wnids[index]}" if self.wnids else ""
            return f"{_spaced(self.names[index])} ({index}{wnid})"

        return ", ".join(entry(index) for index in indices)


def _spaced(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name).replace("_", " ").split())


def plain_name(name: str) -> str:
    """Return a class's name without what does not matter in it: case, underscores, hyphens."""
    return _spaced(name.replace("-", " ")).casefold()


@cache
def imagenet_classes() -> ClassNames:
    """The 1000 ImageNet classes in Keras's order, as shipped with the package."""
    text = resources.files(__package__).joinpath("imagenet_classes.csv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines()))
    return ClassNames(
        names=tuple(_spaced(row["name"]) for row in rows), wnids=tuple(row["wnid"] for row in rows)
    )


def class_names_for(count: int, given: Sequence[str] | Mapping[Any, Any] | None) -> ClassNames:
    """Return the names of a network with `count` classes.

    Args:
        count: The number of classes.
        given: The user's names in the order of the outputs, or a mapping between names and indices
            in either direction, such as `class_indices` of Keras's generators. A name is text,
            UTF-8 bytes, or a number. With `None`, 1000 classes are taken to be ImageNet's, and
            others are called `"class 0"`, `"class 1"`, ...

    Raises:
        InputError: If there are more or fewer names than classes, if a mapping's indices are not
            those of the classes, or if a name is no text, empty, or of several lines.
    """
    if given is None:
        if count == 1000:
            return imagenet_classes()
        return ClassNames(tuple(f"class {index}" for index in range(count)))
    if isinstance(given, Mapping):
        return ClassNames(_lines(_by_index(given, count)))
    if not _is_list(given):
        raise InputError(
            f"class_names must be one name for each of the network's {count} classes; "
            f"received {shown(given)}"
        )
    if len(given) != count:
        raise InputError(f"class_names has {len(given)} names, the network {count} classes")
    return ClassNames(_lines(tuple(map(_text, given))))


def _is_list(given: Any) -> bool:
    has_length = hasattr(given, "__len__") and not isinstance(given, (str, bytes))
    return has_length and getattr(given, "ndim", 1) > 0


def _text(name: Any) -> str:
    """A class's name, which may be an element of an array or a tensor, as text."""
    value = np.asarray(name).item() if hasattr(name, "__array__") and not np.ndim(name) else name
    try:
        value = value.decode() if isinstance(value, bytes) else value
    except UnicodeDecodeError as error:
        raise InputError(
            f"class_names must be text, or bytes of UTF-8; received {shown(value)}"
        ) from error
    if not isinstance(value, (str, Real)) or value != value:
        raise InputError(
            f"class_names must be text, a name for each class; received {shown(name)} as one"
        )
    return str(value)


def _lines(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names that can be kept with one on each line."""
    for index, name in enumerate(names):
        if not name.strip():
            raise InputError(
                f"class_names has an empty name for class {index}; give it one, as 'class {index}'"
            )
        if "".join(name.splitlines()) != name:
            raise InputError(f"class_names must be of one line each; received {shown(name)}")
    return names


def _by_index(given: Mapping[Any, Any], count: int) -> tuple[str, ...]:
    names = _names_of_indices(given)
    if len(names) != len(given) or sorted(names) != list(range(count)):
        raise InputError(
            f"class_names must have the indices 0 to {count - 1} once each, one for each of the "
            f"network's {count} classes; received {sorted(names)[:10]} of {len(given)} entries"
        )
    return tuple(names[index] for index in range(count))


def _names_of_indices(given: Mapping[Any, Any]) -> dict[int, str]:
    """Turn a mapping so that it is from index to name; names may be numbers as text."""

    def is_number(value: Any) -> bool:
        return isinstance(value, Integral) and not isinstance(value, bool)

    def is_index(value: Any) -> bool:
        return is_number(value) or (isinstance(value, str) and value.isdecimal())

    for are_indices in (is_number, is_index):
        of_keys, of_values = all(map(are_indices, given)), all(map(are_indices, given.values()))
        by_key = {int(key): _text(value) for key, value in given.items()} if of_keys else {}
        by_value = {int(value): _text(key) for key, value in given.items()} if of_values else {}
        if of_keys and of_values and by_key != by_value:
            raise InputError(
                "class_names maps numbers to numbers, so it is in doubt which are the indices; "
                f"give the names as text and the indices as numbers; received {shown(given)}"
            )
        if of_keys or of_values:
            return by_key or by_value
    raise InputError("class_names, if a mapping, must be between names and indices from 0")


def read_class_names(path: Path) -> list[str] | dict[str, Any]:
    """Read class names from a file, for `class_names_for`.

    Args:
        path: A text with a name a line; or, ending in `.json`, a list of names or a mapping between
            names and indices.

    Raises:
        InputError: If it cannot be read, or is none of these.
    """
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"class_names {path} cannot be read: {reason}") from error
    if path.suffix.lower() != ".json":
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"class_names {path} is not JSON: {error}") from error
    entries = [*found, *found.values()] if isinstance(found, dict) else found
    if not isinstance(found, (list, dict)) or not all(isinstance(x, (str, int)) for x in entries):
        raise InputError(
            f"class_names {path} must hold a list of names, or names with their indices"
        )
    return found


def names_of_output(
    shape: tuple[int | None, ...], given: Sequence[str] | None, *, has_pair: bool
) -> ClassNames | None:
    """Name the classes of an output; `None` where it is not `[N, classes]`.

    Of an output `[N, ..., classes]` the names are checked.

    Args:
        shape: The output's shape.
        given: As `class_names_for` takes them; one name is enough for one unit.
        has_pair: Whether the two classes are those of one unit.

    Raises:
        InputError: If there are more or fewer names than classes.
    """
    if has_pair and given is not None and _is_list(given) and len(given) == 1:
        names = _names_of_indices(given).values() if isinstance(given, Mapping) else given
        (name,) = map(_text, names)
        given = [f"not {name}", name]
    if len(shape) == 2 and shape[1] is not None:
        return class_names_for(shape[1], given)
    if len(shape) > 2 and shape[-1] is not None and given is not None:
        class_names_for(shape[-1], given)
    return None
