"""The report: what is in it, and how it does in a real browser."""

import base64
import io
import json
import re
from functools import cache

import keras
import numpy as np
import pandas as pd
import pytest
import yaml
from browser import browser
from PIL import Image

from guidedcam_tf.data.folder import FolderConfig
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.samples import Label
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.tables.summary import by_class
from guidedcam_tf.evaluation.tables.summary import summarise
from guidedcam_tf.evaluation.tables.writing import write_csv
from guidedcam_tf.evaluation.tables.writing import write_tables
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.overlay import overlay
from guidedcam_tf.report.charts import bars_of
from guidedcam_tf.report.charts import lines_of
from guidedcam_tf.report.painting import Painter
from guidedcam_tf.report.painting import outlined
from guidedcam_tf.report.tables import tables_by_area
from guidedcam_tf.report.tables import tables_by_class
from guidedcam_tf.report.writing import write_report

VALUES = {"guided": (0.9, 0.1, 0.5), "gradcam": (0.2, 0.4, 0.6), "gradcam++": (0.3, 0.1, 0.2)}
MARKS = ["", "best", "", "", "second", "second", "", "", "best"]
NAMES = ("a<b>", "b", "c")


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Where the runs and reports of this file are."""
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def run(place, toy_file):
    """A run of three pictures, written by hand, whose data set is not here."""
    folder = place / "run"
    folder.mkdir()
    lines = [
        (name, "dog" if name == "c" else "cat", at, method, metric, area, value, "")
        for method, values in VALUES.items()
        for at, (name, value) in enumerate(zip(NAMES, values, strict=True))
        for metric, area in (
            *(("dice", ""), ("saliency_drop", "")),
            *(("saliency_drop", "0.1"), ("saliency_drop", "0.3")),
        )
    ]
    columns = ["image", "class_name", "target", "method", "metric", "area", "value", "note"]
    rows = pd.DataFrame(lines, columns=columns)
    rows.to_csv(folder / "rows.csv", index=False)
    summary = summarise(rows, methods=list(VALUES), resamples=10)
    write_tables(summary, folder, title="run", notes=[])
    write_csv(by_class(rows, summary), folder / "classes.csv")
    config = EvaluationConfig(
        name="run",
        data=FolderConfig(root=place / "nowhere"),
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
                "remarks": ["guided is measured on 2 of the pictures"],
            }
        )
    )
    return folder


@pytest.fixture(scope="module")
def figure(place):
    """A figure's folder, written by hand."""
    folder = place / "figure9"
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


@pytest.fixture(scope="module")
def html(run, figure, place):
    file = place / "report.html"
    write_report([run, figure], file, cases=1)
    return file


def captions_of_cases(text):
    return re.findall(r"<figcaption>([^<]+)</figcaption>", text.split("Best and worst cases")[1])


