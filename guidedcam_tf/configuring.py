"""Configurations: YAML read into a pydantic model, with errors that name the key."""

from __future__ import annotations

import difflib
import math
from collections import Counter
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import TypeVar
from typing import get_args

import yaml
from pydantic import AfterValidator
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import PlainSerializer
from pydantic import ValidationError
from pydantic import WrapValidator
from pydantic import model_validator
from pydantic_core import InitErrorDetails
from pydantic_core import PydanticCustomError

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import is_remote

DEEPEST = 20
MOST = 10_000
"""How many levels of keys and lists a configuration may have, and how many values."""


class Strict(BaseModel):
    """A part of a configuration; a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _no_switches(cls, raw: Any) -> Any:
        """Refuse yes and no where they are not asked for; pydantic takes them as 1 and 0."""
        said = "yes and no (true and false) are no values of it"
        wrong = [
            InitErrorDetails(type=PydanticCustomError("switch", said), loc=(name,), input=raw[name])
            for name, field in cls.model_fields.items()
            if isinstance(raw, Mapping) and _has_switch(raw.get(name))
            if not _takes_switches(field.annotation)
        ]
        if wrong:
            raise ValidationError.from_exception_data(cls.__name__, wrong)
        return raw


def _has_switch(value: Any) -> bool:
    values = value if isinstance(value, (list, tuple)) else (value,)
    return any(isinstance(each, bool) for each in values)


def _takes_switches(annotation: Any) -> bool:
    return annotation is bool or any(map(_takes_switches, get_args(annotation)))


def _any_path(value: Any, check: Callable[[Any], Path]) -> Path:
    found = as_path(value) if isinstance(value, str) else value
    return found if is_remote(found) else check(value)


def each_once(values: Sequence[Any]) -> Sequence[Any]:
    """Return values that name rows or runs, and raise `InputError` if one is there twice."""
    labels = Counter(str(getattr(value, "label", value)) for value in values)
    twice = [label for label, count in labels.items() if count > 1]
    if twice:
        raise InputError(f"{', '.join(twice)} is named twice; expected each once")
    return values


EACH_ONCE = AfterValidator(each_once)
"""Of a tuple whose entries name rows, because a table has one place for each."""


def _folder_name(name: str) -> str:
    if not name.strip(". ") or not name.isprintable() or set(name) & set("/\\"):
        raise InputError("expected a folder's name, without / and control characters")
    return name


FolderName = Annotated[str, AfterValidator(_folder_name)]
"""The name of a folder in another, not a path to elsewhere."""

AnyPath = Annotated[Path, WrapValidator(_any_path), PlainSerializer(str, when_used="json")]
"""A path, or a URL of a store; see `guidedcam_tf.storage`."""

Config = TypeVar("Config", bound=BaseModel)


def read_config(path: Path, model: type[Config], settings: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: A YAML file. With a key `extends`, which names another file from this one's folder,
            it holds only the top-level keys that differ.
        model: What it must be.
        settings: Changes as `"key.key=value"`, the value in YAML.

    Raises:
        InputError: If the file or a setting cannot be read, or if a key is unknown, missing, or of
            another type. The message names the key's path, and the nearest keys.
    """
    return validate(read_keys(path, settings), model, f"config {path}")


