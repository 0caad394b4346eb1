"""The warm-up file: requests that TensorFlow Serving answers to itself before a version goes live.

It is a TFRecord file of `PredictionLog` messages. Their classes come with tensorflow-serving-api,
an optional package, so the few fields that are needed are written here by hand in protobuf's
format: a string or a message inside a message is its field's number, its length and its bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import tensorflow as tf

from guidedcam_tf.serving.endpoints import Signatures

GREY = 127
"""Every element of the pictures in a request: one number, whatever their size."""

LENGTH_DELIMITED = 2
"""Protobuf's wire type of strings and messages."""


def write_warm_up(
    file: Path,
    model: str,
    signatures: Signatures,
    size: tuple[int | None, ...],
    batch_sizes: Iterable[int],
) -> None:
    """Write a request for every signature and batch size.

    Args:
        file: Where to.
        model: The model's name on the server.
        signatures: The export's functions.
        size: Height and width of the pictures.
        batch_sizes: How many pictures the requests have.
    """
    with tf.io.TFRecordWriter(str(file)) as writer:
        for signature, function in signatures.items():
            specs = tf.nest.flatten(function.structured_input_signature)
            for count in batch_sizes:
                inputs = {spec.name: example(spec, count, size) for spec in specs}
                writer.write(prediction_log(model, signature, inputs))


def example(spec: tf.TensorSpec, count: int, size: tuple[int | None, ...]) -> bytes:
    """A serialised `TensorProto` of grey pictures, or of targets, for an input of a signature."""
    tensor = tf.make_tensor_proto([], dtype=spec.dtype, shape=[0])
    shape: list[int | None] = [count]
    if spec.dtype == tf.string:
        picture = tf.fill([*size, 3], tf.constant(GREY, tf.uint8))
        tensor.string_val.append(tf.io.encode_jpeg(picture).numpy())
    elif spec.shape.rank == 1:
        tensor.int_val.append(-1)
    else:
        shape = [count, *size, spec.shape[-1]]
        (tensor.float_val if spec.dtype.is_floating else tensor.int_val).append(GREY)
    tensor.tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return tensor.SerializeToString()


def prediction_log(model: str, signature: str, inputs: dict[str, bytes]) -> bytes:
    """A serialised `PredictionLog` of a `PredictRequest`; the inputs are serialised tensors."""
    spec = _field(1, model.encode()) + _field(3, signature.encode())
    request = _field(1, spec)
    for name, tensor in inputs.items():
        request += _field(2, _field(1, name.encode()) + _field(2, tensor))
    return _field(6, _field(1, request))


def _field(number: int, payload: bytes) -> bytes:
    return _varint(number << 3 | LENGTH_DELIMITED) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    """A number in groups of seven bits, lowest first; all but the last have their top bit set."""
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*groups, value])
