"""Reading a picture once and right: 8-bit RGB as a person sees it, or a clear refusal."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
from PIL import Image

from guidedcam_tf.data.decoding import MAX_PIXELS
from guidedcam_tf.data.decoding import Decoded
from guidedcam_tf.data.decoding import check_file
from guidedcam_tf.data.decoding import check_size
from guidedcam_tf.data.decoding import decode
from guidedcam_tf.data.decoding import decoding
from guidedcam_tf.data.decoding import opened
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_array
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import is_remote
from guidedcam_tf.storage import readable

ROUNDING = 0.5
"""How far resampling may have left 0..255."""

LAYOUTS = {1: "T, C", 2: "H, W, C", 3: "D, H, W, C"}
"""The axes of a signal, a picture and a volume, by the number of those that are spatial."""

KINDS = {1: "signal", 3: "volume"}

Picture = str | os.PathLike[str] | np.ndarray | Image.Image


def read_picture(picture: Picture) -> np.ndarray:
    """Return a picture as uint8 RGB, `[H, W, 3]`.

    From a file or a PIL picture: turned as its EXIF orientation says; grey, palette and CMYK become
    RGB; transparent parts become white; 16 bits become 8; of an animation, the first frame.

    Args:
        picture: A path, a PIL picture, or an array or tensor `[H, W, 3]`, uint8 or float in 0..255.

    Raises:
        InputError: If the file is missing, a folder, no picture, or damaged; if a side is under
            `MIN_SIDE` or the whole over `MAX_PIXELS`; if its values are floats, or 12 bits in 16;
            if an array has another form or its values are in 0..1.
    """
    given = _as_given(picture)
    return _from_array(given) if isinstance(given, np.ndarray) else read(given).shown


def read(picture: Picture, axes: int = 2) -> Decoded:
    """Read a picture with the values that a network may take of it.

    Args:
        picture: As `read_picture` takes it; or an array or tensor `[H, W]` or `[H, W, C]` of any
            numbers, or one in an NPY file. Arrays are shown by `shown_as_picture`.
        axes: 2 for a picture; 1 for a signal, an array `[T]` or `[T, C]`, which is shown as it is;
            3 for a volume or a clip, an array `[D, H, W]` or `[D, H, W, C]`.

    Raises:
        InputError: As `read_picture`; but an array may have any channels and any finite range.
    """
    picture = _as_given(picture)
    if isinstance(picture, np.ndarray):
        return _of_values(picture, "picture", axes)
    if axes != 2 and Path(str(picture)).suffix.lower() != ".npy":
        layout = LAYOUTS[axes]
        raise InputError(
            f"{picture} is no {KINDS[axes]}: the network takes arrays [{layout}], or NPY files"
        )
    if isinstance(picture, Image.Image):
        with decoding("picture"):
            return decode(picture, "picture")
    if not isinstance(picture, (str, os.PathLike)) and not is_remote(picture):
        raise InputError(
            f"picture must be a path, a PIL picture or an array [H, W, C]; "
            f"received {shown(picture)}"
        )
    path = as_path(picture)
    if path.suffix.lower() == ".npy":
        return _of_values(_load(path), str(path), axes)
    with opened(path) as image:
        return decode(image, str(path))


def shown_as_picture(values: np.ndarray) -> np.ndarray:
    """Show values `[H, W, C]` as uint8 RGB `[H, W, 3]`, or a volume's `[D, H, W, C]` likewise.

    One channel is grey, three are red, green and blue; of others their mean is shown as grey.
    Values that are 0..255 already stay; others are scaled, their lowest being black and their
    highest white.
    """
    if values.dtype == np.uint8 and values.shape[-1] == 3:
        return values
    seen = values if values.shape[-1] in (1, 3) else values.mean(axis=-1, keepdims=True)
    seen = np.asarray(seen, np.float64)
    low, high = seen.min(), seen.max()
    if values.dtype != np.uint8 and (low < 0 or high > 255 or high <= 1):
        seen = 255 * (seen - low) / (high - low or 1)
    rounded = np.round(seen).astype(np.uint8)
    result: np.ndarray = np.broadcast_to(rounded, (*rounded.shape[:-1], 3)).copy()
    return result


def _as_given(picture: Picture) -> Picture:
    """The picture; an array in the place of what can be one, such as a tensor."""
    is_array = hasattr(picture, "__array__") and not isinstance(picture, Image.Image)
    return as_array(picture, "picture") if is_array else picture


def _of_values(array: np.ndarray, name: str, axes: int) -> Decoded:
    values = array[..., None] if array.ndim == axes else array
    if values.ndim != axes + 1 or not values.shape[-1]:
        layout = LAYOUTS[axes]
        hint = ": Explainer.maps takes a batch" if array.ndim == axes + 2 else ""
        raise InputError(
            f"{name} must have shape [{layout.removesuffix(', C')}] or [{layout}]; "
            f"received {array.shape}{hint}"
        )
    height, width = (1, *values.shape[:-1])[-2:]
    if axes == 2:
        check_size(height, width, name)
    elif not 1 < math.prod(values.shape[:-1]) <= MAX_PIXELS:
        raise InputError(
            f"{name} has the shape {array.shape}; expected 2 to {MAX_PIXELS:,} positions"
        )
    is_real = np.issubdtype(values.dtype, np.number) and not np.iscomplexobj(values)
    if not is_real or not np.isfinite(values).all():
        raise InputError(f"{name} must hold finite numbers; its dtype is {values.dtype}")
    shown = values.astype(np.float32) if axes == 1 else shown_as_picture(values)
    return Decoded(shown, Frame((height, width)), values, is_array=True)


def _load(path: Path) -> np.ndarray:
    check_file(path)
    try:
        found = np.load(readable(path), allow_pickle=False)
    # NumPy raises kinds of its own on damaged bytes.
    except Exception as error:
        raise InputError(f"{path} is not a readable NPY file: {error!s:.200}") from error
    if not isinstance(found, np.ndarray):
        raise InputError(f"{path} holds several arrays, expected one")
    return found


def to_grey(picture: np.ndarray) -> np.ndarray:
    """Turn uint8 RGB `[H, W, 3]` into its luminance (ITU-R 601-2), uint8 `[H, W, 1]`."""
    return np.array(Image.fromarray(picture).convert("L"))[..., None]


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim != 3 or array.shape[-1] != 3:
        raise InputError(f"picture must have shape [H, W, 3]; received {array.shape}")
    check_size(array.shape[0], array.shape[1], "picture")
    if array.dtype == np.uint8:
        return array
    is_real = np.issubdtype(array.dtype, np.number) and not np.iscomplexobj(array)
    if not is_real or not np.isfinite(array).all():
        raise InputError(f"picture must hold finite numbers in 0..255; its dtype is {array.dtype}")
    low, high = array.min(), array.max()
    if low < -ROUNDING or high > 255 + ROUNDING or 0 < high <= 1:
        raise InputError(
            f"picture must be RGB in 0..255; received {low:g} to {high:g}"
            + (": multiply it by 255" if low >= 0 and high <= 1 else ": clip or scale it")
        )
    result: np.ndarray = np.round(np.clip(array, 0, 255)).astype(np.uint8)
    return result
