"""What the page draws of an explanation: arrays and words, without a browser."""

from __future__ import annotations

import re
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd

from guidedcam_tf.app.sight import Choice
from guidedcam_tf.app.sight import reduced
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures.style import method_title
from guidedcam_tf.metrics import Curve
from guidedcam_tf.metrics import threshold_mask
from guidedcam_tf.overlay import overlay

PANEL_SIDE = 448
"""Pixels of the longer side of a picture among several."""

OUTSIDE = 0.3
"""How bright what a mask leaves out is."""

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)

Panel = tuple[np.ndarray, str]
"""uint8 RGB `[H, W, 3]` and the words below it."""

Finish = Callable[[np.ndarray, Sequence[int]], Any]

INTERMEDIATES = {
    "activation_sum": "A: all activations (eq. 1)",
    "guidance": "G: the guidance map (eq. 5)",
    "unguided": "The map without guidance (eq. 4)",
}


def mask_of(explanation: Explanation, threshold: float) -> np.ndarray:
    """M = 1[map >= threshold], bool `[H, W]`; at a threshold of 0, the whole picture."""
    saliency = explanation.maps[0]
    return np.ones(saliency.shape, bool) if threshold <= 0 else threshold_mask(saliency, threshold)


def masked(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The picture inside a mask, and dark grey outside of it; uint8 RGB `[H, W, 3]`."""
    grey = (OUTSIDE * (picture @ LUMINANCE)).astype(np.uint8)[..., None]
    result: np.ndarray = np.where(mask[..., None], picture, grey)
    return result


def levels(explanation: Explanation) -> np.ndarray:
    """The map in 256 levels of grey, uint8 `[H, W]`: what the page reads values from."""
    result: np.ndarray = np.round(255 * np.clip(explanation.maps[0], 0, 1)).astype(np.uint8)
    return result


def what(explanation: Explanation) -> str:
    """Method, class and probability of an explanation."""
    empty = ", an empty map: nothing supports it" if explanation.empty[0] else ""
    title = method_title(explanation.method)
    return f"{title}, {explanation.names[0]} {explanation.number(0)}{empty}"


def in_words(explanation: Explanation, threshold: float) -> str:
    """What the overlay shows, for those who do not see it."""
    where = (
        f"{explanation.stem}: {what(explanation)}; layer {explanation.layer} of {explanation.model}"
    )
    if explanation.empty[0]:
        return f"{where}."
    saliency = explanation.maps[0]
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    across, down = column / saliency.shape[1], row / saliency.shape[0]
    area = mask_of(explanation, threshold).mean()
    return (
        f"{where}. The map is highest at {across:.0%} from the left and {down:.0%} from the top. "
        f"A mask of all values from {threshold:g} takes {area:.1%} of the picture."
    )


def side_by_side(
    explanations: Sequence[Explanation], colour_map: str, opacity: float
) -> list[Panel]:
    """An overlay of each explanation, small, with what it is."""
    shown = [reduced(each, PANEL_SIDE) for each in explanations]
    return [(each.overlay(0, colour_map, opacity), what(each)) for each in shown]


def guidance_panels(explanation: Explanation, finish: Finish, colour_map: str) -> list[Panel]:
    """How the proposed map comes about, as in figure 1; empty for other methods.

    Args:
        explanation: The explanation.
        finish: From raw maps `[M, h, w]` and a size to maps, such as `Pipeline.finish`.
        colour_map: One of `guidedcam_tf.overlay.COLOUR_MAPS`.
    """
    if explanation.guidance is None:
        return []
    picture = reduced(explanation, PANEL_SIDE).picture
    raw = np.concatenate([explanation.intermediates[name][:1] for name in INTERMEDIATES])
    maps = np.asarray(finish(np.concatenate([raw, explanation.raw[:1]]), picture.shape[:2]))
    words = [*INTERMEDIATES.values(), "The map with guidance (eq. 6)"]
    overlays = [overlay(picture, saliency, colour_map) for saliency in maps]
    return [(picture, "The picture"), *zip(overlays, words, strict=True)]


def curve_table(curves: Mapping[str, Curve], quantity: str) -> pd.DataFrame:
    """Curves as lines of `share` (of the pixels), `probability` or `value`, and `curve`."""
    lines = [
        {"share": share, quantity: score, "curve": name}
        for name, curve in curves.items()
        for share, score in zip(curve.fractions, curve.scores, strict=True)
    ]
    table: pd.DataFrame = pd.DataFrame(lines)
    return table


def curve_words(curves: Mapping[str, Curve], explanation: Explanation) -> str:
    """The areas under the curves of a map in a sentence."""
    areas = ", ".join(f"{name} {curve.auc:.3f}" for name, curve in curves.items())
    return (
        f"Areas under the curves of {explanation.stem}, {what(explanation)}: {areas}. "
        f"A good map makes the {explanation.quantity} fall soon where its pixels are deleted "
        "(a small area), and rise soon where they are inserted (a large one)."
    )


def class_table(titles: Sequence[str], best: Sequence[Sequence[Choice]]) -> str:
    """The best classes of several networks, side by side, in Markdown."""
    rows = zip_longest(*([plain(each.label) for each in one] for one in best), fillvalue="")
    lines = [[plain(title) for title in titles], ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def plain(text: str) -> str:
    """Escape what Markdown would take for its own in a table."""
    return re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text)
