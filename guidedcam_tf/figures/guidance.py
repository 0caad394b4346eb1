"""The paper's figures 1 and 3: what the guidance map adds, for each target of a picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures import style
from guidedcam_tf.figures.explaining import network_line
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import GridRow
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.networks.geometry import largest_part
from guidedcam_tf.ops import Postprocessing

COLUMNS = (
    "picture",
    "all activations,\n$A^l$ (eq. 1)",
    "guidance map,\n$G_M$ (eq. 5)",
    "without guidance\n(eq. 4)",
    "with guidance\n(eq. 6)",
)
_INTERMEDIATES = ("activation_sum", "guidance", "unguided")


def draw_guidances(explanations: Sequence[Explanation], colour_map: str = "inferno") -> Figure:
    """Draw a row a target: the picture, A^l, G_M, and the maps without and with guidance.

    Args:
        explanations: Of pictures, by the method `"guided"`; of several networks, a grid each.
        colour_map: One of `guidedcam_tf.overlay.COLOUR_MAPS`.
    """
    rows: dict[str, list[GridRow]] = {}
    for explanation in explanations:
        rows.setdefault(network_line(explanation), []).extend(_rows(explanation))
    if len(rows) == 1:
        ((title, found),) = rows.items()
        return draw_grids([Grid(COLUMNS, tuple(found))], title=title, colour_map=colour_map)
    grids = [Grid(COLUMNS, tuple(found), title) for title, found in rows.items()]
    return draw_grids(grids, title="What the guidance map adds", colour_map=colour_map)


def _rows(explanation: Explanation) -> list[GridRow]:
    picture = explanation.picture
    rows = []
    for at, name in enumerate(explanation.names):
        panels = [Panel(picture) if at == 0 else None]
        for intermediate in _INTERMEDIATES:
            saliency = _finished(explanation, explanation.intermediates[intermediate][at])
            panels.append(Panel(picture, saliency, over=intermediate != "guidance"))
        panels.append(Panel(picture, explanation.maps[at]))
        probability = style.shown_probability(explanation.probabilities[at], explanation.quantity)
        rows.append(GridRow(f"{name}\n{probability}", tuple(panels)))
    return rows


def _finished(explanation: Explanation, raw: np.ndarray) -> np.ndarray:
    """Finish a raw map `[h, w]` as the explanation's own was, where the network looked."""
    origin, (height, width) = explanation.origin, explanation.picture.shape[:2]
    cropped = origin.get("fit") == "crop" and None not in origin["input_size"]
    (top, left), (rows, columns) = (
        largest_part((height, width), origin["input_size"])
        if cropped
        else ([0, 0], [height, width])
    )
    result = np.zeros((height, width), np.float32)
    finish = Postprocessing(**origin.get("postprocessing", {}))
    result[top : top + rows, left : left + columns] = finish(raw[None], (rows, columns)).numpy()[0]
    return result
