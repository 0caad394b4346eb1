"""The package's exceptions for what the caller can fix."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class InputError(ValueError):
    """Raised where what a caller passed in cannot be used.

    The message names the argument, what was expected and what came. The command line prints it as
    one line and exits with 2.
    """


class WeightsError(InputError):
    """Raised where no source has a network's ImageNet weights."""


class MissingOperationError(InputError):
    """Raised where a runtime lacks an operation of what it is to run.

    Args:
        runtime: What lacks it.
        reason: The operations, or what the runtime says.
    """

    def __init__(self, runtime: str, reason: str) -> None:
        super().__init__(f"{runtime} lacks {reason}")

    def of(self, method: str, layer: str, network: str) -> InputError:
        """The same, with what it was that could not be run."""
        return InputError(
            f"method {method!r} at layer {layer!r} of {network!r} cannot be run: {self}; give "
            "another method or layer, or runtime='tensorflow'"
        )


def input_error_behind(error: BaseException) -> InputError | None:
    """Return the `InputError` that TensorFlow wrapped while it compiled a function, if any."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, InputError):
        behind = behind.__cause__ or behind.__context__
    return behind


@contextmanager
def without_wrapping() -> Iterator[None]:
    """Raise the `InputError` that TensorFlow wrapped while it traced a function, if it is one."""
    try:
        yield
    except Exception as error:
        if (behind := input_error_behind(error)) is None:
            raise
        raise behind from None


def reason_of(error: BaseException) -> str:
    """The line that says why, without what Keras and TensorFlow write before and after it."""
    quoted = isinstance(error, KeyError) and error.args
    text = _DECORATION.sub("", str(error.args[0] if quoted else error))
    text = text.partition("\nArguments received by")[0].rpartition("Exception encountered:")[2]
    lines = [line for line in text.splitlines() if line.strip()]
    told = [line for line in lines if not line[0].isspace() and not line.startswith(_NO_REASON)]
    return _cut((told or lines[-1:] or [type(error).__name__])[0].strip().rstrip("."))


def shown(value: object) -> str:
    """What a user gave, for a message: on one line, and not the whole of what is long."""
    return _cut(re.sub(r"\s*\n\s*", " ", repr(value)))


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


_LONGEST = 200
_DECORATION = re.compile(r"\x1b\[\d*m|\{\{function_node [^}]*\}\} ?| ?\[Op:\w*\]")
_NO_REASON = (
    "Exception encountered when calling",
    "in user code:",
    "Graph execution error",
    "Detected at",
    "Original stack trace",
    "<stack traces",
)


def check_backend() -> None:
    """Refuse, before Keras is imported, that it runs on something else than TensorFlow.

    Raises:
        InputError: If the environment or Keras's own configuration names another backend.
    """
    if "keras" in sys.modules:
        return
    home = Path(os.environ.get("KERAS_HOME") or "~/.keras").expanduser()
    try:
        configured = json.loads((home / "keras.json").read_text("utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        configured = None
    backend = os.environ.get("KERAS_BACKEND") or configured or "tensorflow"
    if backend != "tensorflow":
        raise InputError(
            f"Keras is set to run on {backend!r}, by KERAS_BACKEND or by keras.json; expected "
            "'tensorflow': set the environment variable KERAS_BACKEND=tensorflow"
        )
