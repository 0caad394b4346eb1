"""Write the numbers of the report, README.md and docs/speed.md from the committed tables.

    python scripts/reproduction_numbers.py

Between `<!-- numbers: NAME -->` and `<!-- end -->` a page holds what `BLOCKS[NAME]` makes of
docs/results; a test makes sure that it still does.
"""

import argparse
import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import yaml
from scipy.stats import spearmanr

REPOSITORY = Path(__file__).resolve().parent.parent
RESULTS = REPOSITORY / "docs" / "results"
PAGES = tuple(REPOSITORY / page for page in ("docs/REPRODUCTION.md", "docs/speed.md", "README.md"))
MARKED = re.compile(r"(<!-- numbers: (.+?) -->\n).*?(<!-- end -->)", re.S)

PAPER = yaml.safe_load((REPOSITORY / "configs" / "paper_tables.yaml").read_text("utf-8"))
TABLES = {
    "table1": ("VOC", "table1_voc12_resnet50"),
    "table2": ("COCO", "table2_coco14_resnet50"),
    "table3": ("ImageNet", "table3_imagenet_resnet50"),
}
TITLES = {
    "saliency_increase": "increase, saliency zone ↑",
    "context_drop": "drop, context zone ↑",
    "pointing_game": "pointing game ↑",
    "dice": "Dice ↑",
    "iou": "IoU ↑",
    "saliency_drop": "drop, saliency zone ↓",
    "context_increase": "increase, context zone ↓",
}
MORE_PICTURES = {
    TABLES["table1"][1]: "scorecam_voc12_resnet50",
    TABLES["table2"][1]: "scorecam_coco14_resnet50",
    TABLES["table3"][1]: "scorecam_imagenet_resnet50",
}
"""Runs that have methods of many passes on more pictures than the paper's table has them."""
ONE_PASS = ("gradcam", "gradcam++", "xgradcam", "guided")


@cache
def read(run: str, table: str = "table") -> pd.DataFrame:
    """Read a table of a run, with areas as texts."""
    found = pd.read_csv(RESULTS / run / f"{table}.csv", dtype={"area": "str", "mask": "str"})
    return found.assign(area=found["area"].fillna("")) if "area" in found else found


@cache
def manifest(run: str) -> dict:
    """Read what a run was made with."""
    found: dict = json.loads((RESULTS / run / "manifest.json").read_text("utf-8"))
    return found


def value(run: str, metric: str, method: str, area: str = "", column: str = "ours") -> float:
    """One number of a run's table."""
    table = read(run)
    lines = table[
        (table["metric"] == metric) & (table["method"] == method) & (table["area"] == area)
    ]
    return float(lines[column].item())


def most_pictures(run: str) -> pd.DataFrame:
    """A run's table; a method that `MORE_PICTURES` has on more pictures has the values of there."""
    table = read(run)
    if run not in MORE_PICTURES:
        return table
    other = read(MORE_PICTURES[run])
    here, there = (each.groupby("method")["pictures"].max() for each in (table, other))
    better = there.index[there > here.reindex(there.index)]
    other = other[other["method"].isin(better) & other["metric"].isin(table["metric"])]
    return pd.concat([table[~table["method"].isin(better)], other])


def grid(heads: list[str], lines: list[list[str]]) -> str:
    """A table in Markdown."""
    rows = [heads, ["---"] * len(heads), *lines]
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)


def named(methods: list[str] | tuple[str, ...]) -> list[str]:
    """Methods as code."""
    return [f"`{method}`" for method in methods]


def beside_the_paper(run: str) -> str:
    """A run's values, and the paper's in italics below them."""
    table = most_pictures(run)
    table = table[table["area"] == ""]
    methods = [each for each in PAPER["methods"] if each in set(table["method"])]
    pictures = table.groupby("method")["pictures"].max()
    lines = [["pictures", *(str(pictures[each]) for each in methods)]]
    for metric in table["metric"].unique():
        row = table[table["metric"] == metric].set_index("method")
        cells = [f"{row.ours[each]:.3f}<br>*{row.paper[each]:.3f}*" for each in methods]
        lines.append([TITLES[metric], *cells])
    return grid(["", *named(methods)], lines)


def ours(table: str) -> str:
    """One of the paper's tables with ours."""
    return beside_the_paper(TABLES[table][1])


