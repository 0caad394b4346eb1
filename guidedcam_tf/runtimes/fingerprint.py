"""Have the weights of a model changed since they were copied?"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.calls import is_same_value


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
        variables = [weight.value for weight in model.weights]
        # Read one by one they would take a quarter of the time of a forward pass.
        self._read = tf.function(
            lambda: [variable.read_value() for variable in variables], autograph=False
        )
        self._held = self._read()

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
        return not all(map(is_same_value, self._read(), self._held))
