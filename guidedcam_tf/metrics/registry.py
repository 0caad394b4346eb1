"""Metrics by their names: what each measures, from what, and which way is better.

A metric is a function of evidence, marked with `metric`, in any file of this folder; its keyword
arguments are its options. Nothing else has to be said anywhere for `guidedcam evaluate` to run it.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from typing import Any
from typing import Literal
from typing import TypeVar

from pydantic import ValidationError
from pydantic import create_model

from guidedcam_tf.configuring import Strict
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown

Need = Literal["truth", "mask"]


@dataclass(frozen=True)
class Metric:
    """A number for a picture and a class; a table has its mean over pairs.

    Attributes:
        name: What the registry and a configuration call it.
        title: What a table calls it.
        higher_is_better: Which way is better.
        reference: Where it comes from.
        evidence: What it measures from: a class of `evidence`.
        function: The measuring; it returns NaN where the metric is not defined.
        needs: What of an `ObjectMap` must be there.
        range: The least and the largest value.
        options: Those that differ from the function's defaults.
    """

    name: str
    title: str
    higher_is_better: bool
    reference: str
    evidence: type
    function: Callable[..., Any]
    needs: Need | None = None
    range: tuple[float, float] = (0.0, 1.0)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def arrow(self) -> str:
        """An arrow up where higher is better, else down."""
        return "↑" if self.higher_is_better else "↓"

    @property
    def label(self) -> str:
        """What a row calls it: the name, with the options in brackets."""
        return self.name + _listed(self.options)

    def measure(self, evidence: Any) -> Any:
        """Return the number, or for arrays of evidence an array of numbers."""
        return self.function(evidence, **self.options)


METRICS: dict[str, Metric] = {}
"""Every metric by its name: the paper's seven in the order of its Table 1, then the others."""

PAPER_METRICS = (
    "saliency_increase",
    "context_drop",
    "pointing_game",
    "dice",
    "iou",
    "saliency_drop",
    "context_increase",
)

F = TypeVar("F", bound=Callable[..., Any])


def metric(
    name: str,
    title: str,
    *,
    higher_is_better: bool,
    evidence: type,
    reference: str,
    needs: Need | None = None,
    range: tuple[float, float] = (0.0, 1.0),
) -> Callable[[F], F]:
    """Put a function of evidence into the registry; arguments as `Metric`'s attributes."""

    def register(function: F) -> F:
        METRICS[name] = Metric(
            name, title, higher_is_better, reference, evidence, function, needs, range
        )
        return function

    return register


def discover(folders: Iterable[str], package: str) -> None:
    """Import every file of the folder, so that its metrics register, and put them in order."""
    for module in pkgutil.iter_modules(folders):
        importlib.import_module(f"{package}.{module.name}")
    others = sorted(METRICS.keys() - set(PAPER_METRICS))
    ordered = {name: METRICS[name] for name in (*PAPER_METRICS, *others)}
    METRICS.clear()
    METRICS.update(ordered)


def get_metric(name: str, /, **options: Any) -> Metric:
    """Return a metric by its name.

    Args:
        name: The name.
        **options: In place of the defaults.

    Raises:
        InputError: If there is none, or an option is unknown or of another form. The message
            offers the nearest names.

    Example:
        >>> get_metric("insertion", start="mean").label
        'insertion (start=mean)'
    """
    if not isinstance(name, str) or name not in METRICS:
        nearest = difflib.get_close_matches(str(name), METRICS, n=3, cutoff=0.3)
        raise InputError(
            f"metric {name!r} is not known; nearest: {', '.join(nearest) or 'none'}; "
            f"expected one of {', '.join(METRICS)}"
        )
    found = METRICS[name]
    return replace(found, options=_checked(found, options)) if options else found


def metric_of(label: str) -> Metric:
    """Return the metric of a row's label, with its options in the title."""
    name, bracket, options = label.partition(" (")
    return replace(METRICS[name], title=METRICS[name].title + bracket + options)


def _listed(options: Mapping[str, Any]) -> str:
    if not options:
        return ""
    return f" ({', '.join(f'{key}={value}' for key, value in options.items())})"


def _checked(found: Metric, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options in the types that the function's signature asks for."""
    parameters = inspect.signature(found.function, eval_str=True).parameters
    allowed = {
        name: (each.annotation, each.default)
        for name, each in parameters.items()
        if each.kind is inspect.Parameter.KEYWORD_ONLY
    }
    for name in options:
        if name not in allowed:
            raise InputError(
                f"metric {found.name!r} has no option {name!r}; "
                f"it has {', '.join(allowed) or 'none'}"
            )
    model: Any = create_model("Options", __base__=Strict, **allowed)  # type: ignore[call-overload]
    try:
        result: dict[str, Any] = model(**options).model_dump(include=set(options))
        return result
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(
            f"metric {found.name!r}: option {first['loc'][0]}: {first['msg']}; "
            f"received {shown(first['input'])}"
        ) from None
