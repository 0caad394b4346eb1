"""Figure 6 and the area curves: lines with their legends."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from guidedcam_tf.figures import style
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import Curve

ROW_INCHES = 2.5
WIDTH_INCHES = 11.0


@dataclass(frozen=True)
class PictureCurves:
    """A picture's curves for one class.

    Attributes:
        picture: uint8 RGB `[H, W, 3]`.
        label: The class, and what else stands beside the picture.
        probability: The class's clean probability.
        deletion: The curves by method.
        insertion: Likewise.
        quantity: What all of them are: `"probability"`, or a regression's `"value"`.
    """

    picture: np.ndarray
    label: str
    probability: float
    deletion: Mapping[str, Curve]
    insertion: Mapping[str, Curve]
    quantity: str = "probability"


@dataclass(frozen=True)
class AreaCurves:
    """The zone metrics' means over pictures, as the mask grows.

    Attributes:
        areas: Shares of the picture, `[A]`.
        values: By metric and method, `[A]`.
        thresholds: By metric and method, the share that the mask at a threshold takes on average,
            and the metric's mean with that mask.
        threshold: That threshold.
        pictures: How many pictures the means are of.
    """

    areas: np.ndarray
    values: Mapping[str, Mapping[str, np.ndarray]]
    thresholds: Mapping[str, Mapping[str, tuple[float, float]]]
    threshold: float
    pictures: int


def draw_curves(results: Sequence[PictureCurves], *, title: str = "") -> Figure:
    """Draw a row a picture: the picture, its deletion curves and its insertion curves, with AUC."""
    with style.look():
        page = _Page(WIDTH_INCHES, ROW_INCHES * len(results) + 0.4, title)
        for place, result in enumerate(results):
            top = 0.4 + ROW_INCHES * place
            clean = style.shown_probability(result.probability, result.quantity)
            label = f"{result.label}\n{clean}"
            # Values have longer numbers at their axis than probabilities.
            wide = 1.7 if result.quantity == "probability" else 1.3
            label = style.wrap(label, wide)
            below = style.text_height(label) + 0.05
            page.text(0.1, top + 0.25, label)
            picture = page.axes(0.1, top + 0.25 + below, wide, ROW_INCHES - 0.5 - below)
            picture.imshow(result.picture)
            picture.set_anchor("NW")
            picture.set_axis_off()
            for left, name in ((2.45, "deletion"), (6.95, "insertion")):
                axis = page.axes(left, top + 0.25, 2.1, ROW_INCHES - 0.8)
                _curves(axis, name, getattr(result, name), result)
    return page.figure


class _Page:
    """A figure whose parts have their places in inches from the upper left corner."""

    def __init__(self, width: float, height: float, title: str) -> None:
        self.figure = Figure(figsize=(width, height), dpi=200)
        self._size = (width, height)
        self.text(0.1, 0.1, title, points=style.TITLE_POINTS, weight="bold")

    def text(
        self,
        left: float,
        top: float,
        text: str,
        points: float = style.TEXT_POINTS,
        weight: str = "normal",
    ) -> None:
        width, height = self._size
        place = (left / width, 1 - top / height)
        self.figure.text(*place, text, va="top", fontsize=points, fontweight=weight)

    def axes(self, left: float, top: float, width: float, height: float) -> Axes:
        across, down = self._size
        place = (left / across, 1 - (top + height) / down, width / across, height / down)
        return self.figure.add_axes(place)


def _curves(axis: Axes, name: str, curves: Mapping[str, Curve], result: PictureCurves) -> None:
    for place, (method, curve) in enumerate(curves.items()):
        label = f"{style.method_title(method)}\nAUC {curve.auc:.3f}"
        axis.plot(curve.fractions, curve.scores, label=label, **style.line(place))
    clean = result.probability
    axis.axhline(clean, color="#888888", linewidth=0.8, zorder=1, label="clean picture")
    axis.set_title(f"{name} ({'lower' if name == 'deletion' else 'higher'} is better)")
    axis.set_xlabel(f"share of the pixels {'removed' if name == 'deletion' else 'brought back'}")
    axis.set_ylabel(f"{result.quantity} of the class")
    axis.set_xlim(0, 1)
    if result.quantity == "probability":
        axis.set_ylim(0, 1.03)
    axis.legend(loc="upper left", bbox_to_anchor=(1.02, 1.03), borderaxespad=0)


def draw_area_curves(result: AreaCurves, *, title: str = "") -> Figure:
    """Draw each zone metric over the mask's area, with a dot where a threshold's mask lands."""
    names = list(result.values)
    rows = -(-len(names) // 2)
    with style.look():
        page = _Page(WIDTH_INCHES, 2.9 * rows + 0.4, title)
        for place, name in enumerate(names):
            left, top = 0.7 + 4.3 * (place % 2), 0.75 + 2.9 * (place // 2)
            axis = page.axes(left, top, 3.6, 2.1)
            for at, (method, values) in enumerate(result.values[name].items()):
                look = style.line(at)
                axis.plot(result.areas, values, label=style.method_title(method), **look)
                dot = result.thresholds[name][method]
                axis.plot(*dot, "o", color=look["color"], markeredgecolor="white", markersize=8)
            metric = METRICS[name]
            better = "higher" if metric.higher_is_better else "lower"
            axis.set_title(f"{metric.title} ({better} is better)")
            axis.set_xlabel("area of the mask, share of the picture")
            axis.set_xlim(0, 1)
            axis.set_ylim(-0.03, 1.03)
            if place == min(1, len(names) - 1):
                label = f"the mask\nmap ≥ {result.threshold:g}"
                axis.plot([], [], "o", color="#555555", markersize=8, linestyle="", label=label)
                axis.legend(loc="upper left", bbox_to_anchor=(1.03, 1.0), borderaxespad=0)
    return page.figure
