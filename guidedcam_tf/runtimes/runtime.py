"""What every runtime is: a traced function and its signature in, a callable out."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Callable
from collections.abc import Sequence
from typing import Any
from typing import ClassVar

Function = Callable[..., Any]

PRECISIONS = ("float32", "bfloat16")


class Runtime(ABC):
    """A way to run functions of tensors.

    Attributes:
        name: What the registry calls it.
        frozen: Whether a compiled function keeps the weights that the model had when it was
            compiled, and does not see later ones.
        precision: One of `PRECISIONS`: in what it computes; arguments and results keep their types.
    """

    name: ClassVar[str]
    frozen: ClassVar[bool]
    precision: str = "float32"

    @abstractmethod
    def compile(self, function: Function, signature: Sequence[Any]) -> Function:
        """Return a function compiled, once, for all numbers and sizes that its signature leaves.

        Args:
            function: Takes tensors, or lists and dicts of tensors, and returns such, in TensorFlow
                operations.
            signature: A `tf.TensorSpec`, or a list or dict of them, for each argument.

        Returns:
            A function of the same arguments that any number of threads may call at once. While
            TensorFlow traces another function, it is `function` itself, with live weights.

        Raises:
            InputError: If the runtime lacks an operation of the function.
        """

    def watch(self, model: Any) -> Callable[[], None]:
        """Return what raises `InputError` once a model's weights are no longer those compiled."""
        if not self.frozen:
            return lambda: None
        from guidedcam_tf.runtimes.fingerprint import Fingerprint

        variables = [weight.value for weight in model.weights]
        return Fingerprint(variables, f"the weights of {model.name!r}", self.name).check
