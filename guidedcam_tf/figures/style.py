"""The one look of all figures: sizes, fonts, colours, and the methods' names in print."""

from __future__ import annotations

import math
import textwrap
from contextlib import AbstractContextManager
from typing import Any

import matplotlib
from matplotlib.textpath import TextPath

TEXT_POINTS = 9.5
TITLE_POINTS = 11.5

METHOD_TITLES = {
    "guided": "Proposed",
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "xgradcam": "XGrad-CAM",
    "scorecam": "Score-CAM",
    "faster_scorecam": "Faster Score-CAM",
    "fullgrad": "FullGrad",
    "smooth_fullgrad": "Smooth FullGrad",
    "cameras": "CAMERAS",
    "integrated_gradcam": "Integrated Grad-CAM",
    "relevance_cam": "Relevance-CAM",
    "hirescam": "HiResCAM",
    "layercam": "LayerCAM",
    "eigencam": "Eigen-CAM",
    "ablationcam": "Ablation-CAM",
    "cam": "CAM",
    "eigengradcam": "EigenGrad-CAM",
    "fem": "FEM",
    "finercam": "Finer-CAM",
    "shapleycam": "ShapleyCAM",
    "gradient": "Gradient",
    "input_x_gradient": "Input x gradient",
    "guided_backprop": "Guided backprop.",
    "guided_gradcam": "Guided Grad-CAM",
    "normgrad": "NormGrad",
    "smoothgrad": "SmoothGrad",
    "smoothgradcam++": "Smooth Grad-CAM++",
    "integrated_gradients": "Integrated gradients",
    "excitation_backprop": "Excitation backprop.",
    "contrastive_excitation_backprop": "Contrastive EB",
    "lrp": "LRP",
    "deeplift": "DeepLIFT",
    "rise": "RISE",
    "sise": "SISE",
    "ada_sise": "Ada-SISE",
    "occlusion": "Occlusion",
    "prediction_difference": "Prediction difference",
    "legrad": "LeGrad",
    "attention_rollout": "Attention rollout",
}
NETWORK_TITLES = {"resnet50": "ResNet50", "vgg16": "VGG16"}

_LINES = (
    {"color": "#D55E00", "linestyle": "-", "linewidth": 1.8},
    {"color": "#0072B2", "linestyle": "--", "linewidth": 1.3},
    {"color": "#009E73", "linestyle": "-.", "linewidth": 1.3},
    {"color": "#000000", "linestyle": ":", "linewidth": 1.6},
    {"color": "#CC79A7", "linestyle": (0, (5, 1)), "linewidth": 1.3},
    {"color": "#56B4E9", "linestyle": (0, (3, 1, 1, 1)), "linewidth": 1.3},
)


def look() -> AbstractContextManager[None]:
    """Matplotlib's own settings, whatever the user's are, with text kept as text in a PDF."""
    return matplotlib.rc_context(
        {
            **matplotlib.rcParamsDefault,
            "backend": matplotlib.get_backend(auto_select=False) or "agg",
            "font.size": TEXT_POINTS,
            "axes.titlesize": TEXT_POINTS + 1,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.color": "#DDDDDD",
            "grid.linewidth": 0.6,
            "legend.frameon": False,
            "pdf.fonttype": 42,
            "ps.fonttype": 42,
            "svg.fonttype": "none",
        }
    )


def method_title(method: str) -> str:
    """A method's name in print."""
    return METHOD_TITLES.get(method, method)


def network_title(model: str) -> str:
    """A network's name in print."""
    return NETWORK_TITLES.get(model, model)


def line(place: int) -> dict[str, Any]:
    """Colour, dashes and width of the curve at that place; they differ without colour, too."""
    again = (place + place // len(_LINES)) % len(_LINES)
    return {**_LINES[place % len(_LINES)], "linestyle": _LINES[again]["linestyle"]}


def wrap(text: str, inches: float, points: float = TEXT_POINTS) -> str:
    """Break a text into lines that fit a width; a word that is too long is broken."""
    columns = max(4, math.floor(inches / (0.6 * points / 72)))
    parts = [textwrap.fill(part, columns) for part in text.split("\n")]
    return "\n".join(parts)


def text_height(text: str, points: float = TEXT_POINTS) -> float:
    """The height of a text in inches."""
    return (text.count("\n") + 1) * points * 1.3 / 72 if text else 0.0


def text_width(text: str, points: float = TEXT_POINTS) -> float:
    """The width of a text's widest line in inches, as it is drawn."""
    with look():
        lines = [TextPath((0, 0), line, size=points) for line in text.split("\n") if line.strip()]
    return max((line.get_extents().width / 72 for line in lines), default=0.0)


def shown_probability(probability: float, quantity: str = "probability") -> str:
    """A probability, or a value that is none, as labels show it."""
    if quantity == "value":
        return f"{probability:.4g}"
    if probability >= 0.01:
        return f"p = {probability:.2f}"
    return f"p = {probability:.1g}" if probability >= 1e-4 else f"p = {probability:.0e}"