def test_it_is_self_contained(html):
    text = html.read_text("utf-8")
    assert not re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?(?!data:|#)[^"'\s>]+""", text)
    assert "http" not in text


def test_names_from_data_are_escaped(html):
    text = html.read_text("utf-8")
    assert "a&lt;b&gt;" in text and "a<b>" not in text


def test_best_and_worst_cases_are_the_rows(html):
    text = re.sub(r"\s+", " ", html.read_text("utf-8"))
    cases = captions_of_cases(text)
    assert cases[:2] == ["a&lt;b&gt;, cat: 0.9000", "b, cat: 0.1000"]
    assert cases[2:] == [
        "c, dog: 0.6000",
        "a&lt;b&gt;, cat: 0.2000",
        "a&lt;b&gt;, cat: 0.3000",
        "b, cat: 0.1000",
    ]
    assert "The cases are listed without pictures" in text


def test_mean_ranks_are_drawn_and_told(html):
    """Of Dice, Grad-CAM has the ranks 3, 1 and 1, and Proposed 1, 2.5 and 2."""
    (words,) = re.findall(r'alt="(Mean ranks[^"]+)"', html.read_text("utf-8"))
    assert "Dice: Grad-CAM first at 1.67" in words


def test_a_lower_drop_is_the_better_case(run, tmp_path):
    write_report([run], tmp_path / "r.html", cases=1, metric="saliency_drop")
    text = (tmp_path / "r.html").read_text("utf-8")
    assert captions_of_cases(text)[0] == "b, cat: 0.1000"


def test_the_best_the_second_and_ties_are_marked(html):
    marked = re.findall(r'<td data-key="([^"]+)"(?: class="(\w+)")?', html.read_text("utf-8"))
    # Dice: 0.5 of guided, 0.4 of gradcam, 0.2 of gradcam++; for the drop less is better.
    assert [mark for _, mark in marked[:9]] == MARKS


def test_ties_are_no_winners():
    lines = [("a", "m", "c", 0, method, "dice", "", 0.0, "") for method in ("x", "y", "z")]
    columns = ["image", "class_name", "x", "target", "method", "metric", "area", "value", "note"]
    summary = summarise(pd.DataFrame(lines, columns=columns), methods=["x", "y", "z"], resamples=0)
    (table,) = tables_by_area(summary)
    assert [line[1].mark for line in table.lines] == ["tied"] * 3


def test_methods_on_fewer_pairs_say_of_how_many():
    lines = [(name, "cat", 0, "x", "dice", "", 0.5, "") for name in "abc"]
    lines += [("a", "cat", 0, "y", "dice", "", 0.7, "")]
    columns = ["image", "class_name", "target", "method", "metric", "area", "value", "note"]
    rows = pd.DataFrame(lines, columns=columns)
    summary = summarise(rows, methods=["x", "y"], unranked=["y"], resamples=0)
    (table,) = tables_by_area(summary)
    assert [line[1].text for line in table.lines] == ["0.5000", "0.7000\n1 pairs"]
    (table,) = tables_by_class(by_class(rows, summary), {"cat"})
    assert [cell.text for cell in table.lines[0]] == ["cat", "3", "0.5000", "0.7000\n1 pairs"]


def test_classes_of_one_name_are_filtered_together():
    names = ["crane (134)", "crane (517)", "box (open)"]
    classes = pd.DataFrame(
        {"metric": "dice", "area": "", "method": "x", "class_name": names, "mean": 0.5, "pairs": 3}
    )
    (table,) = tables_by_class(classes, {"crane", "box (open)"})
    found = {line[0].text: line[0].class_name for line in table.lines}
    assert found == dict(zip(names, ["crane", "crane", "box (open)"], strict=True))


def test_what_the_table_is_said_to_lack_the_report_says_too(html):
    assert "guided is measured on 2 of the pictures" in html.read_text("utf-8")


def test_all_metrics_come_before_the_matched_areas(html):
    captions = re.findall(r"<caption>([^<]+)</caption>", html.read_text("utf-8"))
    assert captions[:2] == ["All metrics", "Masks of 10% of the picture"]
    assert captions[-1] == "The numbers behind the figure"


def test_bad_arguments_are_named(run, tmp_path):
    with pytest.raises(InputError, match=r"neither rows\.csv"):
        write_report([tmp_path], tmp_path / "r.html")
    with pytest.raises(InputError, match=r"metric 'iou' is not in run .*; it has dice"):
        write_report([run], tmp_path / "r.html", metric="iou")


@pytest.fixture(scope="module")
def open_page(tmp_path_factory):
    """A tab of a width and height, the same one each time."""
    with browser(tmp_path_factory.mktemp("browser")) as open_page:
        yield cache(open_page)


FIRST_COLUMN = """
return [...document.querySelector("table").tBodies[0].rows].map(row => row.cells[%d].innerText);
"""


@pytest.mark.parametrize("width", [390, 1440])
def test_it_works_in_a_browser(html, open_page, width):
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


@pytest.mark.parametrize("dark", [False, True])
def test_everyone_can_read_it(html, open_page, dark):
    page = open_page(390, 900)
    page.open(html, dark=dark)
    assert page.violations() == ""


VISIBLE = """
return [...document.querySelectorAll("%s")].filter(one => one.offsetParent)
  .map(one => one.innerText);
"""


def test_what_is_shown_can_be_chosen(html, unit_run, open_page, tmp_path):
    page = open_page(390, 900)
    page.open(html)
    page.click(".filter input[value=gradcam]")
    assert page.run(VISIBLE % "table tbody td:first-child")[:2] == ["Proposed", "Grad-CAM++"]
    assert "Grad-CAM" not in page.run(VISIBLE % ".bar span:first-child, h4, .legend li")
    page.run(
        "const s = document.querySelector('[name=class]'); s.value = 'dog';"
        "s.form.onchange(); return 0"
    )
    cases = page.run(VISIBLE % "figure figcaption")
    assert "c, dog: 0.6000" not in cases  # a case of Grad-CAM
    assert not [each for each in cases if ", cat" in each]
    assert page.run(VISIBLE % ".difference caption") == ["Minus Proposed, on the same pairs"]
    page.run("const s = document.querySelector('.reference'); s.value = 2; s.onchange(); return 0")
    assert page.run(VISIBLE % ".difference caption") == ["Minus Grad-CAM++, on the same pairs"]
    write_report([unit_run[0]], tmp_path / "cases.html", cases=1)
    page.open(tmp_path / "cases.html")
    shown = "return getComputedStyle(document.querySelector('.slide img + img')).clipPath"
    assert page.run(shown) == "inset(0px 0px 0px 50%)"
    page.run(
        "const s = document.querySelector('.slide input'); s.value = 80; s.oninput(); return 0"
    )
    assert page.run(shown) == "inset(0px 0px 0px 20%)"
    assert page.run("return document.documentElement.scrollWidth") == 390


def test_charts_are_drawn_to_scale():
    columns = ["metric", "area", "method", "ours", "ci_low", "ci_high"]
    lines = [
        ("dice", "", "guided", 0.5, 0.4, 0.8),
        ("dice", "", "gradcam", 0.2, np.nan, np.nan),
        ("saliency_drop", "0.1", "guided", 0.9, 0.8, 1.0),
        ("saliency_drop", "0.3", "guided", 0.3, 0.2, 0.4),
        ("saliency_drop", "0.2", "guided", 0.6, 0.5, 0.7),
    ]
    summary = pd.DataFrame(lines, columns=columns)
    (chart,) = bars_of(summary)
    first, second = chart.bars
    assert (first.start, first.width, first.low, first.span) == pytest.approx((0, 62.5, 50, 50))
    assert second.width == pytest.approx(25) and second.low is None and second.text == "0.200"
    (chart,) = lines_of(summary)
    assert chart.lines[0].points == "0.0,0.0 150.0,80.0 300.0,160.0"
    assert chart.ends == ("0.300", "0.900")
    assert [words for _, words in chart.marks] == ["10%", "20%", "30%"]


@pytest.fixture(scope="module")
def unit_run(place):
    """A run of a model that takes pictures through `preprocess`, whose data set is here."""
    root = place / "pictures"
    root.mkdir()
    generator = np.random.default_rng(3)
    for name in NAMES[1:]:
        Image.fromarray(generator.integers(0, 256, (16, 16, 3), np.uint8)).save(
            root / f"{name}.png"
        )
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x)))
    model.save(place / "own.keras")
    config = EvaluationConfig(
        name="own",
        data=FolderConfig(root=root),
        model=str(place / "own.keras"),
        preprocess="tf",
        methods=("guided", "gradcam"),
        metrics=("saliency_drop",),
        protocol={"areas": ()},
        bootstrap=0,
    )
    return evaluate(config, place / "runs"), config


