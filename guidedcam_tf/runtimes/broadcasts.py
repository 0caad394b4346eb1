"""Along which axes tensors were broadcast, as far as TensorFlow knows it when it traces.

The gradient of a broadcast sums along these axes. TensorFlow computes them from the shapes as it
runs; for runtimes that need them beforehand they are put into the graph.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf

OPERATION = "BroadcastGradientArgs"

Axes = tuple[list[int], list[int]]


def fix_axes(traced: Any, graph_def: Any) -> None:
    """Put constants in the place of the operations that compute such axes.

    Those whose axes are not known beforehand are left as they are.

    Args:
        traced: The `FuncGraph` with its static shapes.
        graph_def: The same as a `GraphDef`, which is changed.
    """
    known: dict[str, Axes | None] = {}
    for graph in graphs_in(traced):
        for operation in graph.get_operations():
            if operation.type == OPERATION:
                axes = _axes(operation)
                same = known.setdefault(operation.name, axes) == axes
                known[operation.name] = axes if same else None
    _fix(graph_def.node, known, ("", ":1"), "")
    for function in graph_def.library.function:
        _fix(function.node_def, known, (":r0:0", ":r1:0"), ":output:0")


def _fix(nodes: Any, known: dict[str, Axes | None], ports: tuple[str, str], output: str) -> None:
    """As `fix_axes`, in nodes that name their operations' outputs with such endings."""
    renamed = {}
    for node in [node for node in nodes if node.op == OPERATION]:
        if (axes := known.get(node.name)) is None:
            continue
        for port, values in zip(ports, axes, strict=True):
            constant = nodes.add(name=f"{node.name}/axes{ports.index(port)}", op="Const")
            constant.attr["dtype"].type = tf.int32.as_datatype_enum
            value = tf.make_tensor_proto(np.array(values, np.int32))
            constant.attr["value"].tensor.CopyFrom(value)
            renamed[node.name + port] = constant.name + output
        nodes.remove(node)
    for node in nodes:
        node.input[:] = [renamed.get(name, name) for name in node.input]


def graphs_in(graph: Any) -> Iterator[Any]:
    """A traced graph, and those of the functions in it."""
    yield graph
    for function in graph._functions.values():
        if getattr(function, "graph", None) is not None:
            yield from graphs_in(function.graph)


def _axes(operation: Any) -> Axes | None:
    """The axes along which each of two tensors was broadcast, `None` if that is not known.

    Two lengths that are not known are that of the batch, or of a free picture, and are equal.
    """
    shapes = [_lengths(shape) for shape in operation.inputs]
    if None in shapes:
        return None
    rank = max(len(shape) for shape in shapes if shape is not None)
    first, second = ([*([1] * (rank - len(s))), *s] for s in shapes if s is not None)
    pairs = zip(first, second, strict=True)
    if any(None in pair and not {1, None}.issuperset(pair) for pair in pairs):
        return None
    axes = [[axis for axis, n in enumerate(shape) if n == 1] for shape in (first, second)]
    return axes[0], axes[1]


def _lengths(shape: Any) -> list[int | None] | None:
    """What is known of a shape that is a tensor."""
    source = shape.op
    if source.type == "Shape":
        of = source.inputs[0]
        known = of.shape.as_list() if of.shape.rank is not None else [None]
        return _lengths(of.op.inputs[1]) if of.op.type == "Reshape" and None in known else known
    if source.type == "DynamicStitch":
        return _stitched(source)
    value = tf.get_static_value(shape)
    return None if value is None else [int(length) for length in np.ravel(value)]


def _stitched(source: Any) -> list[int | None] | None:
    """As `_lengths`, of what a mean or a sum over axes that stay gives: a 1 for each of them."""
    half, found = len(source.inputs) // 2, dict[int, int | None]()
    for places, shape in zip(source.inputs[:half], source.inputs[half:], strict=True):
        indices, lengths = _value(places), _lengths(shape)
        if indices is None or lengths is None:
            return None
        found |= dict(zip(np.ravel(indices).tolist(), lengths, strict=True))
    return [found[place] for place in sorted(found)]


def _value(tensor: Any) -> Any:
    """The value of a tensor, also of the remainder that makes an axis positive, or `None`."""
    compute = {"AddV2": np.add, "FloorMod": np.mod}.get(tensor.op.type)
    if compute is None:
        return tf.get_static_value(tensor)
    values = [_value(each) for each in tensor.op.inputs]
    return None if any(value is None for value in values) else compute(*values)
