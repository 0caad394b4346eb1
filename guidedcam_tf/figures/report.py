"""One self-contained HTML file about runs: tables, figures, and each method's best and worst cases.

The file needs no network and no other file: pictures are inside it, and its one script, which
sorts tables, is a few lines in it.
"""

from __future__ import annotations

import base64
import io
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from jinja2 import Environment
from jinja2 import PackageLoader
from jinja2 import StrictUndefined
from PIL import Image

from guidedcam_tf.data import overlay
from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import labelled_method
from guidedcam_tf.evaluation.run import open_data
from guidedcam_tf.evaluation.run import read_rows
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.figures import style
from guidedcam_tf.files import writing
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.progress import progress

FIGURE_PIXELS = 2000
CASE_PIXELS = 360
QUALITY = 85
CASE_METRICS = ("dice", "iou", "saliency_drop", "pointing_game")
"""What makes a case a good or a bad one, the first of these that the run has."""


@dataclass(frozen=True)
class Table:
    """A table: header texts, and lines of (text, key to sort by)."""

    caption: str
    header: tuple[str, ...]
    lines: tuple[tuple[tuple[str, str | float], ...], ...]


@dataclass(frozen=True)
class Drawing:
    """A picture as a data URI, with its words."""

    source: str
    alternative: str
    width: int
    height: int


@dataclass(frozen=True)
class Case:
    """A method's map of one class of one picture, and how good it is."""

    picture: str
    class_name: str
    value: float
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
    remark: str = ""