def equal_areas(metric: str) -> str:
    """ImageNet's values with masks that keep the same share of the picture."""
    table = most_pictures(TABLES["table3"][1])
    table = table[(table["metric"] == metric) & (table["area"] != "")]
    methods = [each for each in PAPER["methods"] if each in set(table["method"])]
    wide = table.pivot(index="area", columns="method", values="ours")[methods]
    lines = [[f"{float(at):.0%}", *(f"{v:.3f}" for v in row)] for at, row in wide.iterrows()]
    return grid([TITLES[metric], *named(methods)], lines)


def correlations() -> str:
    """Spearman's correlation with the paper's ranking."""
    lines = []
    for suffix, said in (("", ""), ("_last_conv", ", last convolution")):
        for title, run in TABLES.values():
            table = most_pictures(run + suffix)
            pictures = table.groupby("method")["pictures"].transform("max")
            table = table[(table["area"] == "") & (pictures == pictures.max())]
            cells = []
            for metric in TITLES:
                row = table[table["metric"] == metric].dropna(subset=["paper"])
                rho = spearmanr(row["ours"], row["paper"]).statistic if len(row) else None
                cells.append("-" if rho is None else f"{rho:+.2f}")
            lines.append([title + said, *cells])
    return grid(["", *TITLES.values()], lines)


def fits(run: str) -> str:
    """At which threshold each of the paper's numbers would be met."""
    table = pd.read_csv(RESULTS / run / "thresholds.csv")
    wide = table.pivot(index="metric", columns="method", values="fits")
    methods = [each for each in PAPER["methods"] if each in wide]
    metrics = [each for each in TITLES if each in wide.index]
    lines = [
        [TITLES[m], *("none" if v != v else f"{v:.2f}" for v in wide.loc[m, methods])]
        for m in metrics
    ]
    return grid(["fits", *named(methods)], lines)


def protocols(run: str) -> str:
    """The protocol that is nearest to each column, and how often the proposed method wins."""
    text = (RESULTS / run / "protocols.md").read_text("utf-8")
    return text.partition("\n\n")[2]


def presets(name: str) -> str:
    """How far each preset's run is from each of the paper's columns, and where guided wins."""
    lines = []
    folders = sorted(RESULTS.glob(f"{name}_*"))
    for folder in sorted(folders, key=lambda each: not each.name.endswith("paper")):
        table = read(folder.name)
        apart = (table["ours"] - table["paper"]).abs().groupby(table["method"], sort=False).sum()
        ranks = table.pivot(index="metric", columns="method", values="rank_ours")
        won = ranks.index[(ranks == 1).sum(axis=1).eq(1) & ranks["guided"].eq(1)]
        sums = [f"{each:.3f}" for each in (*apart, apart.sum())]
        said = ", ".join(TITLES[metric] for metric in TITLES if metric in won) or "-"
        lines.append([f"`{folder.name.removeprefix(name + '_')}`", *sums, said])
    heads = [*named(list(apart.index)), "all of them", "`guided` alone is the best in"]
    return grid(["preset", *heads], lines)


def runs() -> str:
    """What was run, on how many pictures."""
    lines = []
    for folder in sorted(file.parent for file in RESULTS.glob("*/manifest.json")):
        if "thresholds" in folder.name or "protocols" in folder.name:
            continue
        about = manifest(folder.name)
        parts = [
            f"`{each['name']}` {each['pictures']}"
            for each in about["methods"]
            if isinstance(each, dict) and each.get("pictures")
        ]
        minutes = sum(about["seconds_by_method"].values()) / 60
        lines.append(
            [
                f"[{folder.name}](results/{folder.name}/table.md)",
                str(about["data"]["pictures"]),
                f"`{about['layer']}`",
                ", ".join(parts) or "-",
                f"{minutes:.0f}",
                f"`{about['data']['list_sha256'][:12]}`",
            ]
        )
    heads = ["run", "pictures", "layer", "on a part only", "minutes", "list's SHA-256"]
    return grid(heads, lines)


def signed(number: float) -> str:
    """A difference to three digits; what is zero to these has no sign."""
    return f"{number:+.3f}" if round(number, 3) else "0.000"


