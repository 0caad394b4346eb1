"""The progress bar of long work."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from typing import TypeVar

from tqdm import tqdm

DELAY_SECONDS = 5

T = TypeVar("T")


def progress(
    items: Iterable[T], description: str, *, total: int | None = None, initial: int = 0
) -> Iterator[T]:
    """Go through items with a bar that shows the rate and the time left.

    It appears on standard error after five seconds, and never where that is not a terminal.
    """
    return iter(
        tqdm(
            items,
            description,
            total,
            initial=initial,
            leave=False,
            delay=DELAY_SECONDS,
            disable=None,
        )
    )
