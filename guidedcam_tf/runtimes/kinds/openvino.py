"""OpenVINO: another runtime, with other kernels, for the processor; extra `openvino`."""

from __future__ import annotations

import gc
import tempfile
import threading
from collections.abc import Callable
from collections.abc import Collection
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import MissingOperationError
from guidedcam_tf.networks.calls import traced
from guidedcam_tf.runtimes.broadcasts import fix_axes
from guidedcam_tf.runtimes.broadcasts import graphs_in
from guidedcam_tf.runtimes.compiled import Compiled
from guidedcam_tf.runtimes.compiled import named_flat
from guidedcam_tf.runtimes.fingerprint import Fingerprint
from guidedcam_tf.runtimes.freezing import frozen
from guidedcam_tf.runtimes.openvino_model import OpenVINOModel
from guidedcam_tf.runtimes.openvino_model import by_place
from guidedcam_tf.runtimes.openvino_model import check_installed
from guidedcam_tf.runtimes.openvino_model import compile_model
from guidedcam_tf.runtimes.openvino_model import usable_precision
from guidedcam_tf.runtimes.openvino_operations import teach
from guidedcam_tf.runtimes.runtime import Function
from guidedcam_tf.runtimes.runtime import Runtime

SAME, TINY = 0.05, 1e-20
"""How far results may be from TensorFlow's, as a part of their size. Rounding may flip a ReLU."""
BACKWARD = ("ConvolutionBackpropData", "GroupConvolutionBackpropData", "Loop", "TensorIterator")
"""The operations that gradients of convolutions are made of."""

Extents = tuple[tuple[int, ...], ...]
EXTENTS = 8
"""For how many sizes of its arguments a function is kept compiled, where each needs its own."""
NO_RULE = "No conversion rule found for operations:"


class OpenVINO(Runtime):
    """Converts functions to OpenVINO with the weights in them.

    Args:
        precision: `"float32"`, or `"bfloat16"` to compute in 16 bits.
    """

    name = "openvino"
    frozen = True

    def __init__(self, precision: str) -> None:
        self.precision = precision
        self._watched: set[int] = set()

    def watch(self, model: Any) -> Callable[[], None]:
        """As any runtime; what functions read beside the weights they watch themselves."""
        self._watched |= {id(weight.value) for weight in model.weights}
        return super().watch(model)

    def compile(self, function: Function, signature: Sequence[Any]) -> Function:
        """Return the function converted at its first call."""
        return _Converted(traced(function, signature), self.precision, self._watched)


class _Converted(Compiled):
    """A function that is converted, and compared with itself in TensorFlow, at its first call."""

    def __init__(self, live: Any, precision: str, watched: Collection[int]) -> None:
        super().__init__(live)
        self._precision, self._watched = precision, watched
        self._others: Fingerprint | None = None
        self._graph: Any = None
        self._models: dict[Extents, OpenVINOModel] = {}
        self._lock = threading.Lock()

    def run(self, arguments: Sequence[np.ndarray]) -> list[tf.Tensor]:
        with self._lock:
            self._check_others()
            model = self._models.get(()) or self._at(arguments)
        return [tf.convert_to_tensor(array) for array in model(arguments)]

    def _check_others(self) -> None:
        """Watch the variables that the function reads beside the model's weights, if any."""
        if self._others is None:
            graphs = graphs_in(self.get_concrete_function().graph)
            read = {id(each): each for graph in graphs for each in graph.variables}
            others = [each for key, each in read.items() if key not in self._watched]
            names = ", ".join(each.name for each in others)
            called = f"variables beside the model's weights ({names:.100})"
            self._others = Fingerprint(others, called, OpenVINO.name)
        self._others.check()

    def _at(self, arguments: Sequence[np.ndarray]) -> OpenVINOModel:
        """Return the model for all sizes, or where that may never end, for that of the pictures."""
        graph = self._graph or convert(self.live)
        if not _may_never_end(graph):
            self._models[()] = self._opened(graph, arguments)
            return self._models[()]
        self._graph = graph
        extents = {at: each.shape[1:] for at, each in enumerate(arguments) if each.ndim > 2}
        key = tuple(extents.values())
        if key in self._models:
            self._models[key] = self._models.pop(key)
        else:
            self._models[key] = self._opened(_of_extents(graph, extents), arguments)
        if len(self._models) > EXTENTS:
            del self._models[next(iter(self._models))]
        return self._models[key]

    def exported(self) -> bytes:
        """What was compiled at the first call, for `openvino_model.open_compiled`.

        Raises:
            ValueError: If there has been no call yet, or it is compiled for each size by itself.
        """
        if () not in self._models:
            raise ValueError("nothing is compiled for all sizes")
        return self._models[()].exported()

    def _opened(self, model: Any, arguments: Sequence[np.ndarray]) -> OpenVINOModel:
        opened = compile_model(model, "float32")
        found, expected = opened(arguments), self._in_tensorflow(arguments)
        if same := _about_the_same_classes(arguments, found, expected):
            expected = self._in_tensorflow(same)
        _compare(found, expected)
        return opened if self._precision == "float32" else compile_model(model, self._precision)

    def _in_tensorflow(self, arguments: Sequence[np.ndarray]) -> list[np.ndarray]:
        given = list(map(tf.constant, arguments))
        results = self.live(*tf.nest.pack_sequence_as(self.live.input_signature, given))
        return [each.numpy() for each in tf.nest.flatten(results)]


