"""Figures at the width that they are shown at: a column of a journal, a page, or a slide."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from guidedcam_tf.errors import InputError

Style = Literal["screen", "paper", "talk"]
Width = Literal["single", "double"]

SMALLEST_POINTS = 5.0
"""Of text that venues print."""

TICK_POINTS = 3.5
"""Matplotlib's own length of ticks, and their distance to the numbers."""


@dataclass(frozen=True)
class Format:
    """Inches that a figure is laid out in, and inches that it is then scaled to."""

    layout: float
    shown: float | None


FORMATS: dict[tuple[str, str], Format] = {
    ("paper", "single"): Format(5.5, 3.5),
    ("paper", "double"): Format(11.0, 7.16),
    ("talk", "single"): Format(6.0, 6.4),
    ("talk", "double"): Format(9.0, 13.0),
}
"""IEEE's columns, which MDPI's and Springer's hold; a slide of 16 : 9, and half of it."""

SCREEN = Format(11.0, None)

_CHOSEN: ContextVar[Format] = ContextVar("format", default=SCREEN)


@contextmanager
def drawn_for(style: Style, width: Width) -> Iterator[Format]:
    """Lay figures out for a style; `screen` has one width."""
    chosen = FORMATS.get((style, width), SCREEN)
    token = _CHOSEN.set(chosen)
    try:
        yield chosen
    finally:
        _CHOSEN.reset(token)


def layout_inches() -> float:
    """The width that a figure should be laid out in."""
    return _CHOSEN.get().layout


def fit(figure: Figure, chosen: Format) -> None:
    """Scale a figure with all its text and lines to the width that it is shown at.

    Raises:
        InputError: If its text would be too small to print.
    """
    if chosen.shown is None:
        return
    width, height = figure.get_size_inches()
    scale = chosen.shown / width
    texts = [text for text in figure.findobj(Text) if text.get_text()]
    smallest = scale * min((text.get_fontsize() for text in texts), default=SMALLEST_POINTS)
    if smallest < SMALLEST_POINTS:
        raise InputError(
            f"at {chosen.shown:g} inches the figure's text would have {smallest:.1f} points; "
            f"expected {SMALLEST_POINTS:g} or more: show fewer methods, or give width: double"
        )
    for text in figure.findobj(Text):
        text.set_fontsize(scale * text.get_fontsize())
    for line in figure.findobj(Line2D):
        line.set_linewidth(scale * line.get_linewidth())
        line.set_markersize(scale * line.get_markersize())
    for axes in figure.findobj(Axes):
        for side in axes.spines.values():
            side.set_linewidth(scale * side.get_linewidth())
        axes.tick_params(which="both", pad=scale * TICK_POINTS, length=scale * TICK_POINTS)
        for axis in (axes.xaxis, axes.yaxis):
            axis.labelpad *= scale
    figure.set_size_inches(chosen.shown, scale * height)
