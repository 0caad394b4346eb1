"""Encoded pictures to pixels inside the graph, as `guidedcam_tf.data.read_picture` reads them."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from guidedcam_tf.data.decoding import TWELVE_BITS
from guidedcam_tf.serving import orientation
from guidedcam_tf.serving.requests import check
from guidedcam_tf.serving.requests import check_not_empty
from guidedcam_tf.serving.requests import size_checks

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_HEADER_BYTES = 33
"""A PNG's signature and its first chunk: the size in bytes 16 to 23, then depth and kind."""

DEPTH = 24
GREY, GREY_ALPHA, RGBA = 0, 4, 6

DECODED_TOGETHER = 4
"""Pictures of one request that are decoded at a time; each may be as large as the limit."""


def decode(
    image_bytes: tf.Tensor,
    finish: Callable[[tf.Tensor], tf.Tensor],
    finished: tf.TensorSpec,
    max_pixels: int,
    deep_grey: bool = True,
) -> tf.Tensor:
    """Decode JPEG and PNG pictures of any sizes, each by itself.

    A picture's size is read from its header, and checked, before its pixels are decoded.

    Args:
        image_bytes: Strings `[N]`.
        finish: What brings a picture, uint8 RGB `[H, W, 3]`, to one size for all.
        finished: What `finish` returns.
        max_pixels: Pictures with more pixels are refused.
        deep_grey: Whether grey of 16 bits is scaled to 8, or refused.

    Returns:
        What `finish` returned for each, `[N, ...]`.
    """

    def one(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return finish(_decode_one(*row, max_pixels, deep_grey))

    rows = (check_not_empty(image_bytes), tf.range(tf.size(image_bytes)))
    return tf.map_fn(one, rows, fn_output_signature=finished, parallel_iterations=DECODED_TOGETHER)


def _decode_one(
    encoded: tf.Tensor, index: tf.Tensor, max_pixels: int, deep_grey: bool
) -> tf.Tensor:
    length = tf.strings.length(encoded)
    is_jpeg = _starts_with(encoded, JPEG_START)
    is_png = _starts_with(encoded, PNG_START) & (length >= PNG_HEADER_BYTES)
    known = check(
        is_jpeg | is_png,
        "image_bytes: row {} ({} bytes) is not a JPEG or PNG picture",
        index,
        length,
    )
    with tf.control_dependencies([known]):
        header = tf.identity(encoded)
    height, width = tf.unstack(
        tf.cond(is_jpeg, lambda: _jpeg_size(header), lambda: _png_size(header))
    )
    checks = size_checks("image_bytes: the picture in row {}", height, width, max_pixels, index)
    with tf.control_dependencies(checks):
        contents = tf.identity(header)
    picture = tf.cond(
        is_jpeg,
        lambda: _decode_jpeg(contents, index),
        lambda: _decode_png(contents, index, deep_grey),
    )
    return tf.ensure_shape(picture, [None, None, 3])


def _starts_with(encoded: tf.Tensor, start: bytes) -> tf.Tensor:
    return tf.strings.substr(encoded, 0, len(start)) == start


def _jpeg_size(encoded: tf.Tensor) -> tf.Tensor:
    return tf.io.extract_jpeg_shape(encoded)[:2]


def _png_size(encoded: tf.Tensor) -> tf.Tensor:
    """Height and width, which the header holds as two big-endian numbers of four bytes."""
    digits = tf.reshape(tf.io.decode_raw(tf.strings.substr(encoded, 16, 8), tf.uint8), [2, 4])
    width, height = tf.unstack(
        tf.reduce_sum(tf.cast(digits, tf.int64) * [[1 << 24, 1 << 16, 1 << 8, 1]], axis=1)
    )
    return tf.cast(tf.minimum([height, width], tf.int32.max), tf.int32)


def _decode_jpeg(encoded: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """With the accurate inverse transform, as Pillow decodes."""
    found = orientation.in_jpeg(encoded)
    pixels = tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")
    return _upright(pixels, found, index)


def _decode_png(encoded: tf.Tensor, index: tf.Tensor, deep_grey: bool) -> tf.Tensor:
    """TensorFlow fills an alpha channel of its own wrongly under 8 bits, so none is asked for."""
    found = orientation.in_png(encoded)
    header = tf.io.decode_raw(tf.strings.substr(encoded, DEPTH, 2), tf.uint8)
    depth, kind = tf.unstack(tf.cast(header, tf.int32), 2)
    has_alpha = (kind == GREY_ALPHA) | (kind == RGBA) | found.transparent
    readable = check(
        (depth < 16) | (kind == GREY) | ~found.transparent,
        "image_bytes: the PNG in row {} names a transparent colour of 16 bits a channel, which "
        "cannot be read; send an alpha channel or 8 bits",
        index,
    )
    known_range = check(
        (depth < 16) | (kind != GREY) | deep_grey,
        "image_bytes: the PNG in row {} is grey of 16 bits, which this grey network may take in "
        "another range; send its values as images",
        index,
    )
    with tf.control_dependencies([readable, known_range]):
        contents = tf.identity(encoded)
    pixels = tf.cond(
        (depth == 16) & (kind == GREY),
        lambda: _deep_grey(contents, found.transparent, index),
        lambda: _eight_bits(contents, has_alpha, depth, index),
    )
    return _upright(pixels, found, index)


def _deep_grey(encoded: tf.Tensor, transparent: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Grey of 16 bits, scaled to 8; what is transparent is white."""

    def decoded(channels: int) -> tf.Tensor:
        values = tf.cast(tf.io.decode_png(encoded, channels, tf.uint16), tf.int32)
        grey = _of_full_depth(values[..., :1], tf.constant(16), index)
        scaled = (grey + 128) // 257
        return scaled if channels == 1 else tf.where(values[..., 3:] == 0, 255, scaled)

    grey = tf.cond(transparent, lambda: decoded(4), lambda: decoded(1))
    return tf.repeat(tf.cast(grey, tf.uint8), 3, axis=-1)


def _eight_bits(
    encoded: tf.Tensor, has_alpha: tf.Tensor, depth: tf.Tensor, index: tf.Tensor
) -> tf.Tensor:
    """All else; 16 bits a channel come as their high byte; transparent parts become white."""

    def on_white() -> tf.Tensor:
        values = tf.io.decode_png(encoded, channels=4)
        colour = tf.cast(_of_full_depth(values[..., :3], depth, index), tf.uint16)
        opacity = tf.cast(values[..., 3:], tf.uint16)
        mixed = colour * opacity + 255 * (255 - opacity) + 128
        return tf.cast(tf.bitwise.right_shift(mixed + mixed // 256, 8), tf.uint8)

    def opaque() -> tf.Tensor:
        return _of_full_depth(tf.io.decode_png(encoded, channels=3), depth, index)

    return tf.cond(has_alpha, on_white, opaque)


def _of_full_depth(values: tf.Tensor, depth: tf.Tensor, index: tf.Tensor) -> tf.Tensor:
    """Return values if they are not 12 bits in a file of 16, which would be nearly black."""
    highest = tf.cast(tf.reduce_max(values), tf.int32)
    if values.dtype == tf.uint8:
        highest *= 256
    full = check(
        (depth < 16) | (highest == 0) | (highest > TWELVE_BITS),
        "image_bytes: the PNG in row {} has 16 bits a channel but holds no value over {}: are they "
        "12 bits? Scale them to 16, or send 8",
        index,
        highest,
    )
    with tf.control_dependencies([full]):
        return tf.identity(values)


def _upright(pixels: tf.Tensor, found: orientation.Found, index: tf.Tensor) -> tf.Tensor:
    said = orientation.orientation(found.exif)
    readable = check(
        (said > 0) | ~found.in_text,
        "image_bytes: the picture in row {} may be turned by an orientation in XMP or in a raw "
        "profile, which is not read; turn its pixels, or send it without",
        index,
    )
    with tf.control_dependencies([readable]):
        return orientation.turned(pixels, tf.identity(said))
