"""A row of pictures as a figure that notebooks show."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

PANEL_INCHES = 2.4
TITLE_INCHES = 0.45
TEXT_POINTS = 9.0
SHOWN_DOTS = 100
QUALITY = 90


class ShownFigure(Figure):
    """A figure that a notebook shows, whatever Matplotlib's backend is there."""

    def _repr_jpeg_(self) -> bytes:
        content = io.BytesIO()
        self.savefig(content, format="jpeg", dpi=SHOWN_DOTS, pil_kwargs={"quality": QUALITY})
        return content.getvalue()


def plot_pictures(
    pictures: Sequence[np.ndarray],
    titles: Sequence[str],
    *,
    heading: str,
    colour_map: str,
    columns: int,
) -> ShownFigure:
    """Draw pictures of one size in rows, with the scale of the maps beside them.

    Args:
        pictures: uint8 RGB `[H, W, 3]` each.
        titles: What stands above each.
        heading: What stands above all.
        colour_map: The maps', for the scale from 0 to 1.
        columns: How many pictures a row has at most.
    """
    columns = min(columns, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    height, width = pictures[0].shape[:2]
    panel = min(height / width, 2.0) * PANEL_INCHES + TITLE_INCHES
    figure = ShownFigure(
        figsize=(columns * PANEL_INCHES + 0.6, rows * panel + TITLE_INCHES), layout="constrained"
    )
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for at in axes:
        at.set_axis_off()
    for at, pixels, title in zip(axes, pictures, titles, strict=False):
        at.imshow(pixels, interpolation="antialiased")
        at.set_title(title, fontsize=TEXT_POINTS, wrap=True)
    figure.suptitle(heading, fontsize=TEXT_POINTS)
    scale = figure.colorbar(
        ScalarMappable(Normalize(0, 1), colour_map), ax=list(axes), shrink=0.8, aspect=30
    )
    scale.ax.tick_params(labelsize=TEXT_POINTS - 1)
    return figure
