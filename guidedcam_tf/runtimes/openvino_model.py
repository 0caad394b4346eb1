"""A model that OpenVINO has compiled, called with arrays from any number of threads.

Nothing here needs TensorFlow.
"""

from __future__ import annotations

import queue
import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError

HINTS = {"float32": "f32", "bfloat16": "bf16"}
"""What OpenVINO calls a precision. Its own default is the fastest that the processor has."""


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    return find_spec("openvino") is not None


def check_installed() -> None:
    """Raise `InputError`, which names the extra, if OpenVINO is missing."""
    if not is_installed():
        raise InputError("OpenVINO is missing; pip install 'guidedcam-tf[openvino]' brings it")


def usable_precisions() -> dict[str, str]:
    """The part of `HINTS` that the processor computes in."""
    import openvino

    able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return HINTS if "BF16" in able else {"float32": HINTS["float32"]}


def usable_precision(precision: str) -> str:
    """Return a precision, or `"float32"` with a warning where the processor has no such numbers."""
    if precision not in usable_precisions():
        warnings.warn(
            "this processor does not compute in bfloat16; precision is float32", stacklevel=2
        )
        return "float32"
    return precision


class OpenVINOModel:
    """A compiled model.

    Args:
        compiled: An `openvino.CompiledModel`. Its inputs are named `in0`, `in1`, ..., its outputs
            `out0`, `out1`, ...; inputs of no use may be missing, and an input that is a result as
            it stands has an output's name too.
    """

    def __init__(self, compiled: Any) -> None:
        self.compiled = compiled
        self._inputs = by_place(compiled.inputs, "in")
        self._outputs = by_place(compiled.outputs, "out")
        self._handed_on = {
            place: given
            for given, port in self._inputs.items()
            for place in by_place([port], "out")
        }
        self._idle: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Run the model; a thread that calls while another one does gets a request of its own.

        Raises:
            InputError: If the model does not run on arguments of these shapes.
        """
        try:
            request = self._idle.get_nowait()
        except queue.Empty:
            request = self.compiled.create_infer_request()
        given = {port: arguments[place] for place, port in self._inputs.items()}
        try:
            results = request.infer(given)
        except RuntimeError as error:
            shapes = ", ".join(str(argument.shape) for argument in arguments)
            raise InputError(f"OpenVINO does not run on {shapes}: {_reason(error)}") from error
        found = {place: np.array(results[port]) for place, port in self._outputs.items()}
        self._idle.put(request)
        found |= {place: arguments[given] for place, given in self._handed_on.items()}
        return [found[place] for place in sorted(found)]

    def exported(self) -> bytes:
        """Return what `open_compiled` opens."""
        content: bytes = self.compiled.export_model().getvalue()
        return content


def compile_model(model: Any, precision: str) -> OpenVINOModel:
    """Compile an `openvino.Model` with named inputs and outputs for the processor."""
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    return OpenVINOModel(openvino.Core().compile_model(model, "CPU", hint))


def open_compiled(content: bytes, precision: str) -> OpenVINOModel:
    """Open what `CompiledModel.export_model` returned on a processor of the same kind.

    Raises:
        RuntimeError: If it is no such content, or of another version of OpenVINO.
    """
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": HINTS[precision]}
    return OpenVINOModel(openvino.Core().import_model(content, "CPU", hint))


def processor() -> list[str]:
    """The processor's name, and what it computes in."""
    import openvino

    core = openvino.Core()
    capabilities = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [core.get_property("CPU", "FULL_DEVICE_NAME"), *sorted(capabilities)]


def by_place(ports: Sequence[Any], prefix: str) -> dict[int, Any]:
    """The ports by the numbers in their names; one port may have several."""
    return {
        int(name.removeprefix(prefix)): port
        for port in ports
        for name in port.get_names()
        if re.fullmatch(f"{prefix}[0-9]+", name)
    }


def _reason(error: RuntimeError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return next((line for line in lines if line and "Exception from" not in line), lines[0])
