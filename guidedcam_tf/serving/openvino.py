"""An export in OpenVINO: another runtime, with other kernels, for the same file.

OpenVINO reads the signature `serving_default`, which is `explain`. It drops TensorFlow's checks of
a request, so a class that is out of range gives an empty map there, and no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.runtimes.openvino_model import check_installed
from guidedcam_tf.runtimes.openvino_operations import teach

Arrays = dict[str, np.ndarray]


def read_export(version: str | os.PathLike[str]) -> Any:
    """Read an export's `explain` as an `openvino.Model`.

    Gradients that OpenVINO lacks are added to it (`runtimes.openvino_operations`);
    `openvino.save_model` writes a model that needs nothing of this package.

    Args:
        version: The version's folder.

    Raises:
        InputError: If OpenVINO is missing or cannot convert the export.
    """
    check_installed()
    import openvino

    core = openvino.Core()
    teach(core)
    try:
        return core.read_model(os.fspath(version))
    except RuntimeError as error:
        reasons = [line for line in str(error).splitlines() if "No conversion rule" in line]
        reason = reasons[0].strip("- ") if reasons else str(error)
        raise InputError(f"OpenVINO cannot convert {version}: {reason}") from error


def open_export(
    version: str | os.PathLike[str], precision: str = "f32"
) -> Callable[[Arrays], Arrays]:
    """Compile an export's `explain` for the processor.

    Args:
        version: The version's folder.
        precision: `"f32"`, or `"bf16"` to compute in 16 bits where the processor can. OpenVINO's
            own default is the fastest that the processor has, which may be bf16.

    Returns:
        A function from inputs by name to outputs by name.

    Raises:
        InputError: If OpenVINO is missing or cannot convert the export.
    """
    model = read_export(version)
    import openvino

    hint = {"INFERENCE_PRECISION_HINT": precision}
    compiled = openvino.Core().compile_model(model, "CPU", hint)

    def run(inputs: Arrays) -> Arrays:
        outputs = compiled(inputs)
        return {port.get_any_name(): outputs[port] for port in compiled.outputs}

    return run
