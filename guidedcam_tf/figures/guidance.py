"""The paper's figure 1: what the guidance map adds, for each target of one picture."""

from __future__ import annotations

import textwrap

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from guidedcam_tf.data import colour
from guidedcam_tf.data import overlay
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.ops import Postprocessing

COLUMNS = (
    "picture",
    "all activations, $A^l$ (eq. 1)",
    "guidance map, $G_M$ (eq. 5)",
    "without guidance (eq. 4)",
    "with guidance (eq. 6)",
)
COLUMN_INCHES = 3.0


def draw_guidance(explanation: Explanation) -> Figure:
    """Draw a row a target: the picture, A^l, G_M, and the maps without and with guidance.

    Args:
        explanation: Of the method `"guided"`, with its intermediates.

    Returns:
        The figure.
    """
    picture = explanation.picture
    height, width = picture.shape[:2]
    rows = len(explanation.targets)
    row_inches = float(np.clip(COLUMN_INCHES * height / width, 0.8, 6.0)) + 0.1
    figure = Figure(
        figsize=(COLUMN_INCHES * len(COLUMNS), row_inches * rows + 0.7), layout="constrained"
    )
    grid = figure.subplots(rows, len(COLUMNS), squeeze=False)
    resize = Postprocessing()
    for row, axes in enumerate(grid):
        for title, name, axis in zip(COLUMNS[1:], _INTERMEDIATES, axes[1:], strict=True):
            if name is None:
                saliency = explanation.maps[row]
            else:
                raw = explanation.intermediates[name][row : row + 1]
                saliency = resize(raw, (height, width)).numpy()[0]
            shown = colour(saliency) if name == "guidance" else overlay(picture, saliency)
            _show(axis, shown, title if row == 0 else "")
        _show(axes[0], picture, COLUMNS[0] if row == 0 else "")
        name = textwrap.fill(explanation.names[row], 16)
        axes[0].set_ylabel(f"{name}\np = {explanation.probabilities[row]:.2g}", fontsize=11)
    figure.suptitle(f"{explanation.model}, {explanation.layer}", fontsize=12)
    return figure


_INTERMEDIATES = ("activation_sum", "guidance", "unguided", None)


def _show(axis: Axes, image: np.ndarray, title: str) -> None:
    axis.imshow(image)
    axis.set_title(title, fontsize=11)
    axis.set_xticks([])
    axis.set_yticks([])
