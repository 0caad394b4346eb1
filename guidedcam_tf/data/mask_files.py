"""Files of masks: the numbers that they hold, as the picture is seen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from guidedcam_tf.data.decoding import SCALED_GREY
from guidedcam_tf.data.decoding import opened
from guidedcam_tf.data.decoding import orientation_of
from guidedcam_tf.data.decoding import packing_of
from guidedcam_tf.data.orientation import UPRIGHT
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.orientation import turned
from guidedcam_tf.errors import InputError


@dataclass(frozen=True, eq=False)
class MaskFile:
    """What a mask's file holds.

    Attributes:
        file: Where it lies.
        mode: Pillow's name of its kind.
        values: The numbers that are written in it, `[H, W]`, or `[H, W, C]` of several channels.
        palette: The colours of the numbers, uint8 `[K, 3]`; `None` where it has none.
        is_turned: Whether it has an orientation of its own, by which `values` are upright already.
    """

    file: Path
    mode: str
    values: np.ndarray
    palette: np.ndarray | None
    is_turned: bool

    def one_object(self) -> np.ndarray:
        """Return where the one object is that it shows, bool `[H, W]`.

        Of a palette the colours count, not their order.

        Raises:
            InputError: If it shows none, or something else.
        """
        values = self.values
        if self.palette is not None:
            colours = np.zeros(256, int)
            colours[: len(self.palette)] = self.palette.astype(int) @ [1 << 16, 1 << 8, 1]
            values = colours[values]
        if values.ndim != 2 or len(np.union1d(values, [0])) > 2:
            raise InputError(
                f"mask {self.file} must be grey, with 0 and one other value where the object is"
            )
        if not values.any():
            raise InputError(f"mask {self.file} shows no object: all of it is 0, or black")
        result: np.ndarray = values != 0
        return result

    def upright(self, values: np.ndarray, frame: Frame) -> np.ndarray:
        """Return what was made of `values` as the picture is seen.

        Raises:
            SampleError: If it has another size than the picture.
        """
        of_values = Frame(frame.shape) if self.is_turned else frame
        size = (values.shape[0], values.shape[1])
        return of_values.mask_frame(size, self.file).upright(values)


def read_mask_file(file: Path) -> MaskFile:
    """Read a mask's file.

    Raises:
        InputError: If it is missing, or no picture that can be read.
    """
    with opened(file) as image:
        # Pillow scales a PNG's grey of 2 or 4 bits to 0..255.
        scale = SCALED_GREY.get(packing_of(image), 1)
        written = orientation_of(image)
        values = np.array(image)
        # A TIFF is turned by Pillow while it is loaded, and says so no more.
        values = np.ascontiguousarray(turned(values, orientation_of(image)))
        palette = image.getpalette() if image.mode == "P" else None
        mode = image.mode
    return MaskFile(
        file,
        mode,
        values if scale == 1 else values // scale,
        np.reshape(np.array(palette, np.uint8), (-1, 3)) if palette else None,
        written != UPRIGHT,
    )
