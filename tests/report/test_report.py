"""The report: what is in it, and how it does in a real browser."""

import json
import re

import numpy as np
import pandas as pd
import pytest
import yaml
from browser import browser
from PIL import Image

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import DataConfig
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.tables import summarise
from guidedcam_tf.evaluation.tables import write_tables
from guidedcam_tf.report.writing import write_report

VALUES = {"guided": (0.9, 0.1, 0.5), "gradcam": (0.2, 0.4, 0.6), "gradcam++": (0.3, 0.1, 0.2)}
NAMES = ("a<b>", "b", "c")


@pytest.fixture
def run(tmp_path, toy_file):
    """A run of three pictures, written by hand, whose data set is not here."""
    folder = tmp_path / "run"
    folder.mkdir()
    lines = [
        (name, "cat", at, method, metric, area, value, "")
        for method, values in VALUES.items()
        for at, (name, value) in enumerate(zip(NAMES, values, strict=True))
        for metric, area in (("dice", ""), ("saliency_drop", ""), ("saliency_drop", "0.1"))
    ]
    columns = ["image", "class_name", "target", "method", "metric", "area", "value", "note"]
    rows = pd.DataFrame(lines, columns=columns)
    rows.to_csv(folder / "rows.csv", index=False)
    summary = summarise(rows, methods=list(VALUES), resamples=10)
    write_tables(summary, folder, title="run", notes=[])
    config = EvaluationConfig(
        name="run",
        data=DataConfig(kind="folder", root=tmp_path / "nowhere"),
        model=str(toy_file),
        methods=tuple(VALUES),
        metrics=("dice", "saliency_drop"),
    )
    (folder / "config.yaml").write_text(yaml.safe_dump(config.model_dump(mode="json")))
    (folder / "manifest.json").write_text(
        json.dumps(
            {
                "time": "2022-01-01",
                "versions": {"guidedcam-tf": "1", "keras": "3"},
                "model": "toy",
                "layer": "conv2",
                "data": {"kind": "folder", "pictures": 3},
            }
        )
    )
    return folder


@pytest.fixture
def figure(tmp_path):
    """A figure's folder, written by hand."""
    folder = tmp_path / "figure9"
    folder.mkdir()
    Image.fromarray(np.full((300, 2400, 3), 200, np.uint8)).save(folder / "figure9.png")
    numbers = {"picture": ["a", "a"], "class_name": ["tabby", "pug"], "method": ["guided"] * 2}
    pd.DataFrame({**numbers, "probability": [0.25, 0.5]}).to_csv(
        folder / "figure9.csv", index=False
    )
    manifest = {
        "figure": "figure9",
        "config": {"kind": "comparison"},
        "demo": True,
        "left_out": ["VGG16's weights are not here"],
        "time": "2022-01-01",
        "versions": {"guidedcam-tf": "1", "keras": "3"},
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def html(run, figure, tmp_path):
    file = tmp_path / "report.html"
    write_report([run, figure], file, cases=1)
    return file


def test_it_is_self_contained(html):
    text = html.read_text("utf-8")
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)[^"'\s>]+""", text)
    assert "http" not in text


def test_names_from_data_are_escaped(html):
    text = html.read_text("utf-8")
    assert "a&lt;b&gt;" in text and "a<b>" not in text


def test_best_and_worst_cases_are_the_rows(html):
    text = re.sub(r"\s+", " ", html.read_text("utf-8"))
    cases = re.findall(r"<figcaption>([^<]+)</figcaption>", text)
    assert cases[:2] == ["a&lt;b&gt;, cat: 0.9000", "b, cat: 0.1000"]
    assert cases[2:] == [
        "c, cat: 0.6000",
        "a&lt;b&gt;, cat: 0.2000",
        "a&lt;b&gt;, cat: 0.3000",
        "b, cat: 0.1000",
    ]
    assert "The cases are listed without pictures" in text


def test_a_lower_drop_is_the_better_case(run, tmp_path):
    write_report([run], tmp_path / "r.html", cases=1, metric="saliency_drop")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert re.findall(r"<figcaption>([^<]+)</figcaption>", text)[0] == "b, cat: 0.1000"


def test_all_metrics_come_before_the_matched_areas(html):
    captions = re.findall(r"<caption>([^<]+)</caption>", html.read_text("utf-8"))
    assert captions == [
        "All metrics",
        "Masks of 10% of the picture",
        "The numbers behind the figure",
    ]


def test_bad_arguments_are_named(run, tmp_path):
    with pytest.raises(InputError, match=r"neither rows\.csv"):
        write_report([tmp_path], tmp_path / "r.html")
    with pytest.raises(InputError, match=r"metric 'iou' is not in run .*; it has dice"):
        write_report([run], tmp_path / "r.html", metric="iou")


FIRST_COLUMN = """
return [...document.querySelector("table").tBodies[0].rows].map(row => row.cells[%d].innerText);
"""


@pytest.mark.parametrize("width", [390, 1440])
def test_it_works_in_a_browser(html, tmp_path, width):
    with browser(tmp_path) as open_page:
        page = open_page(width, 900)
        page.open(html)
        assert page.run("return innerWidth") == width
        assert page.run("return document.documentElement.scrollWidth") == width
        wider = "return [...document.querySelectorAll('main *:not(table, table *)')].filter("
        wider += "one => one.getBoundingClientRect().right > innerWidth).length"
        assert page.run(wider) == 0
        without = "return [...document.images].filter(one => !one.alt || !one.complete).length"
        assert page.run(without) == 0
        assert page.run("return document.images.length") > 0
        page.click("th:nth-child(2) button")
        assert page.run(FIRST_COLUMN % 0) == ["Grad-CAM++", "Grad-CAM", "Proposed"]
        page.click("th:nth-child(2) button")
        assert page.run(FIRST_COLUMN % 0) == ["Proposed", "Grad-CAM", "Grad-CAM++"]
        assert page.run("return document.querySelector('th:nth-child(2)').ariaSort") == "descending"
        page.click("th:nth-child(1) button")
        assert page.run(FIRST_COLUMN % 0) == ["Grad-CAM", "Grad-CAM++", "Proposed"]
        assert page.run("return performance.getEntriesByType('resource').length") == 0
