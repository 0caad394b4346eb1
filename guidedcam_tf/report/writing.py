"""One self-contained HTML file about runs: tables, figures, and each method's best and worst cases.

The file needs no network and no other file: pictures are inside it, and its one script, which
sorts and filters, is a few lines in it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment
from jinja2 import PackageLoader
from jinja2 import StrictUndefined
from PIL import Image

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import read_config_of
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run_files import read_manifest
from guidedcam_tf.evaluation.run_files import read_table
from guidedcam_tf.evaluation.tables.ranking import mean_ranks
from guidedcam_tf.evaluation.tables.writing import percent
from guidedcam_tf.figures import style
from guidedcam_tf.figures.ranks import draw_ranks
from guidedcam_tf.figures.saving import as_image
from guidedcam_tf.files import writing
from guidedcam_tf.metrics import MaskRule
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.report.cases import CASE_METRICS
from guidedcam_tf.report.cases import compare_methods
from guidedcam_tf.report.cases import find_cases
from guidedcam_tf.report.charts import bars_of
from guidedcam_tf.report.charts import lines_of
from guidedcam_tf.report.painting import Painter
from guidedcam_tf.report.parts import Drawing
from guidedcam_tf.report.parts import Section
from guidedcam_tf.report.parts import drawing
from guidedcam_tf.report.tables import differences_to_each
from guidedcam_tf.report.tables import plain_table
from guidedcam_tf.report.tables import tables_by_area
from guidedcam_tf.report.tables import tables_by_class
from guidedcam_tf.storage import readable

FIGURE_PIXELS = 2000


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
        loader=PackageLoader("guidedcam_tf.report", "."),
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
        manifest = read_manifest(run)
        if "figure" in manifest:
            return _figure(run, manifest)
    inside = sorted(str(file.parent) for file in run.glob("*/manifest.json"))
    raise InputError(
        f"run {run} has neither rows.csv and table.csv (guidedcam evaluate) "
        "nor a figure's manifest.json (guidedcam figure)"
        + (f"; the runs in it are {', '.join(inside)}" if inside else "")
    )


def _figure(run: Path, manifest: dict[str, Any]) -> Section:
    name = manifest["figure"]
    numbers = read_table(run / f"{name}.csv")
    kind = manifest["config"]["kind"]
    classes = ", ".join(dict.fromkeys(map(str, numbers["class_name"])))
    methods = ", ".join(map(style.method_title, dict.fromkeys(numbers["method"])))
    words = f"Figure {name} ({kind}) of {classes} by {methods}. Its numbers are in the table below."
    image = Image.open(readable(run / f"{name}.png")).convert("RGB")
    short = numbers.drop(columns=["fraction", "score"], errors="ignore").drop_duplicates()
    facts = [("kind", kind), ("demo pictures", "yes" if manifest["demo"] else "no")]
    facts += [("left out", line) for line in manifest["left_out"]]
    return Section(
        name,
        tuple(facts + _common_facts(manifest)),
        (plain_table("The numbers behind the figure", short),),
        drawing(image, FIGURE_PIXELS, words),
    )


def _evaluation(run: Path, cases: int, metric: str | None) -> Section:
    config = read_config_of(run)
    summary = read_table(run / "table.csv")
    manifest = read_manifest(run)
    facts = [
        ("network", f"{style.network_title(manifest['model'])}, {manifest['layer']}"),
        ("data", f"{manifest['data']['kind']}, {manifest['data']['pictures']} pictures"),
        ("protocol", _protocol(config)),
        *_common_facts(manifest),
        *(("note", remark) for remark in manifest.get("remarks", [])),
    ]
    rows = read_rows(run)
    chosen = metric or next((m for m in CASE_METRICS if m in set(rows["metric"])), "")
    if metric is not None and metric not in set(rows["metric"]):
        raise InputError(
            f"metric {metric!r} is not in run {run}; it has "
            f"{', '.join(dict.fromkeys(rows['metric'][rows['metric'] != '']))}"
        )
    classes = run / "classes.csv"
    labels = dict.fromkeys(summary["method"])
    names = {name for name in rows["class_name"] if name}
    section = Section(
        config.name,
        tuple(facts),
        tables_by_area(summary),
        _ranks(rows, summary),
        methods=tuple((label, style.method_title(label)) for label in labels),
        class_names=tuple(sorted(names)),
        bars=bars_of(summary),
        lines=lines_of(summary),
        differences=differences_to_each(rows, summary, config.bootstrap, config.seed),
        by_class=tables_by_class(read_table(classes), names) if classes.exists() else (),
    )
    if not (cases and chosen):
        return section
    plain = rows[rows["area"] == ""]
    painter, remark = _painter(config)
    return replace(
        section,
        metric=metric_of(chosen).title,
        cases=find_cases(plain, chosen, cases, painter),
        compared=compare_methods(plain, chosen, painter) if painter else (),
        remark=remark,
    )


def _ranks(rows: pd.DataFrame, summary: pd.DataFrame) -> Drawing | None:
    """The critical-difference diagrams of a run, where it has enough methods and pictures."""
    ranks = mean_ranks(rows, summary.assign(area=summary["area"].fillna("")))
    figure = draw_ranks(ranks)
    if figure is None:
        return None
    best = ranks[ranks["area"] == ""].drop_duplicates("metric")
    listed = "; ".join(
        f"{metric_of(metric).title}: {style.method_title(method)} first at {rank:.2f}"
        for metric, method, rank in best[["metric", "method", "mean_rank"]].itertuples(index=False)
    )
    words = f"Mean ranks of the methods, with bars over those that are not told apart. {listed}."
    return drawing(as_image(figure), FIGURE_PIXELS, words)


def _painter(config: EvaluationConfig) -> tuple[Painter | None, str]:
    """What draws a run's cases, or `None` and the reason."""
    try:
        return Painter(config), ""
    except InputError as error:
        return None, f"The cases are listed without pictures: {str(error).splitlines()[0]}"


def _protocol(config: EvaluationConfig) -> str:
    """A run's choices in one line."""
    choices = config.protocol.model_dump(mode="json")
    mask = config.protocol.mask
    choices["mask"] = str(MaskRule(mask.kind, mask.value))
    choices["areas"] = ", ".join(percent(area) for area in config.protocol.areas) or "none"
    listed = "; ".join(f"{name.replace('_', ' ')}: {value}" for name, value in choices.items())
    return f"{config.preset} ({listed})"


def _common_facts(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    versions = manifest["versions"]
    shown = ", ".join(f"{name} {versions[name]}" for name in ("guidedcam-tf", "keras"))
    return [("made", f"{manifest['time']} with {shown}")]