def test_cases_are_drawn_with_the_preprocess_of_the_run(unit_run):
    _folder, config = unit_run
    record = {"image": "b.png", "class_name": "", "target": 1, "method": "gradcam", "value": 0.5}
    samples = {sample.id: sample for sample in config.data.open(0).samples}
    record["image"] = next(iter(samples))
    picture = samples[record["image"]].picture
    expected = Explainer(config.model, preprocess="tf").explain(picture, 1, "gradcam")
    other = Explainer(config.model).explain(picture, 1, "gradcam")
    assert np.abs(expected.maps - other.maps).max() > 0.1
    drawn = Painter(config).map(record)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(drawn.source.split(",")[1]))), float)
    distances = [
        np.abs(shown - overlay(each.picture, each.maps[0])).mean() for each in (expected, other)
    ]
    assert distances[0] < distances[1]  # what JPEG loses of noise is in both


def test_cases_are_drawn_with_the_range_of_their_files(tmp_path):
    inputs = keras.Input((16, 16, 1))
    keras.utils.set_random_seed(1)
    conv = keras.layers.Conv2D(4, 3, activation="relu", bias_initializer="random_normal")
    x = conv(keras.layers.Rescaling(1 / 65535)(inputs))
    keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Flatten()(x))).save(tmp_path / "d.keras")
    (tmp_path / "pictures").mkdir()
    values = np.random.default_rng(2).integers(0, 65536, (16, 16), np.uint16)
    Image.fromarray(values).save(tmp_path / "pictures" / "a.png")
    config = EvaluationConfig(
        name="deep",
        data=FolderConfig(root=tmp_path / "pictures"),
        model=str(tmp_path / "d.keras"),
        methods=("gradient",),
        metrics=("saliency_drop",),
    )
    file, explainer = tmp_path / "pictures" / "a.png", Explainer(config.model)
    of_file = explainer.explain(file, [0, 1, 2], "gradient")
    of_shown = explainer.explain(of_file.picture, [0, 1, 2], "gradient")
    peaks, others = (each.maps.reshape(3, -1).argmax(axis=1) for each in (of_file, of_shown))
    target = int(np.flatnonzero(peaks != others)[0])
    row, column = np.unravel_index(peaks[target], (16, 16))
    record = {"image": "a.png", "class_name": "", "target": target, "method": "gradient"}
    words = Painter(config).map(record).alternative
    assert f"{column / 16:.0%} from the left and {row / 16:.0%} from the top" in words


