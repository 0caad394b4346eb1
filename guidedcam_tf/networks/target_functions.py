"""What is explained where it is not a class: numbers that are made of the outputs."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Hashable
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from typing import Protocol
from typing import TypeAlias

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.networks.picture_values import value_for

Outputs: TypeAlias = "tf.Tensor | dict[str, tf.Tensor]"
"""Outputs before a final softmax or sigmoid, float32 `[N, ...]`; of several, a dict by name."""

TargetFunction = Callable[..., tf.Tensor]
"""Turns a network's outputs, and what it is given for each picture, into `[N]`."""

ARGUMENT = "target {}"
"""What an argument of a question is called among the values of pictures."""


class Question(Hashable, Protocol):
    """T numbers that are asked of a network's outputs in the place of its classes.

    It can be compared and hashed: what is compiled for a question serves all equal ones, so
    anything that differs from picture to picture, or from call to call, is an argument.

    Attributes:
        names: What it asks for, for messages.
        arguments: What it takes for each picture, by name.
    """

    @property
    def names(self) -> tuple[str, ...]:
        """What it asks for, for messages."""

    @property
    def arguments(self) -> tuple[tuple[str, tf.TensorSpec], ...]:
        """What it takes for each picture, by name: `[N, ...]` each."""

    def __call__(self, outputs: Outputs, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return the numbers, float32 `[N, T]`."""


@dataclass(frozen=True)
class Functions:
    """The question of functions, one number each.

    Attributes:
        functions: The functions.
        arguments: What they take for each picture: the place of the function, a dot, the name.
    """

    functions: tuple[TargetFunction, ...]
    arguments: tuple[tuple[str, tf.TensorSpec], ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """What the functions are called."""
        return tuple(map(function_name, self.functions))

    def __call__(self, outputs: Outputs, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return the functions of a network's outputs, float32 `[N, len(functions)]`.

        Raises:
            InputError: If a function does not give one number for each picture.
        """
        columns = []
        for place, function in enumerate(self.functions):
            own = {
                name.partition(".")[2]: value
                for name, value in given.items()
                if name.startswith(f"{place}.")
            }
            value = _value(function, outputs, own)
            if value.shape.rank == 2 and value.shape[1] == 1:
                value = value[:, 0]
            if value.shape.rank != 1:
                raise InputError(
                    f"target {function_name(function)!r} must give one number for each picture, "
                    f"shape [N]; from {shapes_of(outputs)} it gave {tuple(value.shape)}"
                )
            columns.append(value)
        return tf.stack(columns, axis=1)


def function_name(function: TargetFunction) -> str:
    """What a function is called in results."""
    return getattr(function, "__name__", type(function).__name__)


def ask(question: Question, outputs: Any) -> tf.Tensor:
    """Return the answer to a question, with the arguments of the pictures that go through."""
    outputs = tf.nest.map_structure(lambda tensor: tf.cast(tensor, tf.float32), outputs)
    first = tf.nest.flatten(outputs)[0]
    given = {
        name: value_for(ARGUMENT.format(name), spec, first) for name, spec in question.arguments
    }
    return question(outputs, given)


def shapes_of(outputs: Outputs) -> str:
    """What outputs there are, for messages."""
    if isinstance(outputs, dict):
        return "outputs " + ", ".join(f"{name!r} {tuple(t.shape)}" for name, t in outputs.items())
    return f"outputs {tuple(outputs.shape)}"


def _value(function: TargetFunction, outputs: Outputs, given: dict[str, tf.Tensor]) -> tf.Tensor:
    try:
        return tf.cast(tf.convert_to_tensor(function(outputs, **given)), tf.float32)
    except InputError:
        raise
    except Exception as error:  # What a user's own function raises on a tensor.
        raise InputError(
            f"target {function_name(function)!r} raised {type(error).__name__}: "
            f"{reason_of(error)}. It gets float32 {shapes_of(outputs)}, and must return one number "
            "for each picture in TensorFlow operations"
        ) from error
