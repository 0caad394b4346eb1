"""Which threshold of the mask would give the paper's numbers.

The paper cuts the salient part out of a picture without saying at which value of the map. A run at
each of several thresholds shows what each would give, and for every number of the paper the
threshold that fits it: if one protocol was used, a column of fits agrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from guidedcam_tf.data.splits import read_list
from guidedcam_tf.data.splits import write_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import MaskConfig
from guidedcam_tf.evaluation.job import open_network
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.tables.paper import check_compares
from guidedcam_tf.evaluation.tables.summary import DIGITS
from guidedcam_tf.files import writing
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import MaskedPredictions
from guidedcam_tf.metrics import Metric
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.storage import readable

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
CUT_OBJECTS = ("dice", "iou")
"""The metrics of objects that look at the mask; those of masked predictions all do."""


def sweep(config: EvaluationConfig, out: Path, *, limit: int | None = None) -> Path:
    """Run a configuration at each of `THRESHOLDS`, without matched areas, and fit the paper's rows.

    Args:
        config: A table's configuration, with the paper's values.
        out: The folder of runs; each threshold's run is below `<name>_thresholds`.
        limit: Take only so many of the pictures.

    Returns:
        The folder `<name>_thresholds`, with `thresholds.csv`, `thresholds.md` and `pictures.txt`.

    Raises:
        InputError: If no metric depends on the threshold or none has numbers of the paper, and as
            `evaluate` does.
    """
    cut = {
        metric.label: entry
        for entry, metric in zip(config.metrics, config.chosen_metrics, strict=True)
        if _is_cut(metric)
    }
    if not cut:
        raise InputError(
            f"no metric of {', '.join(each.label for each in config.chosen_metrics)} depends on "
            "the mask's threshold; add some of "
            f"{', '.join(name for name, metric in METRICS.items() if _is_cut(metric))} to metrics"
        )
    check_compares(config, tuple(cut), f"metrics {', '.join(cut)}")
    folder = out / f"{config.name}_thresholds"
    explainer, tables = open_network(config), {}
    for threshold in THRESHOLDS:
        mask = MaskConfig(kind="threshold", value=threshold)
        changes = {
            "name": f"{threshold:g}",
            "metrics": tuple(cut.values()),
            "protocol": config.protocol.model_copy(update={"mask": mask, "areas": ()}),
        }
        run = evaluate(config.model_copy(update=changes), folder, limit=limit, explainer=explainer)
        tables[threshold] = pd.read_csv(readable(run / "table.csv"))
    write_list(read_list(run / "pictures.txt"), folder / "pictures.txt")
    fitted = fit(tables)
    with writing(folder / "thresholds.csv") as temporary:
        fitted.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")
    with writing(folder / "thresholds.md") as temporary:
        temporary.write_text(_markdown(fitted, config.name), "utf-8")
    return folder


def _is_cut(metric: Metric) -> bool:
    return metric.evidence is MaskedPredictions or metric.name in CUT_OBJECTS


def fit(tables: Mapping[float, pd.DataFrame]) -> pd.DataFrame:
    """Find, for each of the paper's numbers, the threshold at which ours equals it.

    Args:
        tables: By threshold, ascending, the summary of `tables.summarise`.

    Returns:
        Columns metric, method, one for each threshold with our value, paper, and fits: the lowest
        threshold at which the line through our values crosses the paper's, NaN where none does.
    """
    thresholds = np.array(list(tables))
    ours = pd.concat(
        {
            f"{threshold:g}": table.set_index(["metric", "method"])["ours"]
            for threshold, table in tables.items()
        },
        axis=1,
    )
    paper = next(iter(tables.values())).set_index(["metric", "method"])["paper"]
    fits = [
        _crossing(thresholds, values, goal)
        for values, goal in zip(ours.to_numpy(), paper[ours.index], strict=True)
    ]
    result: pd.DataFrame = ours.assign(paper=paper, fits=fits).reset_index()
    return result


def _crossing(thresholds: np.ndarray, values: np.ndarray, goal: float) -> float:
    above = values - goal
    for i in range(len(values) - 1):
        if above[i] == 0:
            return float(thresholds[i])
        if above[i] * above[i + 1] < 0:
            part = above[i] / (above[i] - above[i + 1])
            return float(thresholds[i] + part * (thresholds[i + 1] - thresholds[i]))
    return float(thresholds[-1]) if above[-1] == 0 else np.nan


def _markdown(fitted: pd.DataFrame, name: str) -> str:
    titles = fitted["metric"].map(
        lambda metric: f"{metric_of(metric).title} {metric_of(metric).arrow}"
    )
    cells = fitted.assign(metric=titles).map(
        lambda value: value if isinstance(value, str) else f"{value:.{DIGITS}f}"
    )
    cells["fits"] = [f"{value:.2f}" if value == value else "none" for value in fitted["fits"]]
    return (
        f"# {name}: the mask at several thresholds\n\n"
        f"{cells.to_markdown(index=False, disable_numparse=True)}\n\n"
        "Columns are thresholds of the normalised map; *fits* is the lowest one at which the line "
        "through our values crosses the paper's number.\n"
    )
