"""The progress of long work: a bar, one at a time, that of the outermost; or whoever watches."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sized
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from typing import TypeVar

from tqdm import tqdm

DELAY_SECONDS = 5

T = TypeVar("T")

_open: list[tqdm[Any]] = []

Watcher = Callable[[str, int, int | None], None]
"""Told of a work's description, how much of it is done, and of how much, before each step."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Tell a function of the progress in this thread, in the place of a bar.

    What the function raises stops the work.
    """
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def progress(
    items: Iterable[T], description: str, *, total: int | None = None, initial: int = 0
) -> Iterator[T]:
    """Go through items with a bar that shows the rate and the time left.

    It appears on standard error after five seconds, and never where that is not a terminal, nor
    within work that has one.
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    if watcher := _watcher.get():
        for done, item in enumerate(items, initial):
            watcher(description, done, total)
            yield item
        return
    if _open:
        yield from items
        return
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