def test_one_picture_is_shown_by_all_methods(unit_run, tmp_path):
    folder, _config = unit_run
    write_report([folder], tmp_path / "r.html", cases=1)
    text = re.sub(r"\s+", " ", (tmp_path / "r.html").read_text("utf-8"))
    compared = text.split("One picture by all methods")[1].split("Best and worst")[0]
    captions = re.findall(r"<figcaption>([^<]+)</figcaption>", compared)
    assert len(captions) == 3 and compared.count("<img") == 3
    assert captions[1].startswith("Proposed: ") and captions[2].startswith("Grad-CAM: ")
    assert "mask: threshold 0.5" in text


def test_an_object_has_a_white_line_around_it():
    mask = np.zeros((20, 20), bool)
    mask[5:12, 6:15] = True
    loaded = Loaded("a", np.full((20, 20, 3), 90, np.uint8), (Label("cat", (0,), mask=mask),))
    drawn = outlined(loaded.picture, loaded, {"class_name": "cat"})
    assert (drawn[5, 6:15] == 255).all() and (drawn[11, 6:15] == 255).all()
    assert (drawn[8, 9:12] == 90).all() and (drawn[:2] == 90).all()
    assert (outlined(loaded.picture, loaded, {"class_name": "dog"}) == 90).all()


def test_the_folder_above_a_run_names_the_runs_in_it(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text("{}")
    with pytest.raises(InputError, match=rf"the runs in it are {tmp_path / 'mine'}"):
        write_report([tmp_path], tmp_path / "r.html")
