"""Signals, pictures and volumes as a person sees them, with or without a map."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from PIL import Image

from guidedcam_tf.colour_maps import OPACITY
from guidedcam_tf.overlay import check_opacity
from guidedcam_tf.overlay import colour
from guidedcam_tf.overlay import overlay

QUALITY = 85
"""Of pictures in a page, which as JPEG keep notebooks small."""

CURVES = 8
"""How many channels of a signal are drawn, each a curve; the others are left out."""

SLICES = 25
"""How many slices of a volume are drawn; of more, so many are, evenly spread from end to end."""

SLICE_PIXELS = 112
"""How large the longer side of a slice is drawn at least."""

PAPER, LINE, WORDS = "#202124", "#7d8086", "#d5d7db"


def drawn(
    picture: np.ndarray,
    saliency: np.ndarray | None = None,
    colour_map: str = "inferno",
    opacity: float = OPACITY,
) -> np.ndarray:
    """Draw a picture, a signal's curve or a volume's slices, and lay a map over it.

    Args:
        picture: uint8 RGB `[H, W, 3]`; of a volume `[D, H, W, 3]`; a signal's numbers `[T, C]`.
        saliency: The map, in `[0, 1]`, of the same spatial axes; `None` for none.
        colour_map: One of `guidedcam_tf.overlay.COLOUR_MAPS`.
        opacity: How much of the result is the map's colour where the map is 1.

    Returns:
        uint8 RGB `[height, width, 3]`: the picture itself; a curve for each channel, coloured where
        the map is high; or a sheet of slices with their numbers, the first axis from left to right.

    Raises:
        InputError: If there is no such colour map, or the opacity is outside of `[0, 1]`.
    """
    if picture.ndim == 2:
        return _curves(picture, saliency, colour_map, opacity)
    if saliency is not None:
        picture = overlay(picture, saliency, colour_map, opacity)
    return picture if picture.ndim == 3 else _sheet(picture)


def _curves(
    signal: np.ndarray, saliency: np.ndarray | None, colour_map: str, opacity: float
) -> np.ndarray:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.collections import LineCollection
    from matplotlib.figure import Figure

    check_opacity(opacity)
    count = min(signal.shape[1], CURVES)
    figure = Figure(figsize=(9, 1.0 + 1.5 * count), dpi=100, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    axes = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    times = np.arange(len(signal))
    for channel, each in enumerate(axes):
        values = signal[:, channel]
        each.plot(times, values, color=LINE, linewidth=1.0)
        if saliency is not None:
            between = (saliency[:-1] + saliency[1:]) / 2
            rgba = np.column_stack([colour(between, colour_map) / 255, opacity * between])
            points = np.stack([times, values], axis=1)
            pieces = np.stack([points[:-1], points[1:]], axis=1)
            lines = LineCollection(list(pieces), colors=list(rgba), linewidths=3.0, zorder=3)
            each.add_collection(lines)
        each.set_facecolor(PAPER)
        each.tick_params(colors=WORDS, labelsize=9)
        each.margins(x=0.01, y=0.08)
        each.spines[:].set_color(LINE)
    figure.tight_layout(pad=0.5)
    canvas.draw()
    pixels: np.ndarray = np.asarray(canvas.buffer_rgba())[..., :3].copy()
    return pixels


def _sheet(slices: np.ndarray) -> np.ndarray:
    """Slices `[D, H, W, 3]` side by side, each with its number above."""
    depth, height, width = slices.shape[:3]
    chosen = np.unique(np.linspace(0, depth - 1, min(depth, SLICES)).round().astype(int))
    scale = max(1, -(-SLICE_PIXELS // max(height, width)))
    tile = (height * scale + 20, width * scale + 6)
    columns = int(np.ceil(np.sqrt(len(chosen) * tile[0] / tile[1])))
    rows = -(-len(chosen) // columns)
    sheet = np.full([rows * tile[0], columns * tile[1], 3], 255, np.uint8)
    for place, at in enumerate(chosen):
        top, left = place // columns * tile[0], place % columns * tile[1] + 3
        size = (width * scale, height * scale)
        enlarged = cv2.resize(slices[at], size, interpolation=cv2.INTER_NEAREST)
        sheet[top + 17 : top + 17 + size[1], left : left + size[0]] = enlarged
        start = (left, top + 13)
        cv2.putText(sheet, str(at), start, cv2.FONT_HERSHEY_SIMPLEX, 0.4, (60,) * 3, 1, cv2.LINE_AA)
    return sheet


def data_uri(pixels: np.ndarray, width: int) -> str:
    """A picture as a JPEG in a URI, at most `width` pixels wide and high."""
    content, image = io.BytesIO(), Image.fromarray(pixels)
    image.thumbnail((width, width))
    image.save(content, "JPEG", quality=QUALITY, subsampling=0)
    return f"data:image/jpeg;base64,{base64.b64encode(content.getvalue()).decode()}"
