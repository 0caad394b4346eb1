"""A run's tables as data frames."""

import math
import re

import numpy as np
import pandas as pd
import pytest
from common import REPOSITORY

import guidedcam_tf as gcam
from guidedcam_tf.evaluation.tables.comparing import compare
from guidedcam_tf.evaluation.tables.summary import by_class
from guidedcam_tf.evaluation.tables.summary import summarise
from guidedcam_tf.evaluation.tables.writing import write_csv
from guidedcam_tf.report.tables import tables_by_class

VALUES = {"guided": (0.9, 0.1, 0.5), "gradcam": (0.2, 0.4, math.nan)}


@pytest.fixture
def run(tmp_path):
    lines = [
        (name, "cat" if value > 0.3 else "<dog>", 1, method, metric, area, value, "")
        for method, values in VALUES.items()
        for name, value in zip("abc", values, strict=True)
        for metric, area in (("dice", ""), ("saliency_drop", "0.1"))
    ]
    columns = ["image", "class_name", "target", "method", "metric", "area", "value", "note"]
    rows = pd.DataFrame(lines, columns=columns)
    summary = summarise(rows, methods=list(VALUES), resamples=10)
    rows.to_csv(tmp_path / "rows.csv", index=False, na_rep="nan")
    write_csv(summary, tmp_path / "table.csv")
    write_csv(by_class(rows, summary), tmp_path / "classes.csv")
    write_csv(compare(rows, summary, resamples=10), tmp_path / "comparison.csv")
    (tmp_path / "skipped.csv").write_text("image,reason,message,methods\nd,unreadable,no JPEG,\n")
    (tmp_path / "manifest.json").write_text('{"model": "toy"}')
    return gcam.open_run(tmp_path)


def test_the_tables_are_those_of_the_files(run):
    assert run.table.set_index(["metric", "method"])["ours"]["dice", "guided"] == 0.5
    assert run.table["area"].tolist() == ["", "", "0.1", "0.1"]
    assert np.nanmean(
        run.rows.query("method == 'gradcam' and area == ''")["value"]
    ) == pytest.approx(0.3)
    first = run.classes.query("method == 'guided' and class_name == 'cat' and area == ''")
    assert first["mean"].item() == pytest.approx(0.7) and first["pairs"].item() == 2
    assert set(run.comparison["reference"]) <= set(VALUES)
    assert run.skipped["reason"].tolist() == ["unreadable"]
    assert run.manifest == {"model": "toy"}


def test_it_shows_methods_down_and_metrics_across(run):
    grid = run.grid()
    assert list(grid.index) == list(VALUES)
    assert list(grid.columns) == ["Dice ↑", "Drop for saliency zone at 10% ↓"]
    assert grid.loc["guided", "Dice ↑"].startswith("0.500 [0.")
    assert grid.loc["guided", "Dice ↑"] in run._repr_html_()
    assert repr(run).endswith("guided, gradcam>")


@pytest.mark.parametrize("names", [("NA", "null"), ("007", "0010"), ("1e5", "2"), ("True", "nan")])
def test_names_that_look_like_numbers_or_nothing_stay_as_they_are(run, names):
    for table in ("rows.csv", "classes.csv"):
        file = run.folder / table
        text = file.read_text().replace("<dog>", names[1])
        file.write_text(re.sub(r"\bcat\b", names[0], text))
    again = gcam.open_run(run.folder)
    assert set(again.classes["class_name"]) == set(again.rows["class_name"]) == set(names)
    assert again.classes["mean"].tolist() == run.classes["mean"].tolist()
    lines = [line for table in tables_by_class(again.classes, names) for line in table.lines]
    assert lines and {line[0].text for line in lines} <= set(names)


def test_results_without_rows_open_too():
    kept = gcam.open_run(REPOSITORY / "docs" / "results" / "table1_voc12_resnet50")
    assert kept.grid().loc["gradcam", "Pointing Game ↑"] == "0.848 [0.808, 0.889]"


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(gcam.InputError, match=r"holds no finished run: expected table\.csv"):
        gcam.open_run(tmp_path)
