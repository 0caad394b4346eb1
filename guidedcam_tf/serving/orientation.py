"""How an encoded picture is turned, read inside the graph: TensorFlow's decoders do not look.

The orientation is EXIF's tag 274, in a JPEG's APP1 segment or a PNG's chunk eXIf. What says it only
in text (XMP, ImageMagick's raw profiles) is found, and left to the caller to refuse.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import tensorflow as tf

EXIF_START = b"Exif\0\0"
TAG = 0x0112
SHORT, LONG = 3, 4
ENTRY_BYTES = 12
IN_TEXT = (
    r"\C*tiff:Orientation(=\"|>)[2-8]\C*"
    r"|Raw profile type (exif|APP1)\x00\C*"
    r"|XML:com\.adobe\.xmp\x00\x01\C*"
)
"""What Pillow also takes an orientation from, in a segment or a chunk of text."""


class Found(NamedTuple):
    """What a walk through a file's parts found.

    Attributes:
        exif: The EXIF block from its byte order mark on, a string; empty where there is none.
        in_text: Whether a text speaks of the orientation.
        transparent: Whether a PNG has a chunk tRNS.
    """

    exif: tf.Tensor
    in_text: tf.Tensor
    transparent: tf.Tensor


def in_jpeg(encoded: tf.Tensor) -> Found:
    """Walk through the segments of a JPEG, up to its pixels."""
    length = tf.strings.length(encoded)

    def step(place: tf.Tensor, found: Found) -> tuple[tf.Tensor, Found]:
        marker, size = _number(encoded, place + 1, 1), _number(encoded, place + 2, 2)
        head = tf.strings.substr(encoded, place + 4, len(EXIF_START))
        body = _part(encoded, place + 4, size - 2)
        is_exif = (marker == 0xE1) & (head == EXIF_START)
        is_text = (marker == 0xE1) & (head != EXIF_START)
        exif = tf.cond(
            is_exif & (found.exif == b""),
            lambda: tf.strings.substr(body, len(EXIF_START), size),
            lambda: found.exif,
        )
        in_text = found.in_text | (is_text & tf.strings.regex_full_match(body, IN_TEXT))
        onward = tf.where(marker == 0xFF, place + 1, place + 2 + tf.maximum(size, 2))
        return onward, Found(exif, in_text, found.transparent)

    def goes_on(place: tf.Tensor, found: Found) -> tf.Tensor:
        is_marker = (place + 4 < length) & (_number(encoded, place, 1) == 0xFF)
        return is_marker & (_number(encoded, place + 1, 1) != 0xDA)

    return _walk(goes_on, step, 2)


def in_png(encoded: tf.Tensor) -> Found:
    """Walk through the chunks of a PNG."""
    length = tf.strings.length(encoded)

    def step(place: tf.Tensor, found: Found) -> tuple[tf.Tensor, Found]:
        size = tf.minimum(_number(encoded, place, 4), length)
        name = tf.strings.substr(encoded, place + 4, 4)
        # Most chunks are pixels; only the few that are looked into are copied.
        is_text = (name == b"iTXt") | (name == b"tEXt") | (name == b"zTXt")
        body = tf.cond(
            is_text | (name == b"eXIf"),
            lambda: _part(encoded, place + 8, size),
            lambda: tf.constant(b""),
        )
        exif = tf.where(name == b"eXIf", body, found.exif)
        in_text = found.in_text | (is_text & tf.strings.regex_full_match(body, IN_TEXT))
        return place + 12 + size, Found(exif, in_text, found.transparent | (name == b"tRNS"))

    def goes_on(place: tf.Tensor, found: Found) -> tf.Tensor:
        return place + 12 <= length

    return _walk(goes_on, step, 8)


def orientation(exif: tf.Tensor) -> tf.Tensor:
    """Read the orientation of an EXIF block, int32 1 to 8; 0 where it says none."""
    is_little = tf.strings.substr(exif, 0, 2) == b"II"
    first = _number(exif, 4, 4, is_little)
    count = tf.minimum(
        _number(exif, first, 2, is_little), (tf.strings.length(exif) - first - 2) // ENTRY_BYTES
    )
    table = _part(exif, first + 2, tf.maximum(count, 0) * ENTRY_BYTES)
    entries = tf.reshape(tf.cast(tf.io.decode_raw(table, tf.uint8), tf.int32), [-1, ENTRY_BYTES])
    entries = tf.concat([entries, tf.zeros([1, ENTRY_BYTES], tf.int32)], axis=0)

    def field(start: int, size: int) -> tf.Tensor:
        digits = entries[:, start : start + size]
        digits = tf.where(is_little, tf.reverse(digits, [1]), digits)
        weights = [min(256**power, 1 << 23) for power in reversed(range(size))]
        return tf.reduce_sum(digits * tf.constant(weights), axis=1)

    kind = field(2, 2)
    value = tf.where(kind == SHORT, field(8, 2), tf.where(kind == LONG, field(8, 4), 0))
    said = tf.reduce_max(tf.where(field(0, 2) == TAG, value, 0))
    return tf.where((said >= 1) & (said <= 8), said, 0)


def turned(stored: tf.Tensor, orientation: tf.Tensor) -> tf.Tensor:
    """Turn stored pixels `[H, W, C]` of an EXIF orientation upright."""
    rows = tf.where(tf.reduce_any(orientation == [3, 4, 6, 7]), -1, 1)
    columns = tf.where(tf.reduce_any(orientation == [2, 3, 7, 8]), -1, 1)
    mirrored = stored[::rows, ::columns]
    return tf.cond(orientation > 4, lambda: tf.transpose(mirrored, [1, 0, 2]), lambda: mirrored)


def _walk(
    goes_on: Callable[[tf.Tensor, Found], tf.Tensor],
    step: Callable[[tf.Tensor, Found], tuple[tf.Tensor, Found]],
    first: int,
) -> Found:
    nothing = Found(tf.constant(b""), tf.constant(False), tf.constant(False))
    shapes = (tf.TensorShape([]), Found(*[tf.TensorShape([])] * 3))
    place = tf.constant(first)
    return tf.while_loop(goes_on, step, (place, nothing), shapes, parallel_iterations=1)[1]


def _part(text: tf.Tensor, start: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """Cut bytes out of a string; what lies beyond its end is left out."""
    length = tf.strings.length(text)
    start = tf.clip_by_value(start, 0, length)
    return tf.strings.substr(text, start, tf.clip_by_value(size, 0, length - start))


def _number(
    text: tf.Tensor, start: tf.Tensor | int, size: int, is_little: tf.Tensor | bool = False
) -> tf.Tensor:
    """Read a whole number of 1, 2 or 4 bytes, int32; what is missing counts as 0.

    Numbers too large for a place in a file come as the largest that fits.
    """
    part = _part(text, tf.constant(start) if isinstance(start, int) else start, tf.constant(size))
    part = tf.strings.join([part, b"\0" * size])
    digits = tf.cast(tf.io.decode_raw(tf.strings.substr(part, 0, size), tf.uint8), tf.int64)
    digits = tf.where(is_little, tf.reverse(digits, [0]), digits)
    weights = tf.constant([256**power for power in reversed(range(size))], tf.int64)
    return tf.cast(tf.minimum(tf.reduce_sum(digits * weights), (1 << 31) - (1 << 8)), tf.int32)
