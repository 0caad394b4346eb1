"""Which reading of the paper's protocol comes nearest to its numbers, by search over a grid.

The paper does not say how a map becomes a mask, nor what covers the rest of the picture. Each
combination is a run of its own; what they give is compared with the paper column by column.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pandas as pd

from guidedcam_tf.configuring import each_once
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.data.splits import write_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import MaskConfig
from guidedcam_tf.evaluation.finishing import part_notes
from guidedcam_tf.evaluation.job import open_network
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.tables.paper import check_compares
from guidedcam_tf.evaluation.tables.writing import write_csv
from guidedcam_tf.evaluation.thresholds import THRESHOLDS
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.metrics import MaskedPredictions

MASKS: Mapping[str, MaskConfig] = {
    **{f"{at:g}": MaskConfig(kind="threshold", value=at) for at in THRESHOLDS},
    "soft": MaskConfig(kind="soft"),
    "half the pixels": MaskConfig(kind="top", value=0.5),
    "otsu": MaskConfig(kind="otsu"),
    "mean": MaskConfig(kind="mean"),
    "mean+std": MaskConfig(kind="mean+std"),
}
"""How a map becomes a mask: at a threshold of the normalised map, or by another rule."""

PROPOSED = "guided"
FILLS = ("mean", "black", "blur")
COLUMNS = ("fill", "mask", "metric", "method", "ours", "paper", "rank_ours")


def search(
    config: EvaluationConfig,
    out: Path,
    *,
    masks: Sequence[str] = tuple(MASKS),
    fills: Sequence[str] = FILLS,
    limit: int | None = None,
) -> Path:
    """Run a configuration under each protocol of a grid, and compare with the paper.

    Args:
        config: A table's configuration, with the paper's values. Metrics of objects are left out.
        out: The folder of runs; each protocol's run is below `<name>_protocols`.
        masks: Some of `MASKS`.
        fills: Some of `FILLS`.
        limit: Take only so many of the pictures.

    Returns:
        The folder `<name>_protocols`, with `protocols.csv`, `protocols.md` and `pictures.txt`.

    Raises:
        InputError: If a mask or a fill is not known or there twice or none is given, if there are
            no numbers of the paper or `PROPOSED` is not measured on all pictures, and as `evaluate`
            does.
    """
    for kind, given, known in (("masks", masks, tuple(MASKS)), ("fills", fills, FILLS)):
        wrong = [name for name in given if name not in known]
        if wrong or not given:
            said = f"{', '.join(wrong)} not known" if wrong else "are none"
            raise InputError(f"{kind} {said}; expected some of {', '.join(known)}")
        each_once(given)
    zones = [each.label for each in config.chosen_metrics if each.evidence is MaskedPredictions]
    check_compares(config, zones, "metrics of masked predictions")
    if PROPOSED not in config.ranked:
        raise InputError(
            f"a search counts where {PROPOSED} is the best of the methods of all pictures; add it "
            f"to these, now {', '.join(config.ranked) or 'none'}"
        )
    folder, found = output_folder(out / f"{config.name}_protocols"), []
    explainer = open_network(config)
    for fill, mask in product(fills, masks):
        protocol = config.protocol.model_copy(
            update={"mask": MASKS[mask], "fill": fill, "areas": ()}
        )
        changes = {"name": f"{fill}, {mask}", "metrics": tuple(zones), "protocol": protocol}
        run = evaluate(config.model_copy(update=changes), folder, limit=limit, explainer=explainer)
        found.append(pd.read_csv(run / "table.csv").assign(fill=fill, mask=mask))
    grid = pd.concat(found, ignore_index=True)[[*COLUMNS]]
    pictures = read_list(run / "pictures.txt")
    write_list(pictures, folder / "pictures.txt")
    write_csv(grid, folder / "protocols.csv")
    notes = part_notes(config, len(pictures))
    with writing(folder / "protocols.md") as temporary:
        temporary.write_text(_markdown(grid, config.name, notes), "utf-8")
    return folder


def nearest(grid: pd.DataFrame) -> pd.DataFrame:
    """Find the protocol that is nearest to each of the paper's columns.

    Args:
        grid: The columns `COLUMNS`.

    Returns:
        A line for each method, and one for all together: method, fill, mask, distance (the sum
        over metrics of the absolute differences to the paper), and usual (the same distance under
        the mean fill at 0.5, NaN where that is not in the grid). A protocol under which a method
        was not measured does not count for it, nor for all together.
    """
    grid = grid[grid["paper"].notna()]
    apart = (grid["ours"] - grid["paper"]).abs()
    distances = apart.groupby([grid["fill"], grid["mask"], grid["method"]], sort=False).sum()
    wide = distances.unstack("method")[list(dict.fromkeys(grid["method"]))]
    wide["all of them"] = wide.sum(axis=1, min_count=wide.shape[1])
    lines = []
    for method, column in wide.items():
        at = column.rename("distance").reset_index().sort_values("distance").iloc[0]
        usual = column.get(("mean", "0.5"), float("nan"))
        lines.append((method, at["fill"], at["mask"], at["distance"], usual))
    return pd.DataFrame(lines, columns=["method", "fill", "mask", "distance", "usual"])


def wins(grid: pd.DataFrame, method: str = PROPOSED) -> pd.DataFrame:
    """Count, protocol by protocol, the metrics in which a method is strictly the best.

    Args:
        grid: The columns `COLUMNS`; a method without a rank saw a part of the pictures, and is no
            rival. Where there is no rival, nothing is won.
        method: The method.

    Returns:
        Columns fill, mask, won and metrics, the protocol with the most first.
    """
    lines = []
    for (fill, mask), part in grid.groupby(["fill", "mask"], sort=False):
        won = 0
        for _, values in part[part["rank_ours"].notna()].groupby("metric"):
            best = values.loc[values["rank_ours"] == 1, "method"]
            won += best.tolist() == [method] and len(values) > 1
        lines.append((fill, mask, won, part["metric"].nunique()))
    found = pd.DataFrame(lines, columns=["fill", "mask", "won", "metrics"])
    return found.sort_values("won", ascending=False, kind="stable").reset_index(drop=True)


def _markdown(grid: pd.DataFrame, name: str, notes: Sequence[str]) -> str:
    near, won = nearest(grid), wins(grid)
    columns = {"distance": "sum of differences", "usual": "the same at mean, 0.5"}
    table = near.rename(columns=columns).to_markdown(index=False, floatfmt=".3f")
    parts = [
        f"# {name}: {len(won)} protocols",
        "The nearest protocol to each of the paper's columns, by the sum over metrics of the "
        "absolute differences.",
        table,
        *notes,
        _said(won),
    ]
    return "\n\n".join(parts) + "\n"


def _said(won: pd.DataFrame) -> str:
    most = won["won"].max()
    if not most:
        return "Under none of them is the proposed method strictly the best in any metric."
    best = won[won["won"] == most]
    where = "; ".join(
        f"{fill}, {mask}" for fill, mask in zip(best["fill"], best["mask"], strict=True)
    )
    return (
        f"The proposed method is strictly the best in at most {most} of {best['metrics'].max()} "
        f"metrics under one protocol: {where}."
    )
