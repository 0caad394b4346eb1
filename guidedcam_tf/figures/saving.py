"""Writing a figure to a file."""

from __future__ import annotations

import io
from pathlib import Path

from matplotlib.figure import Figure
from PIL import Image

from guidedcam_tf.figures.style import look
from guidedcam_tf.files import writing

_METADATA: dict[str, dict[str, None]] = {
    ".png": {"Software": None},
    ".pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}


def save_figure(figure: Figure, file: Path, *, dots_per_inch: int = 200) -> None:
    """Write a figure in the format of the file's ending, whole or not at all.

    Neither the time nor a program's version is written, so the same figure gives the same bytes.
    """
    with look(), writing(file) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch, metadata=_METADATA.get(file.suffix))


def as_image(figure: Figure, *, dots_per_inch: int = 200) -> Image.Image:
    """Draw a figure to an RGB image."""
    with look(), io.BytesIO() as buffer:
        figure.savefig(buffer, format="png", dpi=dots_per_inch)
        return Image.open(buffer).convert("RGB")
