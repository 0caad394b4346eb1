"""TensorFlow: any method, any device, and the weights that the model has at each call."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.calls import traced
from guidedcam_tf.runtimes.runtime import Function
from guidedcam_tf.runtimes.runtime import Runtime


class TensorFlow(Runtime):
    """Runs functions as a `tf.function`."""

    name = "tensorflow"
    frozen = False

    def compile(self, function: Function, signature: Sequence[Any]) -> Function:
        """Return the function as a `tf.function` of one trace."""
        compiled: Function = traced(function, signature)
        return compiled


def open_runtime(precision: str) -> Runtime:
    """Return the runtime, which computes in float32 only."""
    if precision != "float32":
        raise InputError(
            f"precision {precision!r} needs runtime='openvino'; TensorFlow computes in 'float32'"
        )
    return TensorFlow()
