"""Writing a figure to a file."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from guidedcam_tf.files import writing


def save_figure(figure: Figure, file: Path, *, dots_per_inch: int = 150) -> None:
    """Write a figure in the format of the file's ending, whole or not at all."""
    with writing(file) as temporary:
        figure.savefig(temporary, dpi=dots_per_inch)