def _may_never_end(model: Any) -> bool:
    """Whether OpenVINO 2026.4 may run for ever at other sides than those of the first call.

    It does in the gradient of a convolution of 1 x 1 whose sides are free. The gradient of one
    target after the other is a loop.
    """
    return any(
        any(side.is_dynamic for side in list(shape)[1:])
        for operation in model.get_ops()
        if operation.get_type_name() in BACKWARD
        for shape in (port.get_partial_shape() for port in operation.inputs())
        if shape.rank.is_static and len(shape) > 2
    )


def _of_extents(model: Any, extents: Mapping[int, Sequence[int]]) -> Any:
    """Return a copy in which the inputs at those places have those sides and channels."""
    fixed = model.clone()
    shapes = {}
    for place, port in by_place(fixed.inputs, "in").items():
        shapes[port] = port.get_partial_shape()
        for axis, side in enumerate(extents.get(place, ()), 1):
            shapes[port][axis] = side
    fixed.reshape(shapes)
    return fixed


def _about_the_same_classes(
    arguments: Sequence[np.ndarray], found: Sequence[np.ndarray], expected: Sequence[np.ndarray]
) -> list[np.ndarray] | None:
    """The arguments with the classes that were found for ranks; `None` if they are as expected.

    Rounding may choose another class where two are as good: then TensorFlow is asked about that.
    """
    others = [
        a for a, b in zip(found, expected, strict=True) if b.dtype.kind == "i" and (a != b).any()
    ]
    ranks = [at for at, a in enumerate(arguments) if a.dtype.kind == "i" and (a < 0).any()]
    if not others or not ranks:
        return None
    same = list(arguments)
    same[ranks[0]] = others[0].reshape(same[ranks[0]].shape)
    return same


def _compare(found: Sequence[np.ndarray], expected: Sequence[np.ndarray]) -> None:
    """Refuse a conversion whose results are not TensorFlow's."""
    for ours, right in zip(found, expected, strict=True):
        error, size = np.linalg.norm(ours.astype(np.float64) - right), np.linalg.norm(right)
        if np.isfinite(size) and not error <= SAME * size + TINY:
            raise MissingOperationError(
                "OpenVINO", f"an operation that computes as TensorFlow's: it differs by {error:.2g}"
            )


def convert(function: Any) -> Any:
    """Return a `tf.function` of one signature as an `openvino.Model` with its weights.

    Returns:
        The model, its inputs named `in0`, `in1`, ..., its outputs `out0`, `out1`, ..., in the order
        of the function's flat arguments and results.

    Raises:
        MissingOperationError: If OpenVINO lacks an operation that is not added here either.
    """
    import openvino

    core = openvino.Core()
    teach(core)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "graph.pb"
        inputs, outputs = _write_frozen(function, file)
        gc.collect()  # TensorFlow's frozen graph refers to itself, and holds the weights.
        try:
            model = core.read_model(file)
        except RuntimeError as error:
            raise MissingOperationError("OpenVINO", _reason(error)) from error
    _name_ports(model, inputs, outputs)
    return model


def _write_frozen(function: Any, file: Path) -> tuple[list[str], list[str]]:
    """Write a function's graph with the weights in it; return its inputs' and outputs' names."""
    concrete = named_flat(function)
    constant = frozen(concrete, "OpenVINO", lower_control_flow=False)
    graph = constant.graph.as_graph_def()
    fix_axes(concrete.graph, graph)
    file.write_bytes(graph.SerializeToString())
    return [tensor.name for tensor in constant.inputs], [tensor.name for tensor in constant.outputs]


def _name_ports(model: Any, names: Sequence[str], outputs: Sequence[str]) -> None:
    """Name inputs and outputs by their places.

    A result that is an argument as it came in is no output; that input gets both names.
    """
    inputs = {name: port for port in model.inputs for name in port.get_names()}
    for place, name in enumerate(names):
        if name in inputs:
            inputs[name].add_names({f"in{place}"})
    results = {result.get_friendly_name(): result for result in model.get_results()}
    for place, name in enumerate(outputs):
        result = results[name]
        result.input_value(0).add_names({f"out{place}"})
        if result.input_value(0).get_node().get_type_name() == "Parameter":
            model.remove_result(result)


def _reason(error: RuntimeError) -> str:
    """The operations without a rule, or what else is said."""
    lines = [line.strip("- ") for line in str(error).splitlines() if line.strip()]
    rules = [line.split(NO_RULE)[1].strip() for line in lines if NO_RULE in line]
    return ", ".join(rules) or lines[-1]


def open_runtime(precision: str) -> Runtime:
    """Return the runtime, in float32 where the processor has no bfloat16."""
    check_installed()
    return OpenVINO(usable_precision(precision))
