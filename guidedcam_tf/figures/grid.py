"""Pictures and maps in rows and columns: what figures 1 to 5 are made of.

Everything is laid out in inches from the texts and the pictures' shapes, so that nothing overlaps
or is cut off, however many columns there are and however long a label is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace

import cv2
import numpy as np
from matplotlib.figure import Figure

from guidedcam_tf.figures import style
from guidedcam_tf.figures.fitting import layout_inches
from guidedcam_tf.overlay import colour
from guidedcam_tf.overlay import overlay

PANEL_INCHES = (1.1, 2.2)
"""The least and the greatest width of a panel; more columns than fit make the figure wider."""

LABEL_INCHES = 1.7
"""The greatest width of the labels' column, which is otherwise as wide as its widest text."""

GAP = 0.06
MARGIN = 0.12
TALLEST = 1.6
"""Of a panel, in its widths. A taller picture is made narrower."""

WIDEST = 2.6
"""A row of pictures that are wider, in their heights, is drawn below one another."""

DOTS_PER_INCH = 300


@dataclass(frozen=True)
class Panel:
    """A picture, or its map, or the map over it.

    Attributes:
        picture: uint8 RGB `[H, W, 3]`.
        saliency: `[H, W]` in `[0, 1]`; `None` shows the picture.
        over: Whether the map lies over its picture or stands alone.
        caption: What stands below.
    """

    picture: np.ndarray
    saliency: np.ndarray | None = None
    over: bool = True
    caption: str = ""


@dataclass(frozen=True)
class GridRow:
    """A label and a panel for each column; `None` leaves a place empty."""

    label: str
    panels: tuple[Panel | None, ...]


@dataclass(frozen=True)
class Grid:
    """Rows below column titles, and a title above all."""

    columns: tuple[str, ...]
    rows: tuple[GridRow, ...]
    title: str = ""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.panels) != len(self.columns):
                raise ValueError(
                    f"row {row.label!r} must have a panel for each of {len(self.columns)} columns; "
                    f"received {len(row.panels)}"
                )


def draw_grids(grids: Sequence[Grid], *, title: str = "", colour_map: str = "inferno") -> Figure:
    """Draw grids below one another.

    Args:
        grids: Each with at least one row and column.
        title: The figure's.
        colour_map: one of `guidedcam_tf.overlay.COLOUR_MAPS`.

    Returns:
        The figure, with the maps' colour scale in its upper right corner.
    """
    blocks = [block for grid in grids for block in _blocks(grid)]
    width = max(block.width for block in blocks)
    heading = style.wrap(title, width - 1.9, style.TITLE_POINTS)
    top = MARGIN + max(style.text_height(heading, style.TITLE_POINTS), 0.3)
    height = top + sum(block.height for block in blocks) + MARGIN
    with style.look():
        page = _Page(Figure(figsize=(width, height), dpi=DOTS_PER_INCH), width, height, colour_map)
        page.text(MARGIN, MARGIN, heading, points=style.TITLE_POINTS, weight="bold")
        page.scale(width - MARGIN - 1.0, MARGIN)
        for block in blocks:
            top = block.draw(page, top)
    return page.figure


def _blocks(grid: Grid) -> list[_Block]:
    """Cut a grid where pictures are so wide that their row is better drawn from top to bottom."""
    parts: list[Grid] = []
    for row in grid.rows:
        shapes = [panel.picture.shape for panel in row.panels if panel is not None]
        wide = bool(shapes) and min(shape[1] / shape[0] for shape in shapes) > WIDEST
        if wide:
            lines = tuple(
                GridRow(column, (panel,))
                for column, panel in zip(grid.columns, row.panels, strict=True)
                if panel is not None
            )
            parts.append(Grid((", ".join(row.label.split("\n")),), lines))
        elif parts and parts[-1].columns == grid.columns:
            parts[-1] = replace(parts[-1], rows=(*parts[-1].rows, row))
        else:
            parts.append(Grid(grid.columns, (row,)))
    parts[0] = replace(parts[0], title=grid.title)
    return [_Block(part) for part in parts]


