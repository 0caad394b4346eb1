"""The one boundary around Pillow: a file's bytes to upright 8-bit RGB, or a clear refusal."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from PIL import UnidentifiedImageError
from PIL.ExifTags import Base

from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.orientation import turned
from guidedcam_tf.errors import InputError
from guidedcam_tf.storage import is_remote
from guidedcam_tf.storage import readable

MAX_PIXELS = 100_000_000
"""Pictures with more pixels are refused before they are decoded."""

MIN_SIDE = 2
"""A picture needs this many pixels on each side: one pixel has no place to point at."""

SCALED_GREY = {"L;2": 85, "L;4": 17}
"""By what Pillow multiplies a PNG's grey of 2 or 4 bits, so that it is 0..255."""

TWELVE_BITS = 4095
"""What a 16-bit file of a 12-bit camera holds at most."""


@contextmanager
def opened(path: Path) -> Iterator[Image.Image]:
    """Open a picture file; whatever Pillow raises in the block is an `InputError` of that file.

    Raises:
        InputError: If the file is missing, no file, no picture, or damaged.
    """
    check_file(path)
    with decoding(str(path)), warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        with Image.open(readable(path)) as image:
            if image.format == "EPS":
                raise InputError(f"{path} is PostScript, a program that is not run; convert it")
            yield image


@contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever Pillow raises on damaged bytes into an `InputError` that names the picture."""
    try:
        yield
    except InputError:
        raise
    except UnidentifiedImageError:
        raise InputError(f"{name} is not a picture of a kind that can be read") from None
    except Image.DecompressionBombError as error:
        raise InputError(f"{name} is over the limit of {MAX_PIXELS:,} pixels: {error}") from None
    except Exception as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{name} is damaged or cannot be read: {reason:.200}") from error


@dataclass(frozen=True, eq=False)
class Decoded:
    """What was read of a picture.

    Attributes:
        shown: The picture as a person sees it, uint8 RGB `[H, W, 3]`; of a volume `[D, H, W, 3]`;
            a signal's numbers, float32 `[T, C]`.
        frame: Its size, and how its file stores it.
        values: An array's own values `[H, W, C]`, or grey of 16 bits, `[H, W, 1]`; `None` where
            `shown` is all there is.
        is_array: Whether it is an array, whose values are what the network takes.
    """

    shown: np.ndarray
    frame: Frame
    values: np.ndarray | None = None
    is_array: bool = False


def decode(image: Image.Image, name: str) -> Decoded:
    """Decode an open picture and turn it upright.

    Raises:
        InputError: If it has too few or too many pixels, or values whose range is unknown.
    """
    check_size(image.height, image.width, name)
    packing = packing_of(image)
    written = orientation_of(image)
    bits = _tiff_bits(image)
    image.load()
    # A TIFF is turned by Pillow while it is loaded, and says so no more.
    remaining = orientation_of(image)
    values = None
    if image.mode.startswith("I") or image.mode == "F":
        pixels, values = _from_deep_grey(image, name, bits)
        values = np.ascontiguousarray(turned(values, remaining))
    else:
        pixels = _to_rgb(image, name, packing)
    pixels = np.ascontiguousarray(turned(pixels, remaining))
    return Decoded(pixels, Frame((pixels.shape[0], pixels.shape[1]), written), values)


def check_size(height: int, width: int, name: str) -> None:
    """Raise `InputError` if a picture is too small to point at, or too large to be read."""
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{name} is {width} x {height} pixels; expected at least {MIN_SIDE} x {MIN_SIDE}"
        )
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{name} is {width} x {height} pixels, over the limit of {MAX_PIXELS:,} pixels"
        )


def check_file(path: Path) -> None:
    """Raise `InputError` if there is no such file, or nothing in it; a URL is read to see that."""
    if is_remote(path):
        return
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder, expected a picture")
        if not path.exists():
            raise InputError(f"{path} does not exist")
        if not path.is_file():
            raise InputError(f"{path} is not a regular file, expected a picture")
        if path.stat().st_size == 0:
            raise InputError(f"{path} is empty (0 bytes)")
    except InputError:
        raise
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{str(path)!r:.200} cannot be read: {reason}") from error


def orientation_of(image: Image.Image) -> int:
    """The EXIF orientation that a picture names; 1, upright, where it names none."""
    value = image.getexif().get(Base.Orientation)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def packing_of(image: Image.Image) -> str:
    """How Pillow names the way in which a file packs its values; before it is loaded."""
    return " ".join(str(tile[3]) for tile in getattr(image, "tile", ()))


def _tiff_bits(image: Image.Image) -> int:
    """How many bits a TIFF says that its values have; 16 where nothing is said."""
    bits = getattr(image, "tag_v2", {}).get(Base.BitsPerSample, (16,))
    return int(bits[0]) if len(set(bits)) == 1 and 8 < bits[0] < 16 else 16


def _from_deep_grey(image: Image.Image, name: str, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Scale grey of up to 16 bits, which Pillow would clip, to 8 bits; return it as it is, too."""
    values = np.asarray(image)
    if image.mode == "F" or values.min() < 0 or values.max() > 65535:
        raise InputError(
            f"{name} has mode {image.mode} with values {values.min():g} to {values.max():g}; "
            f"expected 8 or 16 bits a channel: {_AS_ARRAY}"
        )
    if bits == 16:
        _check_depth(int(values.max()), name)
    grey = np.round(values * (255 / (2**bits - 1))).astype(np.uint8)
    key = image.info.get("transparency")
    if isinstance(key, int):
        grey[values == key] = 255
    return np.stack([grey] * 3, axis=-1), values[..., None].astype(np.uint16)


def _to_rgb(image: Image.Image, name: str, packing: str) -> np.ndarray:
    """Transparent parts become white; 16 bits a channel come from Pillow as their high byte.

    Args:
        image: The loaded picture.
        name: What messages call it.
        packing: How Pillow names the way in which the file packs its values.
    """
    is_deep = ";16" in packing
    if is_deep:
        highest = np.array(image.getextrema())[: 1 if image.mode == "LA" else 3, 1]
        _check_depth(int(highest.max()) * 256, name)
    key = image.info.get("transparency")
    if is_deep and key is not None:
        raise InputError(
            f"{name} names a transparent colour of 16 bits a channel, which cannot be read; "
            "save it with an alpha channel or with 8 bits"
        )
    if isinstance(key, int):
        # Pillow scales the grey of few bits, but not the grey that is transparent.
        image.info["transparency"] = key * SCALED_GREY.get(packing, 1)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    return np.array(image.convert("RGB"))


def _check_depth(highest: int, name: str) -> None:
    if 0 < highest <= TWELVE_BITS:
        raise InputError(
            f"{name} has 16 bits a channel but holds no value over {highest}: are they 12 bits? "
            f"Read as 16 they would be nearly black; {_AS_ARRAY}"
        )


_AS_ARRAY = (
    "scale its values to 0..255 yourself and pass an array, or save it with 8 bits; a network "
    "without preprocess takes them as they are from an array or an NPY file"
)
