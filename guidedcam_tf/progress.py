"""The progress bar of long work: one at a time, that of the outermost."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sized
from contextlib import contextmanager
from typing import Any
from typing import TypeVar

from tqdm import tqdm

DELAY_SECONDS = 5

T = TypeVar("T")

_open: list[tqdm[Any]] = []


def progress(
    items: Iterable[T], description: str, *, total: int | None = None, initial: int = 0
) -> Iterator[T]:
    """Go through items with a bar that shows the rate and the time left.

    It appears on standard error after five seconds, and never where that is not a terminal, nor
    within work that has one.
    """
    if _open:
        yield from items
        return
    if total is None and isinstance(items, Sized):
        total = len(items)
    with progress_bar(description, total=total, initial=initial) as bar:
        for item in items:
            yield item
            bar.update()


@contextmanager
def progress_bar(
    description: str, *, total: int | None = None, initial: int = 0, unit: str = "it"
) -> Iterator[tqdm[Any]]:
    """Give a bar such as `progress` shows, to be updated by hand; `set_postfix` adds numbers."""
    with tqdm(
        desc=description,
        total=total,
        initial=initial,
        unit=unit,
        leave=False,
        delay=DELAY_SECONDS,
        disable=None,
        dynamic_ncols=True,
    ) as bar:
        _open.append(bar)
        try:
            yield bar
        finally:
            _open.remove(bar)
