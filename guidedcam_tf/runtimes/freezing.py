"""A traced function with its weights in it."""

from __future__ import annotations

from typing import Any

import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

from guidedcam_tf.errors import MissingOperationError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.runtimes.broadcasts import graphs_in

XLA = "_XlaMustCompile"


def frozen(concrete: Any, runtime: str, *, lower_control_flow: bool) -> Any:
    """Return a concrete function with its variables' values as constants.

    Args:
        concrete: The function.
        runtime: What is to run it.
        lower_control_flow: Whether loops are taken apart.

    Raises:
        MissingOperationError: If what a layer compiles by XLA reads variables, or if a loop hands
            them to its gradient.
    """
    for graph in graphs_in(concrete.graph):
        for operation in graph.get_operations():
            compiled = XLA in operation.node_def.attr and operation.get_attr(XLA)
            if compiled and any(each.dtype == tf.resource for each in operation.inputs):
                layer = operation.name.rpartition("/")[0] or operation.name
                raise MissingOperationError(
                    runtime, f"access to the weights in what {layer!r} compiles by XLA"
                )
    try:
        return convert_variables_to_constants_v2(concrete, lower_control_flow=lower_control_flow)
    except ValueError as error:  # Where a loop hands the weights that it reads to its gradient.
        raise MissingOperationError(
            runtime, f"the gradient of a loop, as of a recurrent layer: {reason_of(error):.100}"
        ) from error
