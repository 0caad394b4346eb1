"""The saliency methods, one file each, and the registry that finds them by name."""

from __future__ import annotations

import difflib
from dataclasses import fields
from typing import Any

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.gradcam import GradCAM
from guidedcam_tf.methods.guided import Guided

METHODS: dict[str, type[Method]] = {method.name: method for method in (Guided, GradCAM)}
"""Every method by its name, the proposed one first."""


def list_methods() -> list[str]:
    """The names of the methods, the proposed one first."""
    return list(METHODS)


def get_method(method: str | Method, **options: Any) -> Method:
    """Return a method by its name, with its options.

    Args:
        method: A name from `list_methods()`, or a method that is made already.
        **options: The method's options by name; they override those of a method already made.

    Raises:
        InputError: If the name is unknown (the message offers the nearest), or if the method has no
            such option.
    """
    if isinstance(method, Method):
        known, given = type(method), {f.name: getattr(method, f.name) for f in fields(method)}
    elif method in METHODS:
        known, given = METHODS[method], {}
    else:
        nearest = difflib.get_close_matches(str(method), METHODS, n=3, cutoff=0.3)
        raise InputError(
            f"method {method!r} is not known; nearest: {', '.join(nearest) or 'none'}; "
            f"expected one of {', '.join(METHODS)}"
        )
    allowed = [field.name for field in fields(known)]
    for option in options:
        if option not in allowed:
            raise InputError(
                f"method {known.name!r} has no option {option!r}; "
                f"it has {', '.join(allowed) or 'none'}"
            )
    return known(**{**given, **options})


__all__ = ["METHODS", "GradCAM", "Guided", "Method", "get_method", "list_methods"]
