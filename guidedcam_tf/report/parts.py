"""What a report is made of: sections with facts, tables, drawings and cases."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

QUALITY = 85


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it is sorted by, and `"best"`, `"second"`, `"tied"` or nothing.

    `method` and `class_name` say of what it is, where it can be filtered by that.
    """

    text: str
    key: str | float
    mark: str = ""
    method: str = ""
    class_name: str = ""


@dataclass(frozen=True)
class Table:
    """A table: header texts, lines of cells, and the method of each column that is one's."""

    caption: str
    header: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]
    methods: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bar:
    """A method's mean and its interval, in per cent of the chart's width."""

    method: str
    title: str
    text: str
    start: float
    width: float
    low: float | None
    span: float


@dataclass(frozen=True)
class Bars:
    """A bar for each method, of one metric."""

    caption: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True)
class Line:
    """A method's metric over the mask's area, as an SVG polyline."""

    method: str
    title: str
    points: str
    colour: str
    dashes: str


@dataclass(frozen=True)
class Lines:
    """A line for each method, of one metric; `marks` are the area axis's, `ends` the other's."""

    caption: str
    lines: tuple[Line, ...]
    marks: tuple[tuple[float, str], ...]
    ends: tuple[str, str]


@dataclass(frozen=True)
class Differences:
    """The paired differences of the other methods to one of them."""

    reference: str
    table: Table


@dataclass(frozen=True)
class Drawing:
    """A picture as a data URI, with its words."""

    source: str
    alternative: str
    width: int
    height: int


@dataclass(frozen=True)
class Case:
    """A picture, or a method's map of one class of it, and what stands below.

    With `under`, the plain picture, a slider goes from the one to the other.
    """

    caption: str
    drawing: Drawing | None
    under: Drawing | None = None
    class_name: str = ""


@dataclass(frozen=True)
class Cases:
    """The best and the worst cases of a method."""

    label: str
    method: str
    best: tuple[Case, ...]
    worst: tuple[Case, ...]


@dataclass(frozen=True)
class Section:
    """A run in the report."""

    name: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[Table, ...] = ()
    drawing: Drawing | None = None
    metric: str = ""
    cases: tuple[Cases, ...] = ()
    compared: tuple[Case, ...] = ()
    remark: str = ""
    methods: tuple[tuple[str, str], ...] = ()
    class_names: tuple[str, ...] = ()
    bars: tuple[Bars, ...] = ()
    lines: tuple[Lines, ...] = ()
    differences: tuple[Differences, ...] = ()
    by_class: tuple[Table, ...] = ()


def drawing(image: Image.Image, longest: int, words: str) -> Drawing:
    """Encode a picture, to be shown with no side longer than `longest`, a small one enlarged."""
    image.thumbnail((longest, longest))
    scale = longest // max(image.size)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    shown = (scale * side for side in image.size)
    return Drawing(f"data:image/jpeg;base64,{encoded}", words, *shown)
