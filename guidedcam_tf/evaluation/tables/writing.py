"""Tables as CSV, Markdown and LaTeX, each a function of a run's summary and comparison alone."""

from __future__ import annotations

import math
from collections.abc import Collection
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from guidedcam_tf.evaluation.tables.comparing import indistinguishable
from guidedcam_tf.evaluation.tables.summary import DIGITS
from guidedcam_tf.evaluation.tables.summary import correlations
from guidedcam_tf.files import writing
from guidedcam_tf.metrics import metric_of

IN_LATEX = {
    **{sign: f"\\{sign}" for sign in "%&#_{}$"},
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "≈": r"$\approx$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "\\": r"\textbackslash{}",
}
"""Signs that mean something else in LaTeX, or that it lacks."""

FEW_PICTURES = 10
FEW_METHODS = 5
"""Under how many a correlation of rankings says little."""


@dataclass(frozen=True)
class Style:
    """How a cell shows what it is: patterns for the text, and signs after it."""

    best: str
    second: str
    paper: str
    tied: str
    like_best: str


MARKDOWN = Style("**{}**", "<u>{}</u>", "{ours}<br>*{paper}*", " =", " ≈")
LATEX = Style(
    r"\textbf{{{}}}", r"\underline{{{}}}", r"{ours} \emph{{({paper})}}", " $=$", r" $\approx$"
)


def write_tables(
    summary: pd.DataFrame,
    folder: Path,
    *,
    title: str,
    notes: Sequence[str],
    comparison: pd.DataFrame | None = None,
) -> None:
    """Write `table.csv`, `table.md` and `table.tex`, each whole or not at all.

    Args:
        summary: What `tables.summarise` returned.
        folder: The run's folder.
        title: The tables' title.
        notes: What is said below the Markdown.
        comparison: What `comparing.compare` said of the methods and the best of them.
    """
    alike = set() if comparison is None else indistinguishable(comparison)
    write_csv(summary, folder / "table.csv")
    with writing(folder / "table.md") as temporary:
        temporary.write_text(_markdown(summary, title, notes, alike), "utf-8")
    with writing(folder / "table.tex") as temporary:
        temporary.write_text(_latex(summary, title, alike), "utf-8")


def write_csv(table: pd.DataFrame, file: Path) -> None:
    """Write a table with six digits."""
    with writing(file) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6f", lineterminator="\n")


def _markdown(
    summary: pd.DataFrame,
    title: str,
    notes: Sequence[str],
    alike: Collection[tuple[str, str, str]],
) -> str:
    grid = _grid(summary, MARKDOWN, alike)
    parts = [f"# {title}", grid.to_markdown(disable_numparse=True)]
    said = _correlations(summary)
    if said:
        parts.append(said)
    legend = "Best bold, second underlined; = shares its rank with another, and is neither"
    if alike:
        legend += (
            "; ≈ is not distinguishable from the best (sign-flip test over pictures, Holm's "
            "correction, 5 %)"
        )
    legend += "; in italics the paper's value." if summary["paper"].notna().any() else "."
    parts += [legend, *(f"- {note}" for note in notes)]
    return "\n\n".join(parts) + "\n"


def _correlations(summary: pd.DataFrame) -> str:
    """The correlations of our ranking with the paper's, and whether they are of too little."""
    rho = correlations(summary)
    if not rho:
        return ""
    listed = ", ".join(f"{metric_of(name).title} {value:+.2f}" for name, value in rho.items())
    said = f"Spearman's correlation of the ranking with the paper's: {listed}."
    used = summary[summary["metric"].isin(list(rho)) & summary["paper"].notna()]
    used = used[used["rank_ours"].notna()]
    pictures, methods = int(used["pictures"].min()), used["method"].nunique()
    if pictures < FEW_PICTURES or methods < FEW_METHODS:
        said += f" It is of {methods} methods on {pictures} pictures only, too few to rely on."
    return said


def _latex(summary: pd.DataFrame, title: str, alike: Collection[tuple[str, str, str]]) -> str:
    grid = _grid(summary, LATEX, alike).rename(index=_in_latex, columns=_in_latex)
    result: str = grid.style.to_latex(hrules=True, caption=_in_latex(title))
    return result


def _in_latex(text: str) -> str:
    return "".join(IN_LATEX.get(sign, sign) for sign in text)


def percent(share: float | str) -> str:
    """A share of 1 in per cent, as exactly as it was given: two of them never look alike."""
    return f"{100 * float(share):.12g}%"


def _grid(
    summary: pd.DataFrame, style: Style, alike: Collection[tuple[str, str, str]]
) -> pd.DataFrame:
    """Metrics down, methods across, each cell as text."""
    cells: dict[str, dict[str, str]] = {}
    lines: list[dict[Any, Any]] = summary.to_dict("records")
    shared = summary.groupby(["metric", "area", "rank_ours"])["method"].transform("size") > 1
    for line, tied in zip(lines, shared, strict=True):
        area = f", {percent(line['area'])} of the area" if line["area"] else ""
        row = f"{metric_of(line['metric']).title}{area} {line['arrow']}"
        cells.setdefault(row, {})[line["method"]] = _cell(line, style, tied, alike)
    methods = list(dict.fromkeys(summary["method"]))
    result: pd.DataFrame = (
        pd.DataFrame.from_dict(cells, orient="index").reindex(columns=methods).fillna("-")
    )
    return result


def _cell(
    line: dict[Any, Any], style: Style, tied: bool, alike: Collection[tuple[str, str, str]]
) -> str:
    text = "-" if math.isnan(line["ours"]) else f"{line['ours']:.{DIGITS}f}"
    rank = line["rank_ours"]
    if tied and rank in (1, 2):
        text += style.tied
    else:
        text = {1: style.best, 2: style.second}.get(rank, "{}").format(text)
    if rank != 1 and (line["metric"], line["area"], line["method"]) in alike:
        text += style.like_best
    if not math.isnan(line["paper"]):
        text = style.paper.format(ours=text, paper=f"{line['paper']:.{DIGITS}f}")
    return text
