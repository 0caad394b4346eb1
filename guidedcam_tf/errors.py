"""The exceptions of the package that are the caller's to mend."""

from __future__ import annotations


class InputError(ValueError):
    """Raised where what a caller passed in cannot be used.

    The message names the argument, what was expected and what came. The command line prints it as
    one line and exits with 2.
    """


class WeightsError(InputError):
    """Raised where no source has a network's ImageNet weights."""


def input_error_behind(error: BaseException) -> InputError | None:
    """Return the `InputError` that TensorFlow wrapped while it compiled a function, if any."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, InputError):
        behind = behind.__cause__ or behind.__context__
    return behind