class _Block:
    """A grid with its measures in inches."""

    def __init__(self, grid: Grid) -> None:
        count = len(grid.columns)
        self.grid = grid
        self.alone = count == 1
        self.labels = [style.wrap(row.label, LABEL_INCHES - 0.1) for row in grid.rows]
        self.label = min(LABEL_INCHES, max(map(style.text_width, self.labels)) + 0.1)
        room = (layout_inches() - self.label - 2 * MARGIN) / count - GAP
        self.panel = room if self.alone else float(np.clip(room, *PANEL_INCHES))
        self.width = self.label + count * (self.panel + GAP) + 2 * MARGIN
        self.title = style.wrap(grid.title, self.width - 2 * MARGIN, style.TITLE_POINTS)
        self.headers = [style.wrap(column, self.panel) for column in grid.columns]
        self.header = max(map(style.text_height, self.headers)) + 0.05
        self.captions = [
            [style.wrap(panel.caption if panel else "", self.panel) for panel in row.panels]
            for row in grid.rows
        ]
        self.rows = [self._row(at) for at in range(len(grid.rows))]
        above = style.text_height(self.title, style.TITLE_POINTS) + (0.08 if self.title else 0)
        self.height = above + self.header + sum(self.rows) + 0.08

    def _image(self, row: GridRow) -> float:
        shapes = [panel.picture.shape for panel in row.panels if panel is not None]
        tallest = max((shape[0] / shape[1] for shape in shapes), default=0.5)
        return self.panel * min(tallest, TALLEST)

    def _row(self, at: int) -> float:
        below = max(map(style.text_height, self.captions[at]))
        label = style.text_height(self.labels[at])
        return max(self._image(self.grid.rows[at]) + below, label) + GAP

    def draw(self, page: _Page, top: float) -> float:
        """Draw from `top` down, in inches, and return where it ends."""
        if self.title:
            page.text(MARGIN, top, self.title, points=style.TITLE_POINTS)
            top += style.text_height(self.title, style.TITLE_POINTS) + 0.08
        lefts = [MARGIN + self.label + at * (self.panel + GAP) for at in range(len(self.headers))]
        for left, header in zip(lefts, self.headers, strict=True):
            bottom = top + self.header - 0.04
            page.text(left + self.panel / 2, bottom, header, "center", "bottom")
        top += self.header
        for at, row in enumerate(self.grid.rows):
            height = self._image(row)
            page.text(MARGIN, top + height / 2, self.labels[at], "left", "center")
            for left, panel, caption in zip(lefts, row.panels, self.captions[at], strict=True):
                if panel is not None:
                    page.panel(panel, left, top, self.panel, height)
                    page.text(left + self.panel / 2, top + height + 0.02, caption, "center")
            top += self.rows[at]
        return top + 0.08


@dataclass(frozen=True)
class _Page:
    """A figure that is drawn on in inches from its upper left corner."""

    figure: Figure
    width: float
    height: float
    colour_map: str

    def text(
        self,
        left: float,
        top: float,
        text: str,
        across: str = "left",
        down: str = "top",
        points: float = style.TEXT_POINTS,
        weight: str = "normal",
    ) -> None:
        self.figure.text(
            left / self.width,
            1 - top / self.height,
            text,
            ha=across,
            va=down,
            fontsize=points,
            fontweight=weight,
            multialignment=across,
            linespacing=1.15,
        )

    def panel(self, panel: Panel, left: float, top: float, width: float, height: float) -> None:
        """Draw a panel in the middle of its place, with its shape."""
        rows, columns = panel.picture.shape[:2]
        scale = min(width / columns, height / rows)
        size = (max(1.0 / DOTS_PER_INCH, columns * scale), max(1.0 / DOTS_PER_INCH, rows * scale))
        left += (width - size[0]) / 2
        top += (height - size[1]) / 2
        dots = (max(1, round(size[0] * DOTS_PER_INCH)), max(1, round(size[1] * DOTS_PER_INCH)))
        self._image(_pixels(panel, dots, self.colour_map), left, top, *size)

    def scale(self, left: float, top: float) -> None:
        """The colours of the maps from 0 to 1."""
        ramp = np.tile(np.linspace(0, 1, 256, dtype=np.float32), (16, 1))
        self.text(left - 0.06, top + 0.06, "saliency  0", "right", "center")
        self._image(colour(ramp, self.colour_map), left, top, 0.85, 0.12)
        self.text(left + 0.91, top + 0.06, "1", "left", "center")

    def _image(
        self, pixels: np.ndarray, left: float, top: float, width: float, height: float
    ) -> None:
        place = (
            left / self.width,
            1 - (top + height) / self.height,
            width / self.width,
            height / self.height,
        )
        axes = self.figure.add_axes(place)
        axes.imshow(pixels, aspect="auto")
        axes.set_axis_off()


def _pixels(panel: Panel, size: tuple[int, int], colour_map: str) -> np.ndarray:
    """A panel as uint8 RGB at its size in dots, (width, height)."""
    picture = _resized(panel.picture, size)
    if panel.saliency is None:
        return picture
    saliency = np.clip(_resized(np.asarray(panel.saliency, np.float32), size), 0, 1)
    if panel.over:
        return overlay(picture, saliency, colour_map)
    return colour(saliency, colour_map)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    smaller = size[0] < image.shape[1]
    result: np.ndarray = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_LINEAR
    )
    return result
