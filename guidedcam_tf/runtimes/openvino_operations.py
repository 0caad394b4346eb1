"""Gradients that OpenVINO lacks, made of its own operations.

A gradient of convolutions, and what ReLU, pooling and broadcasting need, is here. What is missing
beyond that is named when a function is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

CHANNELS_FIRST, CHANNELS_LAST = np.array([0, 3, 1, 2]), np.array([0, 2, 3, 1])
SIX = np.float32(6)


def teach(core: Any) -> None:
    """Add the operations to an `openvino.Core`, for the models that it reads from now on."""
    from openvino.frontend.tensorflow import ConversionExtension

    for name, translate in OPERATIONS.items():
        core.add_extension(ConversionExtension(name, translate))


def _relu_gradient(node: Any) -> list[Any]:
    """The gradient where the ReLU's output is positive, elsewhere 0."""
    from openvino import opset14 as ops

    gradient, output = node.get_input(0), node.get_input(1)
    zero = _like(np.float32(0), gradient)
    return [ops.select(ops.greater(output, zero), gradient, zero).output(0)]


def _relu6_gradient(node: Any) -> list[Any]:
    """The gradient where the output is above 0 and below 6, elsewhere 0."""
    from openvino import opset14 as ops

    gradient, output = node.get_input(0), node.get_input(1)
    zero = _like(np.float32(0), gradient)
    inside = ops.logical_and(ops.greater(output, zero), ops.less(output, _like(SIX, gradient)))
    return [ops.select(inside, gradient, zero).output(0)]


def _sigmoid_gradient(node: Any) -> list[Any]:
    """The gradient times y * (1 - y), y being the sigmoid's output."""
    from openvino import opset14 as ops

    output, gradient = node.get_input(0), node.get_input(1)
    slope = ops.multiply(output, ops.subtract(_like(np.float32(1), output), output))
    return [ops.multiply(gradient, slope).output(0)]


def _tanh_gradient(node: Any) -> list[Any]:
    """The gradient times 1 - y * y, y being the output."""
    from openvino import opset14 as ops

    output, gradient = node.get_input(0), node.get_input(1)
    slope = ops.subtract(_like(np.float32(1), output), ops.multiply(output, output))
    return [ops.multiply(gradient, slope).output(0)]


def _rsqrt_gradient(node: Any) -> list[Any]:
    """The gradient times -y * y * y / 2, y being the reciprocal square root."""
    from openvino import opset14 as ops

    output, gradient = node.get_input(0), node.get_input(1)
    cube = ops.multiply(output, ops.multiply(output, output))
    return [ops.multiply(gradient, ops.multiply(cube, _like(np.float32(-0.5), cube))).output(0)]


def _max_pool_gradient(node: Any) -> list[Any]:
    """Each window's gradient at the place of its maximum, the first where several are equal.

    OpenVINO's own max pooling gives the positions, counted within a channel; where it pads by
    itself they are wrong for pictures of unknown size. Windows may overlap.
    """
    from openvino import opset14 as ops

    inputs, gradient = (
        ops.transpose(node.get_input(place), ops.constant(CHANNELS_FIRST)) for place in (0, 2)
    )
    kernel, strides = (list(node.get_attribute(name)[1:3]) for name in ("ksize", "strides"))
    none, size = [0, 0], _picked(ops.shape_of(inputs), [2, 3])
    padded, before = inputs, None
    if node.get_attribute("padding") == "SAME":
        windows = _picked(ops.shape_of(gradient), [2, 3])
        last = ops.multiply(ops.subtract(windows, np.array([1, 1])), np.array(strides))
        missing = ops.subtract(ops.add(last, np.array(kernel)), size)
        missing = ops.maximum(missing, np.array([0, 0]))
        before = ops.divide(missing, np.array([2, 2]))
        begins, ends = (
            ops.concat([np.array([0, 0]), each], 0)
            for each in (before, ops.subtract(missing, before))
        )
        padded = ops.pad(inputs, begins, ends, "constant", np.finfo(np.float32).min)
    places = ops.max_pool(
        padded, strides, [1, 1], none, none, kernel, index_element_type="i32", axis=2
    ).output(1)
    by_channel = ops.constant(np.array([0, 0, -1]))
    zeros = ops.broadcast(_like(np.float32(0), padded), ops.shape_of(padded))
    scattered = ops.scatter_elements_update(
        *(
            ops.reshape(tensor, by_channel, special_zero=True)
            for tensor in (zeros, places, gradient)
        ),
        ops.constant(np.int32(2)),
        reduction="sum",
    )
    back = ops.reshape(scattered, ops.shape_of(padded), special_zero=False)
    if before is not None:
        back = ops.slice(
            back, before, ops.add(before, size), np.array([1, 1]), ops.constant(np.array([2, 3]))
        )
    return [ops.transpose(back, ops.constant(CHANNELS_LAST)).output(0)]


