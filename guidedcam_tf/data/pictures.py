"""Reading a picture once and right: 8-bit RGB as a person sees it, or a clear refusal."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import ImageOps
from PIL import UnidentifiedImageError

from guidedcam_tf.errors import InputError

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded."""

MIN_SIDE = 2
"""A picture needs this many pixels on each side: one pixel has no place to point at."""

Picture = str | os.PathLike[str] | np.ndarray | Image.Image


def read_picture(picture: Picture) -> np.ndarray:
    """Return a picture as uint8 RGB, `[H, W, 3]`.

    From a file or a PIL picture: turned as its EXIF orientation says; grey, palette and CMYK become
    RGB; what is transparent lies on white; 16 bits become 8; of an animation, the first frame.

    Args:
        picture: A path, a PIL picture, or an array `[H, W, 3]`, uint8 or float in 0..255.

    Raises:
        InputError: If the file is missing, a folder, no picture, or damaged; if a side is under
            `MIN_SIDE` or the whole over `MAX_PIXELS`; if an array has another form.
    """
    if isinstance(picture, np.ndarray):
        return _from_array(picture)
    if isinstance(picture, Image.Image):
        return _decode(picture, "picture")
    if not isinstance(picture, (str, os.PathLike)):
        raise InputError(
            f"picture must be a path, a PIL picture or an array [H, W, 3]; received {picture!r}"
        )
    path = Path(picture)
    if path.is_dir():
        raise InputError(f"{path} is a folder, expected a picture")
    if not path.exists():
        raise InputError(f"{path} does not exist")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return _decode(image, str(path))
    except UnidentifiedImageError:
        raise InputError(f"{path} is not a picture of a kind that can be read") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{path} is over the limit of {MAX_PIXELS:,} pixels: {error}") from None
    except InputError:
        raise
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise InputError(f"{path} is damaged or cannot be read: {error}") from error


def to_grey(picture: np.ndarray) -> np.ndarray:
    """Turn uint8 RGB `[H, W, 3]` into its luminance (ITU-R 601-2), uint8 `[H, W, 1]`."""
    return np.array(Image.fromarray(picture).convert("L"))[..., None]


def _decode(image: Image.Image, name: str) -> np.ndarray:
    _check_size(image.height, image.width, name)
    if image.mode.startswith("I") or image.mode == "F":
        image = _eight_bits(image, name)
    image = ImageOps.exif_transpose(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _eight_bits(image: Image.Image, name: str) -> Image.Image:
    """Scale 16-bit grey, which PIL would clip, to 8 bits."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise InputError(f"{name} has mode {image.mode}; expected 8 or 16 bits a channel")
    scaled = Image.fromarray(np.round(values / 257).astype(np.uint8))
    scaled.info = image.info
    scaled.getexif().update(image.getexif())
    return scaled


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim != 3 or array.shape[-1] != 3:
        raise InputError(f"picture must have shape [H, W, 3]; received {array.shape}")
    _check_size(array.shape[0], array.shape[1], "picture")
    if array.dtype == np.uint8:
        return array
    if not np.issubdtype(array.dtype, np.number) or not np.isfinite(array).all():
        raise InputError(f"picture must hold finite numbers in 0..255; its dtype is {array.dtype}")
    if array.min() < 0 or array.max() > 255:
        raise InputError(
            f"picture must be RGB in 0..255; received {array.min():g} to {array.max():g}"
        )
    return np.round(array).astype(np.uint8)


def _check_size(height: int, width: int, name: str) -> None:
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{name} is {width} x {height} pixels; expected at least {MIN_SIDE} x {MIN_SIDE}"
        )
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{name} is {width} x {height} pixels, over the limit of {MAX_PIXELS:,} pixels"
        )
