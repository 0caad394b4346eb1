"""How the layers of a network are called: in inference mode, whole or without their activation."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src import backend
from keras.src.backend.common import global_state
from keras.src.layers.layer import CallContext

from guidedcam_tf.ops.pooling import adaptive_average_pool

CONTEXT = "current_call_ctx"
FLOAT32 = "guidedcam_tf_float32"
HALF = ("float16", "bfloat16")
UNNAMED = re.compile(r"^[^A-Za-z0-9.]|[^A-Za-z0-9_.\\/>-]")
"""What TensorFlow takes in no name of a scope."""


class _Inference(CallContext):
    """What Keras's layers find while `inference` runs."""


def traced(function: Callable[..., Any], signature: Sequence[Any]) -> Any:
    """Return a function compiled by TensorFlow for its signature, in one trace."""
    compiled = tf.function(function, input_signature=signature, autograph=False)
    # TensorFlow's retracing detector takes the kernels of several methods for one function's.
    compiled._omit_frequent_tracing_warning = True
    return compiled


@contextmanager
def inference() -> Iterator[None]:
    """Run what is inside as if a model called it with `training=False`.

    Keras hands that on from a model to its layers, and to the layers inside these. A layer that is
    called alone has its own default, which for image layers is `True`.

    What computes in half floats computes in float32 then; see `float32_inside`. A grouped
    convolution is then one for each group. Keras's own is compiled by XLA, which no other runtime
    reads.
    """
    context = _Inference(entry_layer=None)
    context.set_value("training", False)
    outer = global_state.get_global_attribute(CONTEXT)
    global_state.set_global_attribute(CONTEXT, context)
    try:
        with float32_inside():
            yield
    finally:
        global_state.set_global_attribute(CONTEXT, outer)


@contextmanager
def float32_inside() -> Iterator[None]:
    """Let layers of half floats, by their policies, compute in float32 in this thread.

    A gradient below 6e-8 is 0 in float16, and which ReLU is closed is another one's rounding.
    """
    outer = global_state.get_global_attribute(FLOAT32)
    global_state.set_global_attribute(FLOAT32, True)
    try:
        yield
    finally:
        global_state.set_global_attribute(FLOAT32, outer)


def _at_least_float32(policy: keras.DTypePolicy) -> str:
    """Keras's dtype of a policy's computations, which is as it was unless `float32_inside` runs."""
    dtype: str = policy._compute_dtype
    runs = global_state.get_global_attribute(FLOAT32)
    return "float32" if runs and dtype in HALF else dtype


keras.DTypePolicy.compute_dtype = property(_at_least_float32)


def is_of_half_floats(layer: Any) -> bool:
    """Whether a layer computes in half floats by its policy."""
    policy = getattr(layer, "dtype_policy", None)
    return getattr(policy, "_compute_dtype", "") in HALF


def _group_by_group(convolve: Callable[..., Any]) -> Callable[..., Any]:
    """Keras's function of a convolution, which is as it was unless `inference` runs."""

    @wraps(convolve)
    def conv(
        inputs: Any,
        kernel: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        dilation_rate: Any = 1,
    ) -> Any:
        rest = (strides, padding, data_format, dilation_rate)
        runs = isinstance(global_state.get_global_attribute(CONTEXT), _Inference)
        last = backend.standardize_data_format(data_format) == "channels_last"
        channels, of_group = inputs.shape[-1], kernel.shape[-2]
        if not (runs and last) or channels in (None, of_group):
            return convolve(inputs, kernel, *rest)
        groups = channels // of_group
        pairs = zip(_parts(inputs, groups), _parts(kernel, groups), strict=True)
        outputs = tf.stack([convolve(*pair, *rest) for pair in pairs], axis=-2)
        return tf.reshape(outputs, tf.concat([tf.shape(outputs)[:-2], [kernel.shape[-1]]], 0))

    return conv


def _parts(tensor: tf.Tensor, count: int) -> list[tf.Tensor]:
    """A tensor cut along its last axis, in a way whose gradient names axes in no tensor."""
    shape = [*tf.unstack(tf.shape(tensor))[:-1], count, tensor.shape[-1] // count]
    return tf.unstack(tf.reshape(tensor, shape), axis=-2)


backend.nn.conv = _group_by_group(backend.nn.conv)


def _of_any_name(begin: Callable[..., None]) -> Callable[..., None]:
    """Keras's making of a scope for a layer, which is as it was unless `inference` runs.

    TensorFlow compiles no scope with spaces or letters of other alphabets in its name.
    """

    @wraps(begin)
    def made(scope: Any, name: str, **options: Any) -> None:
        begin(scope, name, **options)
        if isinstance(global_state.get_global_attribute(CONTEXT), _Inference):
            scope._tf_name_scope = tf.name_scope(UNNAMED.sub(".", name))

    return made


backend.name_scope.__init__ = _of_any_name(backend.name_scope.__init__)


def inference_call(layer: Any) -> Callable[..., Any]:
    """The layer, called in inference mode even where the model asks for training."""
    if not isinstance(layer, keras.layers.Layer) or not layer._call_has_training_arg:
        return layer

    def call(*args: Any, **kwargs: Any) -> Any:
        return layer(*args, **{**kwargs, "training": False})

    return call


def without_activation(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same layer with the same variables and a linear activation; `layer` is untouched.

    A shallow copy made by hand: Keras's own `copy` saves and loads the whole layer.
    """
    twin = object.__new__(type(layer))
    twin.__dict__.update(layer.__dict__)
    twin.__dict__["activation"] = keras.activations.linear
    return twin


def keeping_mask(activation: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """The activation function, handing on the mask that Keras attaches to a tensor."""

    def call(tensor: tf.Tensor) -> tf.Tensor:
        output = activation(tensor)
        mask = getattr(tensor, "_keras_mask", None)
        if mask is not None:
            output._keras_mask = mask
        return output

    return call


def flatten_any_size(layer: keras.layers.Flatten, shape: tuple[int | None, ...]) -> Any:
    """Flatten maps of any extent to the number of values that the layers after it are built for.

    Maps `[N, h, w, K]` of another extent than in `shape` are first pooled to that extent, as
    torchvision's VGG does. Maps of that very extent are left alone.
    """
    if len(shape) != 4 or shape[1] is None or shape[2] is None:
        return layer
    extent = (shape[1], shape[2])

    def call(maps: tf.Tensor, **_: Any) -> tf.Tensor:
        if tuple(maps.shape[1:3]) != extent:
            maps = adaptive_average_pool(maps, extent)
        return layer(maps)

    return call


def is_same_value(now: tf.Tensor, held: tf.Tensor) -> bool:
    """Whether a variable still has the value that was read of it before and held since.

    One that is written to while its value is held gets other memory.
    """
    one, other = np.asarray(now), np.asarray(held)
    if one.__array_interface__["data"] == other.__array_interface__["data"]:
        return one.shape == other.shape
    return np.array_equal(one, other, equal_nan=True)


def reshape_pictures(tensor: tf.Tensor, newshape: Sequence[int | None], **_: Any) -> tf.Tensor:
    """Reshape where a layer's code was read with an unknown number of pictures, as `None`."""
    count = tf.shape(tensor)[0]
    return tf.reshape(tensor, [count if side is None else side for side in newshape])