def paired(run: str, *metrics: str) -> str:
    """Differences to Grad-CAM with intervals and Holm's p, for metrics as `name` or `name@area`."""
    compared = read(run, "comparison")
    compared = compared[compared["reference"] == "gradcam"]
    methods = list(dict.fromkeys(compared["method"]))
    lines = []
    for entry in metrics:
        metric, _, area = entry.partition("@")
        rows = compared[(compared["metric"] == metric) & (compared["area"] == area)]
        rows = rows.set_index("method")
        cells = [
            f"{signed(rows.difference[each])} "
            f"[{signed(rows.ci_low[each])}, {signed(rows.ci_high[each])}]"
            f"<br>p {rows.p_holm[each]:.3f}"
            if each in rows.index
            else "-"
            for each in methods
        ]
        at = f" at {float(area):.0%}" if area else ""
        lines.append([TITLES[metric] + at, *cells])
    return grid(["minus `gradcam`", *named(methods)], lines)


def quality(head: str) -> str:
    """How good a trained network is."""
    found = json.loads((RESULTS / head / "network.json").read_text("utf-8"))
    return (
        f"On 1000 pictures that it had not seen, {found['accuracy']:.1%} of its answers to whether "
        f"a class is there are right, and all six on {found['all_classes_right']:.1%} of them."
    )


def readme() -> str:
    """README's table: the two methods that matter."""
    lines = []
    chosen = [("table1", metric) for metric in ("pointing_game", "dice")]
    chosen += [(table, m) for table in TABLES for m in ("saliency_drop", "context_drop")]
    for table, metric in chosen:
        run, cells = TABLES[table][1], []
        for method in ("gradcam", "guided"):
            cells += [value(run, metric, method, column="paper"), value(run, metric, method)]
        zone = metric.endswith("drop")
        cells += [value(run, metric, each, "0.2") if zone else None for each in ONE_PASS[::3]]
        said = ["-" if cell is None else f"{cell:.3f}" for cell in cells]
        number = table[-1]
        lines.append([f"Table {number}, {TITLES[metric]}", *said, f"`reproduce_table{number}.py`"])
    heads = ["", "Grad-CAM: paper", "ours", "proposed: paper", "ours"]
    return grid([*heads, "ours at equal area: Grad-CAM", "proposed", "script"], lines)


def bfloat16_maps(*layers: str) -> str:
    """How alike bfloat16 ranks the pixels of float32's maps, and how often a pointing changes."""
    lines = []
    for layer in layers:
        table = read(f"paired_voc12_resnet50_{layer}_bfloat16", "bfloat16")
        pointing = table[(table["metric"] == "pointing_game") & (table["area"] == "")]
        for row in pointing.itertuples():
            alike = (row.correlation_median, row.correlation_5_percent, row.correlation_lowest)
            cells = [f"{value:.4f}" for value in alike]
            shares = [f"{value:.1%}" for value in (row.changed, row.class_changed)]
            lines.append([f"`{layer}`", f"`{row.method}`", *cells, *shares])
    heads = ["layer", "method", "median", "5 %", "lowest", "pointing changed", "class changed"]
    return grid(heads, lines)


def bfloat16_metrics(layer: str) -> str:
    """What bfloat16 adds to each metric's mean, with the interval of the pairs."""
    table = read(f"paired_voc12_resnet50_{layer}_bfloat16", "bfloat16")
    methods = list(table["method"].unique())
    lines = []
    for (metric, area), rows in table.groupby(["metric", "area"], sort=False):
        row = rows.set_index("method")
        cells = [
            f"{row.difference[each]:+.4f}<br>[{row.ci_low[each]:+.4f}, {row.ci_high[each]:+.4f}]"
            for each in methods
        ]
        lines.append([TITLES[metric] + (f" at {float(area):.0%}" if area else ""), *cells])
    return grid(["", *named(methods)], lines)


BLOCKS: dict[str, Callable[..., str]] = {
    function.__name__: function
    for function in (
        *(beside_the_paper, ours, equal_areas, correlations, fits, protocols, presets),
        *(runs, paired, quality, readme, bfloat16_maps, bfloat16_metrics),
    )
}


def filled(text: str) -> str:
    """A page with its blocks made anew; a marker is a name and arguments: `paired RUN METRIC`."""

    def block(match: re.Match[str]) -> str:
        name, *arguments = match[2].split()
        return f"{match[1]}\n{BLOCKS[name](*arguments).strip()}\n\n{match[3]}"

    return MARKED.sub(block, text)


def main() -> None:
    """Fill the pages."""
    for page in PAGES:
        page.write_text(filled(page.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    main()
