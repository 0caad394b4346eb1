"""Have variables changed since they were copied?"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.calls import is_same_value


class Fingerprint:
    """Variables at one moment, to tell later values from.

    The values are held, not copied: a variable that is written to while its value is held gets
    other memory, so it costs next to nothing to see that nothing was written.

    Args:
        variables: The variables.
        called: What they are, for the message.
        runtime: The name of the runtime that keeps a copy of them.
    """

    def __init__(self, variables: Sequence[tf.Variable], called: str, runtime: str) -> None:
        self._called, self._runtime = called, runtime
        # Read one by one they would take a quarter of the time of a forward pass.
        self._read = tf.function(
            lambda: [variable.read_value() for variable in variables], autograph=False
        ).get_concrete_function()
        self._held = self._read()

    def check(self) -> None:
        """Raise `InputError` if the values are others now."""
        if self.changed():
            raise InputError(
                f"{self._called} have changed since this explainer was made, and "
                f"runtime={self._runtime!r} keeps a copy of them; make a new Explainer, or give "
                "runtime='tensorflow', which sees them change"
            )

    def changed(self) -> bool:
        """Whether the values are others now."""
        return not all(map(is_same_value, self._read(), self._held))
