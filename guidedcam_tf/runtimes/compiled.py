"""A function of tensors that is traced by TensorFlow and run by something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf


class Compiled:
    """Calls `run`, in the form of the function it was made of.

    While TensorFlow traces another function, such as an export's, it is the `tf.function` itself.

    Args:
        live: A `tf.function` of one signature.
    """

    def __init__(self, live: Any) -> None:
        self.live = live
        self.python_function = live.python_function

    def get_concrete_function(self) -> Any:
        """The function as TensorFlow traces it."""
        return self.live.get_concrete_function()

    def experimental_get_tracing_count(self) -> int:
        """How often TensorFlow has traced it."""
        return self.live.experimental_get_tracing_count()

    def __call__(self, *arguments: Any) -> Any:
        """Run the function on tensors or arrays, or lists and dicts of them."""
        if not tf.executing_eagerly():
            return self.live(*arguments)
        specs = tf.nest.flatten(self.live.input_signature)
        arrays = [
            np.asarray(value, spec.dtype.as_numpy_dtype)
            for value, spec in zip(tf.nest.flatten(list(arguments)), specs, strict=True)
        ]
        structure = self.get_concrete_function().structured_outputs
        return tf.nest.pack_sequence_as(structure, self.run(arrays))

    def run(self, arguments: Sequence[np.ndarray]) -> list[tf.Tensor]:
        """Run the function on its flat arguments, and return its flat results."""
        raise NotImplementedError


def named_flat(function: Any) -> Any:
    """A `tf.function` of one signature as a concrete function of its flat arguments."""
    signature = function.input_signature
    specs = [
        tf.TensorSpec(spec.shape, spec.dtype, f"argument{place}")
        for place, spec in enumerate(tf.nest.flatten(signature))
    ]

    def flat(*arguments: tf.Tensor) -> list[tf.Tensor]:
        results = function.python_function(*tf.nest.pack_sequence_as(signature, arguments))
        return tf.nest.flatten(results)

    return tf.function(flat, input_signature=specs, autograph=False).get_concrete_function()
