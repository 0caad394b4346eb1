"""Values that come with each picture: what other inputs get, and the arguments of targets.

A function that runs the network takes them beside its own arguments, whatever those are, so that
no method has to know of them.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from contextvars import ContextVar
from types import TracebackType
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError

Specs = Mapping[str, tf.TensorSpec]
"""What values there are, by name: of N pictures, `[N, ...]` each."""

Values = Mapping[str, tf.Tensor]

_given: ContextVar[Values | None] = ContextVar("values of pictures", default=None)

SOME_EXTENT = 8
"""An extent that an input leaves open, where it is tried out."""


class WithValues:
    """A context in which pictures have values; those of an outer one stay."""

    def __init__(self, values: Values) -> None:
        self._values = values

    def __enter__(self) -> None:
        """Begin it."""
        self._token = _given.set({**(_given.get() or {}), **self._values})

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        """End it."""
        _given.reset(self._token)


def given(specs: Specs) -> list[tf.Tensor]:
    """Return the values of the context, in the order of their names.

    Raises:
        InputError: If there is none of a name.
    """
    values = _given.get() or {}
    missing = ", ".join(repr(name) for name in specs if name not in values)
    if missing:
        raise InputError(
            f"the network has further inputs, {missing}, without a value: give each picture its "
            "own, as in maps({'picture': pictures, 'age': ages}), or one for all pictures with "
            "fixed_inputs= (in a configuration and on the command line, an NPZ of them)"
        )
    return [values[name] for name in specs]


def value_for(name: str, spec: tf.TensorSpec, pictures: tf.Tensor) -> tf.Tensor:
    """Return a value for each of the pictures that go through the network, `[N, ...]`.

    There is one for each of them, or one picture's for all of its copies.
    """
    (value,) = given({name: spec})
    shape = tf.concat([tf.shape(pictures)[:1], tf.shape(value)[1:]], axis=0)
    return tf.ensure_shape(tf.broadcast_to(value, shape), spec.shape)


def samples(specs: Specs) -> dict[str, tf.Tensor]:
    """Return values of one picture to try a network out with, the same each time."""
    generator, found = np.random.default_rng(0), {}
    for name, spec in specs.items():
        shape = [1, *(side or SOME_EXTENT for side in spec.shape[1:])]
        if spec.dtype.is_floating:
            found[name] = tf.cast(generator.uniform(size=shape), spec.dtype)
        else:
            found[name] = tf.zeros(shape, spec.dtype)
    return found


def compiler_with_values(compiler: Callable[..., Any], specs: Specs) -> Callable[..., Any]:
    """Return a compiler whose functions also take the values of the context they are called in.

    Args:
        compiler: From a function and its signature to the function compiled.
        specs: The values that the function's network has; if none, the compiler is returned.
    """
    if not specs:
        return compiler

    def compile_with_values(
        function: Callable[..., Any], signature: Sequence[Any]
    ) -> Callable[..., Any]:
        def taking_values(values: Sequence[tf.Tensor], *arguments: Any) -> Any:
            with WithValues(dict(zip(specs, values, strict=True))):
                return function(*arguments)

        return _WithContext(compiler(taking_values, [list(specs.values()), *signature]), specs)

    return compile_with_values


class _WithContext:
    """A compiled function that gets the values of the context beside its arguments."""

    def __init__(self, compiled: Any, specs: Specs) -> None:
        self._compiled = compiled
        self._specs = specs

    def __call__(self, *arguments: Any) -> Any:
        return self._compiled(given(self._specs), *arguments)

    def __getattr__(self, name: str) -> Any:
        """What else the compiled function has, such as its trace."""
        return getattr(self._compiled, name)


def cut(values: Mapping[str, Any], part: slice) -> dict[str, Any]:
    """Return the values of some of the pictures."""
    return {name: value[part] for name, value in values.items()}


def one_by_one(
    explain: Callable[..., Values], pictures: tf.Tensor, class_ids: tf.Tensor, values: Values
) -> dict[str, tf.Tensor]:
    """Explain pictures one after another, for passes that take copies of them in any order.

    Args:
        explain: Gives tensors `[N, ...]` by name, from pictures, targets and values of N.
        pictures: The pictures, `[N, ...]`.
        class_ids: Their targets, `[N, T]`.
        values: Their values, `[N, ...]` by name.
    """
    parts = [slice(place, place + 1) for place in range(len(pictures))]
    found = [explain(pictures[part], class_ids[part], cut(values, part)) for part in parts]
    return {name: tf.concat([each[name] for each in found], axis=0) for name in found[0]}
