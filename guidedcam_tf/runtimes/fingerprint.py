"""Have the weights of a model changed since they were copied?"""

from __future__ import annotations

from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError


class Fingerprint:
    """A model's weights at one moment, to tell later ones from.

    The values are held, not copied: a variable that is written to while its value is held gets
    other memory, so it costs next to nothing to see that nothing was written.

    Args:
        model: A Keras model.
        runtime: The name of the runtime that keeps a copy of the weights.
    """

    def __init__(self, model: Any, runtime: str) -> None:
        self._model, self._runtime = model, runtime
        self._variables = [weight.value for weight in model.weights]
        self._held = self._weights()

    def check(self) -> None:
        """Raise `InputError` if the weights are others now."""
        if self.changed():
            raise InputError(
                f"the weights of {self._model.name!r} have changed since this explainer was made, "
                f"and runtime={self._runtime!r} keeps a copy of them; make a new Explainer, or "
                "give runtime='tensorflow', which sees weights change"
            )

    def changed(self) -> bool:
        """Whether the weights are others now."""
        return not all(map(_is_same, self._weights(), self._held))

    def _weights(self) -> list[np.ndarray]:
        return [np.asarray(variable.read_value()) for variable in self._variables]


def _is_same(weight: np.ndarray, held: np.ndarray) -> bool:
    if weight.ctypes.data == held.ctypes.data and weight.shape == held.shape:
        return True
    return weight.shape == held.shape and weight.tobytes() == held.tobytes()
