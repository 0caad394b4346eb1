"""What OpenVINO's bfloat16 computes, on a processor without it: float32, rounded where it rounds.

OpenVINO hands tensors from one operation to the next in bfloat16 and sums within an operation in
float32. Elementwise operations are computed together with what they read. What comes after the
last operation of `HEAVY` stays in float32.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from guidedcam_tf.runtimes.kinds import openvino as runtime
from guidedcam_tf.runtimes.openvino_model import usable_precisions

HEAVY = {"Convolution": 2, "GroupConvolution": 2, "MatMul": 2, "Interpolate": 1}
"""Where OpenVINO's walk back from the results ends, and how many inputs are in bfloat16."""

ELEMENTWISE = {
    *("Add", "Subtract", "Multiply", "Divide", "Maximum", "Minimum", "Select", "Power", "Sqrt"),
    *("Abs", "Negative", "Exp", "Erf", "Clamp", "Relu", "Sigmoid", "Tanh", "Swish", "Gelu"),
}
MOVING = {
    *("Broadcast", "Concat", "Gather", "MaxPool", "Pad", "Reshape", "Slice", "Split", "Squeeze"),
    *("StridedSlice", "Tile", "Transpose", "Unsqueeze", "VariadicSplit"),
}
"""These hand on values that have been rounded."""

SPLITTER = np.float32(2**16 + 1)
"""Veltkamp's splitting by this keeps 8 of float32's 24 digits, which are bfloat16's."""


@contextmanager
def bfloat16_everywhere() -> Iterator[str]:
    """Let OpenVINO compute in bfloat16, and yield `"computed"` or `"simulated"`, as it does."""
    if "bfloat16" in usable_precisions():
        yield "computed"
        return
    found = runtime.usable_precision, runtime.compile_model
    try:
        runtime.usable_precision = lambda precision: precision
        runtime.compile_model = _compile_rounded
        yield "simulated"
    finally:
        runtime.usable_precision, runtime.compile_model = found


def _compile_rounded(model: Any, precision: str) -> Any:
    from guidedcam_tf.runtimes.openvino_model import compile_model

    if precision == "bfloat16":
        round_tensors(model)
    return compile_model(model, "float32")


def round_tensors(model: Any) -> None:
    """Round the tensors of an `openvino.Model` in place, those of its loops too."""
    nodes, exact = model.get_ordered_ops(), _after_the_last_heavy(model)
    joined: set[str] = set()
    for node in nodes:
        if node.get_type_name() == "Loop":
            round_tensors(node.get_function())
        if node.get_type_name() in HEAVY or any(
            name in joined for name in _sources(node) if node.get_type_name() in ELEMENTWISE
        ):
            joined.add(node.get_name())
    for node in nodes:
        kind, name = node.get_type_name(), node.get_name()
        if name in exact and name not in joined:
            continue
        for place in range(HEAVY.get(kind, 0)):
            _round_input(node.input(place))
        if kind in MOVING or kind in ("Constant", "Result", "Loop"):
            continue
        for output in node.outputs():
            readers = list(output.get_target_inputs())
            fused = len(readers) == 1 and readers[0].get_node().get_type_name() in ELEMENTWISE
            if not fused and _is_float(output):
                rounded = _rounded(output)
                for reader in readers:
                    reader.replace_source_output(rounded)


def _sources(node: Any) -> list[str]:
    """The names of the nodes whose outputs a node alone reads."""
    return [
        port.get_node().get_name()
        for port in node.input_values()
        if len(port.get_target_inputs()) == 1
    ]


def _after_the_last_heavy(model: Any) -> set[str]:
    """The names of the nodes on a way to a result that no heavy node lies on."""
    found: set[str] = set()
    waiting = list(model.get_results())
    while waiting:
        for port in waiting.pop().input_values():
            source = port.get_node()
            if source.get_type_name() not in HEAVY and source.get_name() not in found:
                found.add(source.get_name())
                waiting.append(source)
    return found


def _round_input(port: Any) -> None:
    if _is_float(port.get_source_output()):
        port.replace_source_output(_rounded(port.get_source_output()))


def _rounded(output: Any) -> Any:
    from openvino import opset14 as ops

    large = ops.multiply(output, ops.constant(SPLITTER))
    return ops.subtract(large, ops.subtract(large, output)).output(0)


def _is_float(output: Any) -> bool:
    return bool(output.get_element_type().get_type_name() == "f32")
