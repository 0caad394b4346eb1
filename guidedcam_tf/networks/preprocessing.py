"""What turns pictures into a model's input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.calls import float32_inside

Preprocess = Callable[[tf.Tensor], tf.Tensor]
MODES = ("caffe", "tf", "torch", "unit", "signed", "none")

SOME_SIZE = 64
"""The height and width at which what takes any size is tried out."""


def preprocessing(
    preprocess: Preprocess | str | None, shape: tuple[int | None, ...], dtype: tf.DType
) -> Preprocess:
    """Return the function of a mode: float32 RGB in 0..255 to the model's input of that shape.

    It gives float32; where the model casts its input to whole numbers, these numbers.

    `"caffe"`, `"tf"` and `"torch"` are the modes of Keras Applications; `"unit"` is x / 255,
    `"signed"` is x / 127.5 - 1; `None` and `"none"` leave pictures alone.

    Raises:
        InputError: If there is no such mode, or if it is no function.
    """
    function = _function_of(preprocess, shape)

    def prepared(images: tf.Tensor) -> tf.Tensor:
        # As a tensor, because Keras's own preprocessing writes into NumPy arrays.
        inputs = function(tf.convert_to_tensor(images))
        if inputs.shape.rank is None:  # As of what `tf.numpy_function` returns.
            inputs.set_shape(shape)
        if not dtype.is_floating:
            inputs = tf.cast(inputs, dtype)
        return tf.cast(inputs, tf.float32)

    return prepared


def _function_of(preprocess: Preprocess | str | None, shape: tuple[int | None, ...]) -> Preprocess:
    if preprocess is None or preprocess == "none":
        return lambda images: images
    if callable(preprocess):
        function = _named(preprocess)
        _check(function, shape)
        return function
    if preprocess == "unit":
        return lambda images: images / 255.0
    if preprocess == "signed":
        return lambda images: images / 127.5 - 1.0
    if preprocess not in MODES:
        raise InputError(
            f"preprocess {shown(preprocess)} is not known; expected a callable, None, or one of "
            f"{', '.join(MODES)}"
        )
    return lambda images: keras.applications.imagenet_utils.preprocess_input(
        images, data_format="channels_last", mode=preprocess
    )


def _named(function: Preprocess) -> Preprocess:
    def call(images: tf.Tensor) -> tf.Tensor:
        try:
            with float32_inside():
                return tf.convert_to_tensor(function(images))
        except Exception as error:  # What a user's own function raises on a tensor.
            raise InputError(
                f"preprocess raised {type(error).__name__}: {reason_of(error)}. It must turn a "
                "float32 tensor [N, H, W, C] into the model's input with TensorFlow or keras.ops "
                "operations, not NumPy's"
            ) from error

    return call


def _check(preprocess: Preprocess, shape: tuple[int | None, ...]) -> None:
    """Try a user's function in a compiled function, where it will run.

    Args:
        preprocess: What `preprocessing` returned.
        shape: The shape of the model's input, `(None, H, W, C)`.

    Raises:
        InputError: If it cannot be compiled, gives another shape, no finite numbers, others for
            the same pictures, or others for a picture beside another one.
    """
    some = [*(side or SOME_SIZE for side in shape[1:-1]), shape[-1] or 3]
    noise = tf.constant(seeded_pictures(some, one_in_unit_range=True))
    preprocess(noise)  # What a layer builds at its first call would stay in the function's graph.
    compiled = tf.function(preprocess, autograph=False)
    given = compiled.get_concrete_function(tf.TensorSpec(shape, tf.float32)).structured_outputs
    if not given.shape.is_compatible_with(shape):
        raise InputError(
            f"preprocess must return the model's input {shape}; from float32 {shape} it returned "
            f"{tuple(given.shape)}"
        )
    once, again = (compiled(noise).numpy() for _ in range(2))
    if not np.isfinite(once.astype(np.float32)).all():
        raise InputError(
            "preprocess must return finite numbers; of pictures in 0..255 it made others"
        )
    if not np.array_equal(once, again):
        raise InputError(
            "preprocess must return the same for the same pictures; it returned other numbers the "
            "second time. What is random in it is for training"
        )
    alone = np.concatenate([compiled(noise[place : place + 1]).numpy() for place in range(2)])
    if not np.allclose(alone, once, rtol=1e-3, atol=1e-3 * np.abs(once).max()):
        raise InputError(
            "preprocess must return the same for a picture alone and beside others; it computes "
            "something across the batch: let it do so over the axes of each picture, such as "
            "tf.reduce_max(x, axis=[1, 2, 3], keepdims=True)"
        )


def seeded_pictures(shape: list[int], *, one_in_unit_range: bool) -> np.ndarray:
    """Two pictures of noise in 0..255, the same in each process, float32 `[2, H, W, C]`.

    Args:
        shape: Height, width and channels.
        one_in_unit_range: Bring the second one to 0..1, where it is not known what a model takes.
    """
    pictures: Any = np.random.default_rng(0).uniform(0, 255, [2, *shape]).astype(np.float32)
    if one_in_unit_range:
        pictures[1] /= 255.0
    return pictures
