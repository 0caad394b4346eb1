"""How a traced function is run: by TensorFlow, or by a runtime that takes a copy of the weights."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.runtimes import kinds
from guidedcam_tf.runtimes.runtime import PRECISIONS
from guidedcam_tf.runtimes.runtime import Runtime


def list_runtimes() -> list[str]:
    """The names of the runtimes: the modules in `runtimes/kinds`, TensorFlow first."""
    names = [module.name for module in pkgutil.iter_modules(kinds.__path__)]
    return sorted(names, key=lambda name: (name != "tensorflow", name))


def open_runtime(name: str = "tensorflow", precision: str = "float32") -> Runtime:
    """Return a runtime by its name.

    Args:
        name: One of `list_runtimes()`.
        precision: `"float32"`, or `"bfloat16"` where the runtime computes in it.

    Raises:
        InputError: If there is no such runtime or precision, the runtime does not compute in it, or
            what it needs is not installed.
    """
    if name not in list_runtimes():
        raise InputError(
            f"runtime {shown(name)} is not known; expected one of {', '.join(list_runtimes())}"
        )
    if precision not in PRECISIONS:
        raise InputError(
            f"precision {shown(precision)} is not known; expected one of {', '.join(PRECISIONS)}"
        )
    runtime: Runtime = import_module(f"{kinds.__name__}.{name}").open_runtime(precision)
    return runtime


__all__ = ["PRECISIONS", "Runtime", "list_runtimes", "open_runtime"]
