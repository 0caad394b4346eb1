"""Targets in words, as the command line and configurations have them."""

from __future__ import annotations

import re
from typing import Any

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.targets.boxes import DETECTION_IOU
from guidedcam_tf.targets.boxes import box
from guidedcam_tf.targets.regions import BOX
from guidedcam_tf.targets.regions import region
from guidedcam_tf.targets.units import negative
from guidedcam_tf.targets.units import unit

_REGION = re.compile(r"class (?P<class_id>.+?)(?: in (?P<where>.+))?")
_BOX = re.compile(r"(?P<kind>box|detection) (?P<index>\d{1,9})(?: of (?P<class_id>.+))?")
_UNIT = re.compile(r"unit (?P<index>\d{1,9})")
_NUMBER = r"\s*[-+]?\d+(?:\.\d*)?\s*"
_CORNERS = re.compile(rf"{_NUMBER},{_NUMBER},{_NUMBER},{_NUMBER}")


def read_words(text: str) -> Any:
    """Return the target that a text names, or the text if it is of none of these forms.

    - `class CLASS` and `class CLASS in PLACE` are `region(CLASS, PLACE)`; the place is a mask's
      file, or a box as `x_min,y_min,x_max,y_max`, also with the word `box` before it.
    - `box I` and `box I of CLASS` are `box(I, CLASS)`.
    - `detection I` and `detection I of CLASS` are `box(I, CLASS, nms=0.5)`.
    - `unit I` is `unit(I)`, and `negative` is `negative()`.

    Raises:
        InputError: If a place looks like a box and is none.
    """
    if found := _BOX.fullmatch(text):
        nms = DETECTION_IOU if found["kind"] == "detection" else None
        class_id = None if found["class_id"] is None else _class(found["class_id"])
        return box(int(found["index"]), class_id, nms=nms)
    if found := _UNIT.fullmatch(text):
        return unit(int(found["index"]))
    if text == "negative":
        return negative()
    if found := _REGION.fullmatch(text):
        return region(_class(found["class_id"]), _place(found["where"]))
    return text


def _class(text: str) -> int | str:
    return int(text) if text.isdecimal() and len(text) < 10 else text


def _place(text: str | None) -> Any:
    text = text and text.removeprefix("box ")
    if text is None or not re.fullmatch(r"[-+\d.,\s]+", text):
        return text
    if not _CORNERS.fullmatch(text):
        raise InputError(f"box {shown(text)} must be {BOX}, with commas")
    return tuple(float(side) for side in text.split(","))
