"""How a picture is stored and how it is seen: EXIF's orientations, and boxes under them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.skipped import SampleError

UPRIGHT = 1

_WHOLE = re.compile(r"\d{1,6}(\.0*)?")


@dataclass(frozen=True)
class Frame:
    """A picture's size as it is seen, and the EXIF orientation that its file is stored in.

    Attributes:
        shape: Height and width of the upright picture.
        orientation: EXIF's, 1 (upright) to 8.
    """

    shape: tuple[int, int]
    orientation: int = UPRIGHT

    @property
    def stored(self) -> tuple[int, int]:
        """Height and width of the pixels in the file."""
        return self.shape[::-1] if self.orientation > 4 else self.shape

    def annotated_as(self, size: tuple[int, int]) -> Frame | None:
        """Return the frame that annotations of a picture of this height and width are in.

        Tools that write annotations mostly leave the orientation out of account, so where the size
        does not decide it, they are in the stored pixels.

        Returns:
            This frame where they are in the stored pixels, an upright one where they are in those
            that are seen, `None` where the size is neither.
        """
        if size == self.stored:
            return self
        return Frame(self.shape) if size == self.shape else None

    def box_frame(self, width: str, height: str, what: str) -> Frame:
        """Return `annotated_as` of the size that boxes are written with; this frame where none is.

        Args:
            width: A text, which is no size where it is not a whole number over 0.
            height: Likewise.
            what: What messages call the annotation.

        Raises:
            SampleError: If they are boxes of a picture of another size.
        """
        if not (_WHOLE.fullmatch(width) and _WHOLE.fullmatch(height)):
            return self
        size = int(float(height)), int(float(width))
        seen = self.annotated_as(size) if size != (0, 0) else self
        if seen is None:
            raise SampleError(
                "box outside the picture",
                f"{what} is about a picture of {size[1]} x {size[0]} pixels; this one has "
                f"{self.stored[1]} x {self.stored[0]}",
            )
        return seen

    def mask_frame(self, size: tuple[int, int], file: Path) -> Frame:
        """Return `annotated_as(size)` for a mask's file.

        Raises:
            SampleError: If the mask has another size than its picture.
        """
        seen = self.annotated_as(size)
        if seen is None:
            raise SampleError(
                "mask of another size",
                f"{file} is {size[1]} x {size[0]} pixels, "
                f"its picture {self.stored[1]} x {self.stored[0]}",
            )
        return seen

    def upright(self, stored: np.ndarray) -> np.ndarray:
        """Turn an array `[H, W, ...]` of the stored pixels as the picture is turned."""
        return turned(stored, self.orientation)

    def upright_box(self, box: Box) -> Box:
        """Turn a box of the stored pixels as the picture is turned."""
        height, width = self.stored
        corners = np.array([box[:2], box[2:]])
        if self.orientation in _MIRRORED_X:
            corners[:, 0] = width - corners[:, 0]
        if self.orientation in _MIRRORED_Y:
            corners[:, 1] = height - corners[:, 1]
        if self.orientation > 4:
            corners = corners[:, ::-1]
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(top), float(right), float(bottom)


_MIRRORED_X = (2, 3, 7, 8)
_MIRRORED_Y = (3, 4, 6, 7)
"""Orientations whose stored columns or rows run backwards, before 5 to 8 swap the axes."""


def turned(stored: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels `[H, W, ...]` of an EXIF orientation upright."""
    if orientation in _MIRRORED_X:
        stored = stored[:, ::-1]
    if orientation in _MIRRORED_Y:
        stored = stored[::-1]
    return np.swapaxes(stored, 0, 1) if orientation > 4 else stored
