"""Measure what bfloat16 changes: the maps, and each metric of a table, picture by picture.

    python scripts/measure_bfloat16.py configs/paired_voc12_resnet50.yaml --set data.root=FOLDER

It runs the configuration in OpenVINO in both precisions and writes `bfloat16.csv`: for each metric
and method the mean in float32, the mean of the differences with its bootstrap 95 % interval and the
p value of the sign-flip test, both over pictures, the shares of pairs whose value changed and whose
explained class is another by then, and the rank correlation (Spearman) of the raw maps. On a
processor without bfloat16 it is simulated.
"""

import argparse
from pathlib import Path
from typing import Any

import pandas as pd

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.configuring import read_config
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig

PRECISIONS = ("float32", "bfloat16")


def main() -> None:
    """Read the arguments, run, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a table's YAML file")
    parser.add_argument("--set", action="append", default=[], help="change a key: key=value")
    parser.add_argument("--limit", type=int, help="take only so many pictures")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder of runs")
    arguments = parser.parse_args()
    try:
        config = read_config(arguments.config, EvaluationConfig, arguments.set)
        import_tensorflow()
        file = measure(config, arguments.out, arguments.limit)
    except InputError as error:
        parser.error(str(error))
    print(file.read_text("utf-8"))


def measure(config: EvaluationConfig, out: Path, limit: int | None = None) -> Path:
    """Run a configuration in both precisions, and return the file that compares them."""
    from simulated_bfloat16 import bfloat16_everywhere

    from guidedcam_tf.evaluation.job import open_job
    from guidedcam_tf.evaluation.rows import read_rows
    from guidedcam_tf.evaluation.run import evaluate
    from guidedcam_tf.files import output_folder
    from guidedcam_tf.files import writing

    with bfloat16_everywhere() as how:
        rows, jobs = {}, []
        for precision in PRECISIONS:
            name = f"{config.name}_{precision}"
            if (precision, how) == ("bfloat16", "simulated"):
                name += "_simulated"
            change = {"runtime": "openvino", "precision": precision, "name": name}
            here = config.model_copy(update=change)
            jobs.append(open_job(here, limit))
            folder = evaluate(here, out, limit=limit, explainer=jobs[-1].explainer)
            rows[precision] = read_rows(folder)
        table = _changes(rows["float32"], rows["bfloat16"], config.seed).merge(_maps(*jobs))
    table.insert(0, "bfloat16", how)
    file = output_folder(out / f"{config.name}_bfloat16") / "bfloat16.csv"
    with writing(file) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6f")
    return file


def _changes(exact: pd.DataFrame, rounded: pd.DataFrame, seed: int) -> pd.DataFrame:
    """A line a metric, area and method: the value in float32, and how far bfloat16's is from it."""
    from guidedcam_tf.evaluation.tables.comparing import compare

    exact, rounded = map(_by_object, (exact, rounded))
    both = pd.concat([exact.assign(method="float32"), rounded.assign(method="bfloat16")])
    methods = pd.concat([exact["method"], rounded["method"]])
    found = []
    for name in exact["method"].unique():
        rows = both[methods == name]
        kinds = rows[["metric", "area", "method"]].drop_duplicates()
        compared = compare(rows, kinds.assign(rank_ours=1), reference="float32", seed=seed)
        pairs = rows.pivot(
            index=["metric", "area", "image", "class_name"],
            columns="method",
            values=["value", "explained"],
        )
        at = pairs.groupby(level=["metric", "area"])
        of_all = pd.DataFrame(
            {
                "float32": at.apply(lambda each: each["value", "float32"].mean()),
                "changed": at.apply(_changed, "value"),
                "class_changed": at.apply(_changed, "explained"),
            }
        )
        found.append(compared.assign(method=name).merge(of_all.reset_index()))
    columns = ["metric", "area", "method", "float32", "difference", "ci_low", "ci_high", "p"]
    return pd.concat(found)[[*columns, "pictures", "changed", "class_changed"]]


def _by_object(rows: pd.DataFrame) -> pd.DataFrame:
    """Rows that pair by picture and object: which class the network explains there may change."""
    lines = rows.groupby(["method", "metric", "area", "image"])["image"].transform("size")
    return rows.assign(
        explained=rows["target"].astype(float),
        target=0,
        class_name=rows["class_name"].where(lines > 1, ""),
    )


def _changed(pairs: pd.DataFrame, what: str) -> float:
    """The share of pairs with another value; where both are undefined, nothing changed."""
    one, other = (pairs[what, precision] for precision in PRECISIONS)
    return float(((one != other) & ~(one.isna() & other.isna())).mean())


def _maps(exact: Any, rounded: Any) -> pd.DataFrame:
    """The rank correlation of the maps of the most probable class, by method."""
    from compare_runtimes import compare

    files = [sample.picture for sample in exact.data_set.samples]
    layers = [exact.explainer.layer]
    found = compare(exact.explainer, rounded.explainer, files, list(exact.methods), layers)
    rows = pd.DataFrame([row for rows in found for row in rows])
    by_method = rows.groupby("method")["correlation"]
    return pd.DataFrame(
        {
            "correlation_median": by_method.median(),
            "correlation_5_percent": by_method.quantile(0.05),
            "correlation_lowest": by_method.min(),
        }
    ).reset_index()


if __name__ == "__main__":
    main()
