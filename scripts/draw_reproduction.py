"""Draw the figures of docs/REPRODUCTION.md from the committed tables.

    python scripts/draw_reproduction.py

docs/images/reproduction_forest.png: differences to Grad-CAM, with intervals over pictures.
docs/images/reproduction_areas.png: the drops of the ten methods at masks of equal area.
"""

import argparse

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from reproduction_numbers import RESULTS
from reproduction_numbers import most_pictures
from reproduction_numbers import read

from guidedcam_tf.evaluation.tables.comparing import SIGNIFICANCE
from guidedcam_tf.figures import style
from guidedcam_tf.figures.saving import save_figure
from guidedcam_tf.metrics import metric_of

IMAGES = RESULTS.parent / "images"
PAIRED = {
    "VOC": "paired_voc12_resnet50",
    "ImageNet": "paired_imagenet_resnet50",
    "COCO": "paired_coco14_resnet50",
    "VOC, conv4_block6_out": "paired_voc12_resnet50_conv4_block6_out",
    "ImageNet, conv4_block6_out": "paired_imagenet_resnet50_conv4_block6_out",
    "COCO, conv4_block6_out": "paired_coco14_resnet50_conv4_block6_out",
    "shapes, pooled head": "pooled",
    "shapes, flattened head": "flattened",
}
TABLES = {
    "VOC, 308 pictures": "table1_voc12_resnet50",
    "COCO, 97 pictures": "table2_coco14_resnet50",
    "ImageNet, 300 pictures": "table3_imagenet_resnet50",
}
MATCHED = "matched"
"""The smallest area that a run has."""
FOREST = (
    ("saliency_drop", ""),
    ("context_drop", ""),
    ("saliency_drop", MATCHED),
    ("context_drop", MATCHED),
    ("pointing_game", ""),
    ("dice", ""),
)
METHODS = ("guided", "hirescam", "gradcam++", "xgradcam")
SHOWN_IN_LINES = ("gradcam", "guided", "gradcam++", "relevance_cam", "cameras", "scorecam")


def draw_forest() -> Figure:
    """Draw the paired differences to Grad-CAM: a panel a metric, a group of rows a data set."""
    runs = {title: name for title, name in PAIRED.items() if (RESULTS / name).is_dir()}
    compared = {title: read(name, "comparison") for title, name in runs.items()}
    with style.look():
        figure = Figure(figsize=(11, 1.7 + 0.95 * len(runs)), layout="constrained")
        panels = figure.subplots(1, len(FOREST), sharey=True)
        for axes, (metric, area) in zip(panels, FOREST, strict=True):
            for place, lines in enumerate(compared.values()):
                _draw_differences(axes, lines, metric, area, place)
            axes.axvline(0, color="black", linewidth=0.8)
            axes.set_title(_heading(metric, area), fontsize=9)
            axes.grid(axis="y", visible=False)
            axes.tick_params(axis="x", labelsize=8)
        panels[0].set_yticks(range(len(runs)), list(runs))
        panels[0].set_ylim(len(runs) - 0.5, -0.5)
        handles, names = panels[0].get_legend_handles_labels()
        unique = dict(zip(names, handles, strict=True))
        figure.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=4)
        figure.suptitle("Difference to Grad-CAM, 95 % interval (hollow: not significant)")
    return figure


def _heading(metric: str, area: str) -> str:
    title = metric_of(metric).title.replace(" for ", "\n")
    at = "" if metric == "pointing_game" else "\nat 0.5 of the map"
    return f"{title} {metric_of(metric).arrow}" + ("\nat equal areas" if area else at)


def _draw_differences(
    axes: Axes, compared: pd.DataFrame, metric: str, area: str, place: int
) -> None:
    if area:
        area = min(each for each in compared["area"] if each)
    lines = compared[
        (compared["metric"] == metric)
        & (compared["area"] == area)
        & (compared["reference"] == "gradcam")
    ].set_index("method")
    for at, method in enumerate(METHODS):
        if method not in lines.index:
            continue
        line = lines.loc[method]
        colour = style.line(at)["color"]
        height = place + (at - 1.5) * 0.2
        interval, title = [line["ci_low"], line["ci_high"]], style.method_title(method)
        axes.plot(interval, [height] * 2, color=colour, label=title)
        axes.plot(
            line["difference"],
            height,
            "o",
            markersize=5,
            color=colour,
            markerfacecolor=colour if line["p_holm"] <= SIGNIFICANCE else "white",
        )


def draw_areas() -> Figure:
    """Draw the drops of both zones against the masks' area, a column a data set."""
    with style.look():
        figure = Figure(figsize=(11, 6.6), layout="constrained")
        panels = figure.subplots(2, len(TABLES), sharex=True, sharey="row")
        for column, (title, name) in enumerate(TABLES.items()):
            table = most_pictures(name)
            for row, metric in enumerate(("saliency_drop", "context_drop")):
                axes = panels[row, column]
                _draw_curves(axes, table[(table["metric"] == metric) & (table["area"] != "")])
                axes.set_ylabel(f"{metric_of(metric).title} {metric_of(metric).arrow}")
                axes.label_outer()
            panels[0, column].set_title(title)
            panels[1, column].set_xlabel("mask's share of the picture")
        handles, names = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=4)
    return figure


def _draw_curves(axes: Axes, table: pd.DataFrame) -> None:
    for method, lines in table.groupby("method", sort=False):
        areas = lines["area"].astype(float)
        shown = method in SHOWN_IN_LINES
        look = style.line(SHOWN_IN_LINES.index(method)) if shown else {"color": "#BBBBBB"}
        title = style.method_title(str(method))
        dot = "o" if len(areas) == 1 else None
        order = 3 if shown else 1
        axes.plot(areas, lines["ours"], marker=dot, label=title, zorder=order, **look)


def main() -> None:
    """Draw both, as far as their tables are there."""
    save_figure(draw_areas(), IMAGES / "reproduction_areas.png", dots_per_inch=110)
    if any((RESULTS / name).is_dir() for name in PAIRED.values()):
        save_figure(draw_forest(), IMAGES / "reproduction_forest.png", dots_per_inch=110)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