def validate(raw: Mapping[str, Any], model: type[Config], origin: str) -> Config:
    """Check keys and values against a model.

    Args:
        raw: The keys and values.
        model: What they must be.
        origin: Where they come from, for the message.

    Raises:
        InputError: If a key is unknown, missing, or of another type.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(problem, model) for problem in error.errors()]
        raise InputError(f"{origin}: " + "; ".join(lines)) from None


def read_keys(path: Path, settings: Sequence[str] = ()) -> dict[str, Any]:
    """Read a configuration's keys, with those of what it extends, before they are checked.

    Raises:
        InputError: If the file or a setting cannot be read.
    """
    raw = _read(path)
    for setting in settings:
        _apply(raw, setting)
    return raw


def _parse(text: str, origin: str) -> Any:
    """Parse YAML.

    Raises:
        InputError: If it is none, or larger than `MOST` or deeper than `DEEPEST`.
    """
    try:
        size, depth = _extent(text)
        if size > MOST or depth > DEEPEST:
            raise InputError(
                f"{origin} must have at most {MOST} values and {DEEPEST} levels, and no alias of "
                "itself"
            )
        return read_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"{origin} is not YAML: {' '.join(str(error).split())}") from error
    except (AttributeError, TypeError, ValueError) as error:
        # PyYAML lets through what building a date, a number or a key of a mapping raises.
        if isinstance(error, InputError):
            raise
        raise InputError(f"{origin} holds a value that YAML cannot read: {error}") from error


def read_yaml(text: str) -> Any:
    """Read YAML whose keys are texts as they stand, `no` and `007` too, each once in its mapping.

    Raises:
        YAMLError: If it is none; what building a date or a number raises is let through.
    """
    return yaml.load(text, _Loader)


class _Loader(yaml.SafeLoader):
    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        node.value = [(_as_text(key), value) for key, value in node.value]
        keys = Counter(key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode))
        if twice := [key for key, count in keys.items() if count > 1]:
            where = f"in the keys from line {node.start_mark.line + 1}"
            raise yaml.YAMLError(f"key {', '.join(twice):.200} is there twice {where}")
        return node


def _as_text(key: yaml.Node) -> yaml.Node:
    if not isinstance(key, yaml.ScalarNode) or key.tag == "tag:yaml.org,2002:merge":
        return key
    return yaml.ScalarNode("tag:yaml.org,2002:str", key.value, key.start_mark, key.end_mark)


def _extent(text: str) -> tuple[float, float]:
    """How many values a YAML text has and how deep it is, with each alias (*name) written out."""
    anchors: dict[str, tuple[float, float]] = {}
    open_: list[tuple[str | None, float, float]] = [(None, 0, 0)]
    for event in yaml.parse(text, yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_.append((event.anchor, 0, 0))
            if len(open_) > DEEPEST + 1:
                break
            continue
        if isinstance(event, yaml.AliasEvent):
            # An alias of what is still open would never end.
            within = any(anchor == event.anchor for anchor, _, _ in open_)
            size, depth = (math.inf, math.inf) if within else anchors.get(str(event.anchor), (1, 0))
        elif isinstance(event, yaml.ScalarEvent):
            size, depth = 1.0, 0.0
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, size, depth = open_.pop()
            size, depth = size + 1, depth + 1
            if anchor is not None:
                anchors[anchor] = size, depth
        else:
            continue
        anchor, sum_, deepest = open_[-1]
        open_[-1] = anchor, sum_ + size, max(deepest, depth)
    return open_[0][1], max(len(open_) - 1, open_[0][2])


def _read(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    try:
        if path.resolve() in extending:
            raise InputError(f"config {path} extends itself")
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise InputError(f"config {path} cannot be read: {reason}") from error
    raw = _parse(text, f"config {path}")
    if not isinstance(raw, dict):
        raise InputError(f"config {path} must hold keys and values; received {shown(raw)}")
    if isinstance(raw.get("paper"), dict) and "file" in raw["paper"]:
        raw["paper"]["file"] = path.parent / str(raw["paper"]["file"])
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str) or "\0" in base:
        raise InputError(f"config {path}: key extends must name a file; received {shown(base)}")
    return {**_read(path.parent / base, (*extending, path.resolve())), **raw}


def _apply(raw: dict[str, Any], setting: str) -> None:
    key, equals, value = setting.partition("=")
    if not equals:
        raise InputError(f"setting {setting!r} must have the form key=value or key.key=value")
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise InputError(f"setting {setting!r}: {parent} is not a group of keys")
    raw[last] = _parse(value, f"setting {setting!r}: the value")


def _explain(problem: Any, model: type[BaseModel]) -> str:
    models, parts = _follow(model, problem["loc"])
    path = ".".join(parts)
    if problem["type"] == "extra_forbidden":
        known = list(models[-1].model_fields)
        nearest = difflib.get_close_matches(parts[-1], known, n=3, cutoff=0.5) or known
        return f"key {path} is unknown; nearest: {', '.join(nearest)}"
    if problem["type"] == "missing":
        return f"key {path} is missing (--set {path}=... gives it)"
    message = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "tuple_type":
        message = "it must be a list, in YAML [first, second]"
    return f"key {path}: {message}; received {shown(problem['input'])}" if path else message


def _follow(
    model: type[BaseModel], location: Sequence[Any]
) -> tuple[list[type[BaseModel]], list[str]]:
    """Follow where a problem is: the models on the way, and the keys.

    Where a key can hold one of several models, the location names which; that is no key.
    """
    models, parts = [model], []
    choices: dict[str, type[BaseModel]] = {}
    for part in location:
        if part in choices:
            models.append(choices[part])
            choices = {}
            continue
        parts.append(str(part))
        field = models[-1].model_fields.get(part) if isinstance(part, str) else None
        inner = field.annotation if field else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            models.append(inner)
        choices = {
            kind: one
            for one in get_args(inner)
            if isinstance(one, type) and issubclass(one, BaseModel) and "kind" in one.model_fields
            for kind in get_args(one.model_fields["kind"].annotation)
        }
    return models, parts or [""]