def _average_pool_gradient(node: Any) -> list[Any]:
    """Each window's gradient in equal parts at its places; padding counts for none.

    It is a transposed convolution with ones, each channel by itself.
    """
    from openvino import opset14 as ops

    shape = ops.convert(node.get_input(0), "i64")
    gradient = ops.transpose(node.get_input(1), ops.constant(CHANNELS_FIRST))
    kernel, strides = (list(node.get_attribute(name)[1:3]) for name in ("ksize", "strides"))
    none, padding = [0, 0], _padding(node)
    one_plane = np.array([1, 1], np.int64)
    size = _picked(shape, [1, 2])
    ones = ops.broadcast(
        ops.constant(np.ones((1, 1, 1, 1), np.float32)), ops.concat([one_plane, size], 0)
    )
    filled = ops.avg_pool(ones, strides, none, none, kernel, False, auto_pad=padding)
    count = ops.multiply(filled, ops.constant(np.float32(np.prod(kernel))))
    by_plane = ops.concat([one_plane * [-1, 1], _picked(ops.shape_of(gradient), [2, 3])], 0)
    spread = ops.convolution_backprop_data(
        ops.reshape(ops.divide(gradient, count), by_plane, special_zero=False),
        ops.constant(np.ones((1, 1, *kernel), np.float32)),
        strides,
    )
    cut = _cut(spread, size)
    back = ops.reshape(cut, _picked(shape, CHANNELS_FIRST), special_zero=False)
    return [ops.transpose(back, ops.constant(CHANNELS_LAST)).output(0)]


def _cut(planes: Any, size: Any) -> Any:
    """Planes `[N, C, h, w]` at another size: cut on both sides, or filled up at the end."""
    from openvino import opset14 as ops

    zero, two, axes = (ops.constant(np.array(value, np.int64)) for value in ([0], [2], [2, 3]))
    longer = ops.subtract(_picked(ops.shape_of(planes), [2, 3]), size)
    missing = ops.maximum(ops.negative(longer), zero)
    ends = ops.concat([np.array([0, 0], np.int64), missing], 0)
    filled = ops.pad(planes, np.zeros(4, np.int64), ends, "constant", np.float32(0))
    start = ops.divide(ops.maximum(longer, zero), two)
    return ops.slice(filled, start, ops.add(start, size), np.array([1, 1], np.int64), axes)


def _depthwise_gradient(node: Any) -> list[Any]:
    """The gradient at a depthwise convolution's input: a transposed one, channel by channel."""
    from openvino import opset14 as ops

    shape = ops.convert(node.get_input(0), "i64")
    gradient = ops.transpose(node.get_input(2), ops.constant(CHANNELS_FIRST))
    by_channel = ops.transpose(node.get_input(1), ops.constant(np.array([2, 3, 0, 1])))
    filters = ops.unsqueeze(by_channel, ops.constant(np.array([2])))
    spread = ops.group_convolution_backprop_data(
        gradient,
        filters,
        list(node.get_attribute("strides")[1:3]),
        dilations=list(node.get_attribute("dilations")[1:3]),
    )
    cut = _cut(spread, _picked(shape, [1, 2]))
    return [ops.transpose(cut, ops.constant(CHANNELS_LAST)).output(0)]


def _like(value: np.float32, tensor: Any) -> Any:
    from openvino import opset14 as ops

    return ops.convert_like(ops.constant(value), tensor)


def _picked(vector: Any, places: Any) -> Any:
    """Some of a vector's elements."""
    from openvino import opset14 as ops

    return ops.gather(vector, ops.constant(np.array(places)), ops.constant(np.int32(0)))


def _padding(node: Any) -> str:
    return "valid" if node.get_attribute("padding") == "VALID" else "same_upper"


OPERATIONS: dict[str, Callable[[Any], list[Any]]] = {
    "AvgPoolGrad": _average_pool_gradient,
    "DepthwiseConv2dNativeBackpropInput": _depthwise_gradient,
    "MaxPoolGrad": _max_pool_gradient,
    "Relu6Grad": _relu6_gradient,
    "ReluGrad": _relu_gradient,
    "RsqrtGrad": _rsqrt_gradient,
    "SigmoidGrad": _sigmoid_gradient,
    "TanhGrad": _tanh_gradient,
}
