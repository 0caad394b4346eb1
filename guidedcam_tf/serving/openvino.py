"""An export in OpenVINO: another runtime, with other kernels, for the same file.

OpenVINO reads the signature `serving_default`, which is `explain`. It drops TensorFlow's checks of
a request, so a class that is out of range gives an empty map there, and no error.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any
from typing import Literal

import numpy as np

from guidedcam_tf.errors import InputError

Precision = Literal["f32", "bf16"]
PRECISIONS: tuple[Precision, ...] = ("f32", "bf16")

CHANNELS_FIRST, CHANNELS_LAST = np.array([0, 3, 1, 2]), np.array([0, 2, 3, 1])

Arrays = dict[str, np.ndarray]


def is_installed() -> bool:
    """Whether OpenVINO can be imported."""
    return find_spec("openvino") is not None


def read_export(version: str | os.PathLike[str]) -> Any:
    """Read an export's `explain` as an `openvino.Model`.

    Two gradients that OpenVINO does not know, those of ReLU and of max pooling, are taught to it;
    `openvino.save_model` writes a model that needs no teaching any more.

    Args:
        version: The version's folder.

    Raises:
        InputError: If OpenVINO is missing or cannot convert the export.
    """
    if not is_installed():
        raise InputError("OpenVINO is missing; pip install 'guidedcam-tf[openvino]' brings it")
    import openvino
    from openvino.frontend.tensorflow import ConversionExtension

    core = openvino.Core()
    core.add_extension(ConversionExtension("ReluGrad", _relu_gradient))
    core.add_extension(ConversionExtension("MaxPoolGrad", _max_pool_gradient))
    try:
        return core.read_model(os.fspath(version))
    except RuntimeError as error:
        reasons = [line for line in str(error).splitlines() if "No conversion rule" in line]
        reason = reasons[0].strip("- ") if reasons else str(error)
        raise InputError(f"OpenVINO cannot convert {version}: {reason}") from error


def open_export(
    version: str | os.PathLike[str], precision: Precision = "f32"
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


def _relu_gradient(node: Any) -> list[Any]:
    """The gradient where the ReLU's output is positive, elsewhere 0."""
    from openvino import opset14 as ops

    gradient, output = node.get_input(0), node.get_input(1)
    zero = ops.convert_like(ops.constant(np.float32(0)), gradient)
    return [ops.select(ops.greater(output, zero), gradient, zero).output(0)]


def _max_pool_gradient(node: Any) -> list[Any]:
    """Each window's gradient at the place of its maximum, the first where several are equal.

    OpenVINO's own max pooling tells the places, counted within a channel. Windows may overlap.
    """
    from openvino import opset14 as ops

    inputs, gradient = (
        ops.transpose(node.get_input(place), ops.constant(CHANNELS_FIRST)) for place in (0, 2)
    )
    places = ops.max_pool(
        inputs,
        strides=list(node.get_attribute("strides")[1:3]),
        dilations=[1, 1],
        pads_begin=[0, 0],
        pads_end=[0, 0],
        kernel_shape=list(node.get_attribute("ksize")[1:3]),
        auto_pad="valid" if node.get_attribute("padding") == "VALID" else "same_upper",
        index_element_type="i32",
        axis=2,
    ).output(1)
    by_channel = ops.constant(np.array([0, 0, -1]))
    zeros = ops.multiply(inputs, ops.convert_like(ops.constant(np.float32(0)), inputs))
    scattered = ops.scatter_elements_update(
        *(
            ops.reshape(tensor, by_channel, special_zero=True)
            for tensor in (zeros, places, gradient)
        ),
        ops.constant(np.int32(2)),
        reduction="sum",
    )
    back = ops.reshape(scattered, ops.shape_of(inputs), special_zero=False)
    return [ops.transpose(back, ops.constant(CHANNELS_LAST)).output(0)]
