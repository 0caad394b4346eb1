"""Reading a picture once and right: 8-bit RGB as a person sees it, or a clear refusal."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from PIL import Image

from guidedcam_tf.data.decoding import check_size
from guidedcam_tf.data.decoding import decode
from guidedcam_tf.data.decoding import decoding
from guidedcam_tf.data.decoding import opened
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.errors import InputError

ROUNDING = 0.5
"""How far resampling may have left 0..255."""

Picture = str | os.PathLike[str] | np.ndarray | Image.Image


def read_picture(picture: Picture) -> np.ndarray:
    """Return a picture as uint8 RGB, `[H, W, 3]`.

    From a file or a PIL picture: turned as its EXIF orientation says; grey, palette and CMYK become
    RGB; what is transparent lies on white; 16 bits become 8; of an animation, the first frame.

    Args:
        picture: A path, a PIL picture, or an array `[H, W, 3]`, uint8 or float in 0..255.

    Raises:
        InputError: If the file is missing, a folder, no picture, or damaged; if a side is under
            `MIN_SIDE` or the whole over `MAX_PIXELS`; if its values are floats, or 12 bits in 16;
            if an array has another form or its values are in 0..1.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        with decoding("picture"):
            return decode(picture, "picture")[0]
    if not isinstance(picture, (str, os.PathLike)):
        raise InputError(
            f"picture must be a path, a PIL picture or an array [H, W, 3]; received {picture!r}"
        )
    return read_framed(Path(picture))[0]


def read_framed(path: Path) -> tuple[np.ndarray, Frame]:
    """Read a picture file as `read_picture` does; return also how its pixels are stored."""
    with opened(path) as image:
        return decode(image, str(path))


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
    return np.round(np.clip(array, 0, 255)).astype(np.uint8)
