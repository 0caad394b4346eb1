"""What a report is made of: sections with facts, tables, drawings and cases."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

QUALITY = 85


@dataclass(frozen=True)
class Cell:
    """A cell: its text, what it is sorted by, and `"best"`, `"second"`, `"tied"` or nothing."""

    text: str
    key: str | float
    mark: str = ""


@dataclass(frozen=True)
class Table:
    """A table: header texts, and lines of cells."""

    caption: str
    header: tuple[str, ...]
    lines: tuple[tuple[Cell, ...], ...]


@dataclass(frozen=True)
class Drawing:
    """A picture as a data URI, with its words."""

    source: str
    alternative: str
    width: int
    height: int


@dataclass(frozen=True)
class Case:
    """A picture, or a method's map of one class of it, and what stands below."""

    caption: str
    drawing: Drawing | None


@dataclass(frozen=True)
class Cases:
    """The best and the worst cases of a method."""

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


def drawing(image: Image.Image, longest: int, words: str) -> Drawing:
    """Encode a picture, to be shown with no side longer than `longest`, a small one enlarged."""
    image.thumbnail((longest, longest))
    scale = longest // max(image.size)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    shown = (scale * side for side in image.size)
    return Drawing(f"data:image/jpeg;base64,{encoded}", words, *shown)
