"""The files of a VOC tree: palette masks, and XML with boxes."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import parse as parse_xml

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.boxes import from_voc
from guidedcam_tf.data.mask_files import read_mask_file
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.data.tree import is_file
from guidedcam_tf.errors import InputError
from guidedcam_tf.storage import readable

VOID = 255
"""The value of pixels that belong to no class."""

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_YES = frozenset({"1", "true", "yes", "y", "t"})
_NO = frozenset({"", "0", "false", "no", "n", "f", "unspecified", "none"})


@dataclass(frozen=True)
class Thing:
    """An object of an XML file: its box in the upright picture, and its flag `difficult`."""

    box: Box
    difficult: bool


def read_mask(file: Path, frame: Frame, classes: Sequence[str]) -> np.ndarray:
    """Read a mask of class numbers, uint8 `[H, W]`, as the picture is seen.

    Its indices are the classes' numbers, unless its palette holds the colours of VOC in another
    order: then the colours say which class is meant.

    Args:
        file: A PNG.
        frame: Of the picture.
        classes: The names of the numbers from 1.

    Raises:
        SampleError: If it is missing, no such mask, or of another size.
    """
    if not is_file(file):
        raise SampleError("missing mask", f"{file} does not exist")
    try:
        mask = read_mask_file(file)
    except InputError as error:
        raise SampleError("bad mask", str(error)) from error
    if mask.mode not in ("P", "L"):
        raise SampleError(
            "bad mask", f"{file} has mode {mask.mode}; expected a palette of class numbers"
        )
    values = mask.upright(mask.values, frame)
    if mask.palette is not None:
        values = _by_colour(values, mask.palette, len(classes), file)
    counts = count_values(values)
    if counts[VOID] and not counts[1:VOID].any():
        raise SampleError(
            "bad mask",
            f"{file} holds no class: {VOID} is void; expected 1 where the first class is",
        )
    strange = np.flatnonzero(counts[len(classes) + 1 : VOID])
    if strange.size:
        raise SampleError(
            "bad mask",
            f"{file} holds {len(classes) + 1 + strange[0]}; "
            f"expected 0 to {len(classes)}, or {VOID} for void",
        )
    return values


def count_values(mask: np.ndarray) -> np.ndarray:
    """Count how often each of 0 to 255 occurs."""
    return np.bincount(mask.ravel(), minlength=VOID + 1)


def voc_colours() -> np.ndarray:
    """VOC's colour of each number, uint8 `[256, 3]`.

    Its development kit's `VOClabelcolormap`: bit 7 of red, green and blue are the number's bits 0,
    1 and 2, bit 6 its bits 3, 4 and 5, bit 5 its bits 6 and 7.
    """
    number = np.arange(256)[:, None]
    channel = np.arange(3)
    bits = [(number >> (channel + 3 * group) & 1) << (7 - group) for group in range(3)]
    result: np.ndarray = np.sum(bits, axis=0).astype(np.uint8)
    return result


def _by_colour(values: np.ndarray, palette: np.ndarray, classes: int, file: Path) -> np.ndarray:
    """Return the class numbers that a palette's colours stand for, where they are VOC's."""
    used = np.flatnonzero(count_values(values))
    if used[-1] >= len(palette):
        return values
    known = {tuple(voc_colours()[number]): number for number in (*range(classes + 1), VOID)}
    colours = [tuple(colour) for colour in palette]
    meant = [known.get(colours[index]) for index in used]
    if all(number is None or number == index for number, index in zip(meant, used, strict=True)):
        return values
    # Greys may come from any palette; a colour of VOC's shows that it is meant.
    if not any(
        number is not None and len(set(colours[i])) > 1
        for i, number in zip(used, meant, strict=True)
    ):
        return values
    if None in meant or len(set(meant)) < len(meant):
        raise SampleError(
            "bad mask",
            f"{file} has VOC's colours in another order, with others or twice, so that it is "
            "unclear whether its indices or its colours name the classes",
        )
    table = np.zeros(VOID + 1, np.uint8)
    table[used] = np.array(meant, np.uint8)
    result: np.ndarray = table[values]
    return result


def read_objects(
    file: Path, frame: Frame, classes: Sequence[str], first: int = 1
) -> dict[str, list[Thing]]:
    """Read an XML file's objects by class, their boxes as the picture is seen.

    Args:
        file: The XML.
        frame: Of the picture.
        classes: The names that objects may have, whatever their case.
        first: The number of the first pixel.

    Raises:
        SampleError: If it is no such XML, or an object has no class or no box in the picture.
    """
    tree = _read_xml(file)
    names = {_folded(name): name for name in classes}
    width, height = ((tree.findtext(f"size/{side}") or "").strip() for side in ("width", "height"))
    frame = frame.box_frame(width, height, str(file))
    objects: dict[str, list[Thing]] = {}
    for element in tree.findall("object"):
        text = (element.findtext("name") or "").strip()
        name = names.get(_folded(text))
        if name is None:
            raise SampleError(
                "bad annotation",
                f"{file} has an object {text!r}, which is none of the data set's classes "
                f"({', '.join(classes)}); data.classes names others",
            )
        if (boxes := len(element.findall("bndbox"))) > 1:
            message = f"{file} has an object {text!r} of {boxes} bndbox; expected one of each"
            raise SampleError("bad annotation", message)
        corners = [_number(element, f"bndbox/{side}", file) for side in _SIDES]
        try:
            box = from_voc(corners, frame.stored, first)
        except InputError as error:
            hint = "; data.first_pixel: 0 counts pixels from 0" if 0 in corners[:2] else ""
            raise SampleError("box outside the picture", f"{file}: {error}{hint}") from error
        thing = Thing(frame.upright_box(box), _flag(element, "difficult", file))
        objects.setdefault(name, []).append(thing)
    return objects


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _read_xml(file: Path) -> Any:
    """Read an annotation; its elements have their names without a namespace."""
    try:
        root: Any = parse_xml(readable(file)).getroot()
    except DefusedXmlException as error:
        message = f"{file} declares entities or a document type of its own: {error}"
        raise SampleError("bad annotation", message) from error
    except (OSError, ParseError, ValueError, LookupError) as error:
        raise SampleError("bad annotation", f"{file} is not readable XML: {error}") from error
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    if root.tag != "annotation":
        message = f"{file} has the root {root.tag!r:.60}; expected annotation, with objects in it"
        raise SampleError("bad annotation", message)
    return root


def _flag(element: Any, path: str, file: Path) -> bool:
    text = (element.findtext(path) or "").strip().casefold()
    if text in _YES or text in _NO:
        return text in _YES
    raise SampleError("bad annotation", f"{file} has {path} {text!r:.60}; expected 0 or 1")


def _number(element: Any, path: str, file: Path) -> float:
    text = element.findtext(path)
    try:
        number = float(text)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SampleError("bad annotation", f"{file} has {path} {text!r:.60}; expected a number")
    return number
