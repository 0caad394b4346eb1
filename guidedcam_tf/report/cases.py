"""The best and the worst cases of each method of a run, drawn again."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import labelled_method
from guidedcam_tf.evaluation.run import open_data
from guidedcam_tf.figures import style
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.overlay import overlay
from guidedcam_tf.progress import progress
from guidedcam_tf.report.parts import Case
from guidedcam_tf.report.parts import Cases
from guidedcam_tf.report.parts import Drawing
from guidedcam_tf.report.parts import drawing

CASE_PIXELS = 360
CASE_METRICS = ("dice", "iou", "saliency_drop", "pointing_game")
"""What makes a case a good or a bad one, the first of these that the run has."""


def find_cases(
    config: EvaluationConfig, rows: pd.DataFrame, metric: str, count: int
) -> tuple[tuple[Cases, ...], str]:
    """Each method's best and worst pairs, drawn if the data set and the network are here."""
    measured = rows[(rows["metric"] == metric) & rows["value"].notna()]
    draw, remark = _painter(config)
    found = []
    for method, mine in progress(list(measured.groupby("method", sort=False)), "drawing cases"):
        ascending = not METRICS[metric].higher_is_better
        ranked = mine.sort_values(
            ["value", "image", "target"], ascending=[ascending, True, True], kind="stable"
        )
        records = ranked.to_dict("records")
        best = records[:count]
        worst = [record for record in records[::-1][:count] if record not in best]
        parts = [
            tuple(
                Case(
                    record["image"],
                    record["class_name"] or f"class {record['target']}",
                    float(record["value"]),
                    draw(str(method), record) if draw else None,
                )
                for record in part
            )
            for part in (best, worst)
        ]
        found.append(Cases(style.method_title(str(method)), *parts))
    return tuple(found), remark


def _painter(config: EvaluationConfig) -> tuple[Any, str]:
    """What draws a case, or `None` and the reason."""
    try:
        samples = {sample.id: sample for sample in open_data(config.data, config.seed).samples}
        explainer = config.open()
    except InputError as error:
        first = str(error).splitlines()[0]
        return None, f"The cases are listed without pictures: {first}"
    methods = dict(labelled_method(entry) for entry in config.methods)

    def draw(method: str, record: dict[str, Any]) -> Drawing | None:
        if record["image"] not in samples or method not in methods:
            return None
        pixels = read_picture(samples[record["image"]].picture)
        explanation = explainer.explain(pixels, int(record["target"]), methods[method])
        saliency = explanation.maps[0]
        image = Image.fromarray(np.hstack([pixels, overlay(pixels, saliency)]))
        words = (
            f"Picture {record['image']}, and over it the map of {style.method_title(method)} for "
            f"{explanation.names[0]}: {_where(saliency)}."
        )
        return drawing(image, 2 * CASE_PIXELS, words)

    return draw, ""


def _where(saliency: np.ndarray) -> str:
    if not saliency.any():
        return "the map is empty"
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    across, down = column / saliency.shape[1], row / saliency.shape[0]
    return f"its peak is {across:.0%} from the left and {down:.0%} from the top"
