"""What was left out of a data set, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from guidedcam_tf.errors import InputError

Reason = Literal[
    "bad annotation",
    "bad label",
    "bad mask",
    "bad value",
    "box outside the picture",
    "empty list",
    "ends the process",
    "mask of another size",
    "missing annotation",
    "missing mask",
    "missing picture",
    "not in the data set",
    "unreadable picture",
]


class SampleError(InputError):
    """Raised where one picture's data cannot be used; `load` turns it into a `Skipped`."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Skipped:
    """Something that was left out.

    Attributes:
        id: The sample's identifier, or the list's or folder's name.
        reason: What kind of fault it is; runs count by it.
        message: The fault itself, with the file.
    """

    id: str
    reason: Reason
    message: str


def count_reasons(skipped: Iterable[Skipped]) -> dict[str, int]:
    """Count what was left out by reason, in alphabetical order."""
    return dict(sorted(Counter(entry.reason for entry in skipped).items()))
