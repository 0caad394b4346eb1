"""Options of methods: typed fields, checked when a method is made, also from text."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import field
from dataclasses import fields
from functools import wraps
from typing import Annotated
from typing import Any
from typing import Literal
from typing import TypeVar
from typing import get_args
from typing import get_origin
from typing import get_type_hints

import yaml
from pydantic import ConfigDict
from pydantic import Field
from pydantic import ValidationError
from pydantic.dataclasses import dataclass
from typing_extensions import dataclass_transform

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown

SEEDS = 2**63

Count = Annotated[int, Field(ge=1), "a whole number of at least 1"]
Seed = Annotated[int, Field(ge=0, lt=SEEDS), f"a whole number from 0 to {SEEDS - 1}"]
Amount = Annotated[float, Field(ge=0, allow_inf_nan=False), "a finite number of at least 0"]
Fraction = Annotated[float, Field(gt=0, lt=1), "a number between 0 and 1"]
"""Types of options. The words are what an error says was expected."""

M = TypeVar("M", bound=type)


def option(default: Any, meaning: str) -> Any:
    """Declare an option of a method: a dataclass field with words for `guidedcam methods`."""
    return field(default=default, metadata={"help": meaning})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(option,))
def method(kind: M) -> M:
    """Make a method's class a frozen dataclass whose options are checked.

    Methods of one class with the same options are equal, and so share one compiled kernel.

    Raises:
        InputError: From the class, if there is no such option, or its value has another form.
    """
    checked: Any = dataclass(frozen=True, kw_only=True, config=ConfigDict(strict=True))(kind)
    make: Callable[..., None] = checked.__init__

    @wraps(make)
    def __init__(self: Any, **options: Any) -> None:  # noqa: N807
        allowed = [each.name for each in fields(checked)]
        for name in options:
            if name not in allowed:
                raise InputError(
                    f"method {kind.name!r} has no option {shown(name)}; "  # type: ignore[attr-defined]
                    f"it has {', '.join(allowed) or 'none'}"
                )
        try:
            make(self, **options)
        except ValidationError as error:
            name = str(error.errors()[0]["loc"][0])
            raise InputError(
                f"{kind.name}: {name} must be "  # type: ignore[attr-defined]
                f"{expected(checked, name)}; received {shown(options[name])}"
            ) from None

    checked.__init__ = __init__
    return checked


def expected(kind: type, name: str) -> str:
    """Say what an option of a method can be."""
    hint = get_type_hints(kind, include_extras=True)[name]
    if get_origin(hint) is Literal:
        return f"one of {', '.join(map(repr, get_args(hint)))}"
    if hint is bool:
        return "True or False"
    return next(words for words in hint.__metadata__ if isinstance(words, str))


def options_from_text(texts: Sequence[str]) -> dict[str, Any]:
    """Read options that are given as text.

    Args:
        texts: `name=value` each, the value as in YAML: `"steps=20"`, `"relu=false"`,
            `"sizes=224,448"` for a list, `"sizes=null"` for None.

    Returns:
        The values by name, for `get_method`.

    Raises:
        InputError: If a text has another form, or a name comes twice.

    Example:
        >>> options_from_text(["steps=20", "baseline=black", "noise=1e-3", "sizes=224,448"])
        {'steps': 20, 'baseline': 'black', 'noise': 0.001, 'sizes': [224, 448]}
    """
    found: dict[str, Any] = {}
    for text in texts:
        name, equals, value = (part.strip() for part in text.partition("="))
        if not (name and equals and value):
            raise InputError(f"option {text!r} must be name=value, such as steps=20")
        if name in found:
            raise InputError(f"option {name!r} is given twice; expected one value")
        found[name] = _value(text, value)
    return found


def _value(text: str, value: str) -> Any:
    try:
        listed = yaml.safe_load(f"[{value}]")
    except (yaml.YAMLError, ValueError):
        raise InputError(f"option {text!r} must be name=value, the value as in YAML") from None
    values = [_number(each) for each in listed]
    return values[0] if len(values) == 1 else values


def _number(value: Any) -> Any:
    """YAML 1.1 reads 1e-3, without a point, as text."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
