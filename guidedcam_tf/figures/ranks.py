"""The critical-difference diagram: mean ranks on a line, and bars over what is not told apart."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from guidedcam_tf.evaluation.run_files import read_table
from guidedcam_tf.evaluation.tables.comparing import SIGNIFICANCE
from guidedcam_tf.evaluation.tables.ranking import groups_alike
from guidedcam_tf.figures import style
from guidedcam_tf.figures.saving import save_figure
from guidedcam_tf.metrics import metric_of

WIDTH_INCHES = 9.0
LINE = 0.26
"""The height of a line of text, in inches: the unit of the diagrams' height."""

ABOVE = 3.2
"""Room above the axis for the title and the scale of the difference, in lines."""

BAR = 0.45
NAMES = 0.27
"""Of the width, the room for names at each side."""


def write_ranks(folder: Path) -> Path | None:
    """Draw `ranks.png` of the `ranks.csv` in a run's folder; `None` if there is nothing in it."""
    ranks = read_table(folder / "ranks.csv")
    figure = draw_ranks(ranks)
    if figure is None:
        return None
    file = folder / "ranks.png"
    save_figure(figure, file)
    return file


def draw_ranks(ranks: pd.DataFrame) -> Figure | None:
    """Draw a diagram for each metric without a matched area, below one another.

    Args:
        ranks: What `ranking.mean_ranks` returned.

    Returns:
        The figure; `None` if there is no such metric.
    """
    plain = ranks[ranks["area"] == ""]
    diagrams = [lines for _, lines in plain.groupby("metric", sort=False)]
    if not diagrams:
        return None
    heights = [_lines_of(lines) for lines in diagrams]
    with style.look():
        figure = Figure(figsize=(WIDTH_INCHES, LINE * sum(heights)))
        top = 1.0
        for lines, height in zip(diagrams, heights, strict=True):
            share = height / sum(heights)
            axes = figure.add_axes((0.0, top - share, 1.0, share))
            _draw(axes, lines, height)
            top -= share
    return figure


def _lines_of(lines: pd.DataFrame) -> float:
    return ABOVE + 1 + BAR * len(groups_alike(lines)) + (len(lines) + 1) // 2


def _draw(axes: Axes, lines: pd.DataFrame, height: float) -> None:
    """Draw one diagram: across in parts of the width, down in lines."""
    axes.set(xlim=(0, 1), ylim=(height, 0))
    axes.axis("off")
    count, first = len(lines), lines.iloc[0]
    scale = (1 - 2 * NAMES) / (count - 1)

    def across(rank: float) -> float:
        return NAMES + (rank - 1) * scale

    metric, p = metric_of(first["metric"]), first["friedman_p"]
    told = "" if p <= SIGNIFICANCE else ": the methods are not told apart"
    shown = "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
    title = f"{metric.title} {metric.arrow}: mean rank on {first['pictures']} pictures"
    axes.text(0.02, 0.7, title, weight="bold", va="center")
    axes.text(0.98, 0.7, f"Friedman's test {shown}{told}", ha="right", va="center")
    axes.plot([across(1), across(count)], [ABOVE, ABOVE], color="black", linewidth=1)
    for rank in range(1, count + 1):
        axes.plot([across(rank)] * 2, [ABOVE - 0.2, ABOVE], color="black", linewidth=1)
        axes.text(across(rank), ABOVE - 0.55, str(rank), ha="center", va="center")
    _draw_difference(axes, first["critical_difference"], scale, count)
    groups = groups_alike(lines)
    for at, (begin, end) in enumerate(groups):
        ends = [across(lines["mean_rank"].iloc[place]) for place in (begin, end)]
        ends = [ends[0] - 0.006, ends[1] + 0.006]
        axes.plot(ends, [ABOVE + BAR * (at + 0.8)] * 2, color="black", linewidth=4)
    below = ABOVE + 0.9 + BAR * len(groups)
    for place, (name, rank) in enumerate(zip(lines["method"], lines["mean_rank"], strict=True)):
        left = place < (count + 1) // 2
        down = below + (place if left else count - 1 - place)
        edge, side = (NAMES - 0.02, "right") if left else (1 - NAMES + 0.02, "left")
        axes.plot(
            [across(rank), across(rank), edge], [ABOVE, down, down], color="#555555", linewidth=0.8
        )
        text = f"{style.method_title(name)}  {rank:.2f}"
        axes.text(edge + (-0.005 if left else 0.005), down, text, ha=side, va="center")


def _draw_difference(axes: Axes, difference: float, scale: float, count: int) -> None:
    """The critical difference as a length, unless it is longer than the whole axis."""
    if difference >= count - 1:
        axes.text(NAMES, 1.65, f"critical difference {difference:.2f} (Nemenyi, 5 %)", va="center")
        return
    ends = NAMES, NAMES + difference * scale
    axes.plot(ends, [1.65, 1.65], color="black", linewidth=1)
    for end in ends:
        axes.plot([end, end], [1.5, 1.8], color="black", linewidth=1)
    axes.text(
        ends[1] + 0.01, 1.65, f"critical difference {difference:.2f} (Nemenyi, 5 %)", va="center"
    )
