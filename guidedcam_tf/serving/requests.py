"""What a request may hold: checks that say what is wrong.

Everything runs inside the graph, so a server needs nothing of this package. A check that fails
raises TensorFlow's `InvalidArgumentError`, which a server answers as `INVALID_ARGUMENT` with the
check's words.
"""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.data.decoding import MIN_SIDE
from guidedcam_tf.data.pictures import ROUNDING


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


def check_images(images: tf.Tensor, max_pixels: int, takes_pixels: bool) -> tf.Tensor:
    """Return pictures `[N, H, W, C]` if there are any, of a usable size, of C channels and finite.

    Args:
        images: The pictures.
        max_pixels: Pictures with more pixels are refused.
        takes_pixels: Whether they must be in 0..255; float pictures in 0..1 are then refused.
    """
    height, width, channels = tf.unstack(tf.shape(images)[1:])
    checks = size_checks("each of the images", height, width, max_pixels)
    right = channels == images.shape[3]
    checks.append(
        check(right, f"images must have {images.shape[3]} channels; received {{}}", channels)
    )
    if images.dtype.is_floating:
        finite = tf.reduce_all(tf.math.is_finite(images))
        checks.append(check(finite, "images must be finite; received NaN or infinity"))
    if images.dtype.is_floating and takes_pixels:
        low, high = tf.reduce_min(images, [1, 2, 3]), tf.reduce_max(images, [1, 2, 3])
        is_scaled = (high > 0) & (high <= 1)
        in_range = (low >= -ROUNDING) & (high <= 255 + ROUNDING) & ~is_scaled
        checks.append(
            check(
                tf.reduce_all(in_range),
                "images must be RGB in 0..255, not scaled; received {} to {}",
                tf.reduce_min(low),
                tf.reduce_max(high),
            )
        )
    with tf.control_dependencies(checks):
        return check_not_empty(images)


def size_checks(
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