def write_report(
    runs: Sequence[Path], file: Path, *, cases: int = 2, metric: str | None = None
) -> None:
    """Write the report of some runs.

    Args:
        runs: Folders that `guidedcam evaluate` or `guidedcam figure` wrote.
        file: The HTML file.
        cases: How many best and how many worst cases of each method are shown; with 0 no network
            is opened.
        metric: What they are chosen by; by default the first of `CASE_METRICS` that the run has.

    Raises:
        InputError: If a folder is no run, or the metric is not in a run.
    """
    sections = [_section(run, cases, metric) for run in runs]
    environment = Environment(
        loader=PackageLoader("guidedcam_tf.figures", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    html = environment.get_template("report.html.j2").render(sections=sections)
    with writing(file) as temporary:
        temporary.write_text(html, "utf-8")


def _section(run: Path, cases: int, metric: str | None) -> Section:
    if (run / "rows.csv").exists() and (run / "table.csv").exists():
        return _evaluation(run, cases, metric)
    if (run / "manifest.json").exists():
        manifest = json.loads((run / "manifest.json").read_text("utf-8"))
        if "figure" in manifest:
            return _figure(run, manifest)
    raise InputError(
        f"run {run} has neither rows.csv and table.csv (guidedcam evaluate) "
        "nor a figure's manifest.json (guidedcam figure)"
    )


def _figure(run: Path, manifest: dict[str, Any]) -> Section:
    name = manifest["figure"]
    numbers = pd.read_csv(run / f"{name}.csv", keep_default_na=False)
    kind = manifest["config"]["kind"]
    classes = ", ".join(dict.fromkeys(map(str, numbers["class_name"])))
    methods = ", ".join(map(style.method_title, dict.fromkeys(numbers["method"])))
    words = f"Figure {name} ({kind}) of {classes} by {methods}. Its numbers are in the table below."
    image = Image.open(run / f"{name}.png").convert("RGB")
    short = numbers.drop(columns=["fraction", "score"], errors="ignore").drop_duplicates()
    facts = [("kind", kind), ("demo pictures", "yes" if manifest["demo"] else "no")]
    facts += [("left out", line) for line in manifest["left_out"]]
    return Section(
        name,
        tuple(facts + _common_facts(manifest)),
        (_table("The numbers behind the figure", short),),
        _drawing(image, FIGURE_PIXELS, words),
    )


def _evaluation(run: Path, cases: int, metric: str | None) -> Section:
    raw = yaml.safe_load((run / "config.yaml").read_text("utf-8"))
    keys = EvaluationConfig.model_fields
    config = EvaluationConfig.model_validate({k: v for k, v in raw.items() if k in keys})
    summary = pd.read_csv(run / "table.csv", dtype={"area": str})
    manifest = json.loads((run / "manifest.json").read_text("utf-8"))
    facts = [
        ("network", f"{style.network_title(manifest['model'])}, {manifest['layer']}"),
        ("data", f"{manifest['data']['kind']}, {manifest['data']['pictures']} pictures"),
        *_common_facts(manifest),
    ]
    rows = read_rows(run)
    chosen = metric or next((m for m in CASE_METRICS if m in set(rows["metric"])), "")
    if metric is not None and metric not in set(rows["metric"]):
        raise InputError(
            f"metric {metric!r} is not in run {run}; it has "
            f"{', '.join(dict.fromkeys(rows['metric'][rows['metric'] != '']))}"
        )
    found: tuple[Cases, ...] = ()
    remark = ""
    if cases and chosen:
        found, remark = _cases(config, rows[rows["area"] == ""], chosen, cases)
    title = METRICS[chosen].title if chosen else ""
    return Section(config.name, tuple(facts), _tables(summary), None, title, found, remark)


def _common_facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    versions = manifest["versions"]
    shown = ", ".join(f"{name} {versions[name]}" for name in ("guidedcam-tf", "keras"))
    return [("made", f"{manifest['time']} with {shown}")]


def _tables(summary: pd.DataFrame) -> tuple[Table, ...]:
    """A table for each area: methods down, metrics across, so that each metric sorts methods."""
    tables = []
    for area, group in summary.groupby(summary["area"].fillna("")):
        names = list(dict.fromkeys(group["metric"]))
        header = ["method"]
        for name in names:
            header.append(f"{METRICS[name].title} {METRICS[name].arrow}")
        lines = []
        for method, mine in group.groupby("method", sort=False):
            by_metric = mine.set_index("metric")
            line: list[tuple[str, str | float]] = [(style.method_title(str(method)), str(method))]
            for name in names:
                line.append(_cell(by_metric.loc[name]) if name in by_metric.index else ("-", ""))
            lines.append(tuple(line))
        caption = f"Masks of {float(area):.0%} of the picture" if area != "" else "All metrics"
        tables.append(Table(caption, tuple(header), tuple(lines)))
    return tuple(tables)


def _cell(record: pd.Series) -> tuple[str, str | float]:
    value = float(record["ours"])
    if math.isnan(value):
        return "-", ""
    text = f"{value:.4f}"
    if not math.isnan(float(record["ci_low"])):
        text += f"\n[{record['ci_low']:.3f}, {record['ci_high']:.3f}]"
    if not math.isnan(float(record["paper"])):
        text += f"\npaper {record['paper']:.4f}"
    return text, value


def _table(caption: str, frame: pd.DataFrame) -> Table:
    lines = tuple(
        tuple(
            (f"{v:.4g}", float(v)) if isinstance(v, (float, np.floating)) else (str(v), _key(v))
            for v in line
        )
        for line in frame.itertuples(index=False)
    )
    return Table(caption, tuple(str(name).replace("_", " ") for name in frame.columns), lines)


def _key(value: object) -> str | float:
    plain = isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_))
    return float(value) if plain else str(value)  # type: ignore[arg-type]


def _cases(
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
        explainer = Explainer(
            config.model,
            layer=config.layer,
            weights=config.weights,
            postprocessing=config.postprocessing,
            fit=config.fit,
        )
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
        return _drawing(image, 2 * CASE_PIXELS, words)

    return draw, ""


def _where(saliency: np.ndarray) -> str:
    if not saliency.any():
        return "the map is empty"
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    across, down = column / saliency.shape[1], row / saliency.shape[0]
    return f"its peak is {across:.0%} from the left and {down:.0%} from the top"


def _drawing(image: Image.Image, longest: int, words: str) -> Drawing:
    image.thumbnail((longest, longest))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    encoded = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Drawing(f"data:image/jpeg;base64,{encoded}", words, *image.size)
