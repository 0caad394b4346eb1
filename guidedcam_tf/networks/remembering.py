"""Keeping what was found out about a network for as long as the network is there."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any
from typing import TypeVar
from weakref import WeakKeyDictionary

Found = TypeVar("Found", bound=Callable[..., Any])


def remembered(function: Found) -> Found:
    """Call a function of a network and other hashable arguments once for each of them.

    Unlike `functools.lru_cache` it keeps no network, and so no model, from being given up.
    """
    kept: WeakKeyDictionary[Any, dict[tuple[Any, ...], Any]] = WeakKeyDictionary()

    @wraps(function)
    def call(network: Any, *arguments: Any) -> Any:
        answers = kept.setdefault(network, {})
        if arguments not in answers:
            answers[arguments] = function(network, *arguments)
        return answers[arguments]

    return call  # type: ignore[return-value]
