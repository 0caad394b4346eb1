"""What a request may hold: checks that say what is wrong, and the decoding of encoded pictures.

Everything runs inside the graph, so a server needs nothing of this package. A check that fails
raises TensorFlow's `InvalidArgumentError`, which a server answers as `INVALID_ARGUMENT` with the
check's words.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from guidedcam_tf.data.decoding import MIN_SIDE

JPEG_START = b"\xff\xd8\xff"
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_HEADER_BYTES = 33
"""A PNG's signature and its first chunk, which holds the size in bytes 16 to 23."""

DECODED_TOGETHER = 4
"""Pictures of one request that are decoded at a time; each may be as large as the limit."""


def check(condition: tf.Tensor, message: str, *values: tf.Tensor) -> tf.Operation:
    """Fail the request unless a condition holds; each `{}` of the message shows a value."""
    return tf.debugging.Assert(condition, [tf.strings.format(message, values)])


def check_not_empty(rows: tf.Tensor) -> tf.Tensor:
    """Return the rows of a request, `[N, ...]`, if there is at least one."""
    any_row = tf.shape(rows)[0] > 0
    with tf.control_dependencies([check(any_row, "the batch is empty; expected a picture")]):
        return tf.identity(rows)


def check_targets(class_ids: tf.Tensor, rows: tf.Tensor, classes: int) -> tf.Tensor:
    """Return the targets, int32 `[N]`, if there is one a row and each is a class or -1."""
    targets, count = tf.shape(class_ids)[0], tf.shape(rows)[0]
    checks = [
        check(
            targets == count,
            "class_ids must have one entry for each picture; received {} for {} pictures",
            targets,
            count,
        ),
        check(
            tf.reduce_all((class_ids >= -1) & (class_ids < classes)),
            f"class_ids must be 0 to {classes - 1}, or -1 for the best class; received {{}}",
            class_ids,
        ),
    ]
    with tf.control_dependencies(checks):
        return tf.identity(class_ids)


def check_images(images: tf.Tensor, max_pixels: int) -> tf.Tensor:
    """Return pictures `[N, H, W, C]` if there are any, of a usable size and finite."""
    height, width = tf.unstack(tf.shape(images)[1:3])
    checks = _size_checks("each of the images", height, width, max_pixels)
    if images.dtype.is_floating:
        finite = tf.reduce_all(tf.math.is_finite(images))
        checks.append(check(finite, "images must be finite; received NaN or infinity"))
    with tf.control_dependencies(checks):
        return check_not_empty(images)


def _size_checks(
    what: str, height: tf.Tensor, width: tf.Tensor, max_pixels: int, *values: tf.Tensor
) -> list[tf.Operation]:
    """Checks of a picture's size; `values` fill the placeholders in `what`."""
    size = f"{what} is {{}} x {{}} pixels"
    pixels = tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
    return [
        check(
            tf.minimum(height, width) >= MIN_SIDE,
            f"{size}; expected at least {MIN_SIDE} x {MIN_SIDE}",
            *values,
            width,
            height,
        ),
        check(
            pixels <= max_pixels,
            f"{size}, over the limit of {max_pixels:,} pixels",
            *values,
            width,
            height,
        ),
    ]


def decode(
    image_bytes: tf.Tensor,
    finish: Callable[[tf.Tensor], tf.Tensor],
    finished: tf.TensorSpec,
    max_pixels: int,
) -> tf.Tensor:
    """Decode JPEG and PNG pictures of any sizes, each by itself.

    A picture's size is read from its header, and checked, before its pixels are decoded.

    Args:
        image_bytes: Strings `[N]`.
        finish: What brings a picture, uint8 RGB `[H, W, 3]`, to one size for all.
        finished: What `finish` returns.
        max_pixels: Pictures with more pixels are refused.

    Returns:
        What `finish` returned for each, `[N, ...]`.
    """

    def one(row: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        return finish(_decode_one(*row, max_pixels))

    rows = (check_not_empty(image_bytes), tf.range(tf.size(image_bytes)))
    return tf.map_fn(one, rows, fn_output_signature=finished, parallel_iterations=DECODED_TOGETHER)


def _decode_one(encoded: tf.Tensor, index: tf.Tensor, max_pixels: int) -> tf.Tensor:
    length = tf.strings.length(encoded)
    is_jpeg = _starts_with(encoded, JPEG_START)
    is_png = _starts_with(encoded, PNG_START) & (length >= PNG_HEADER_BYTES)
    known = check(
        is_jpeg | is_png,
        "image_bytes: row {} ({} bytes) is no JPEG or PNG picture",
        index,
        length,
    )
    with tf.control_dependencies([known]):
        header = tf.identity(encoded)
    height, width = tf.unstack(
        tf.cond(is_jpeg, lambda: _jpeg_size(header), lambda: _png_size(header))
    )
    checks = _size_checks("image_bytes: the picture in row {}", height, width, max_pixels, index)
    with tf.control_dependencies(checks):
        contents = tf.identity(header)
    picture = tf.cond(is_jpeg, lambda: _decode_jpeg(contents), lambda: _decode_png(contents))
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


def _decode_jpeg(encoded: tf.Tensor) -> tf.Tensor:
    """With the accurate inverse transform, as Pillow decodes."""
    return tf.io.decode_jpeg(encoded, channels=3, dct_method="INTEGER_ACCURATE")


def _decode_png(encoded: tf.Tensor) -> tf.Tensor:
    """What is transparent lies on white, as in `guidedcam_tf.data.read_picture`."""
    picture = tf.cast(tf.io.decode_png(encoded, channels=4), tf.uint16)
    colour, opacity = picture[..., :3], picture[..., 3:]
    on_white = (colour * opacity + 255 * (255 - opacity) + 127) // 255
    return tf.cast(on_white, tf.uint8)
