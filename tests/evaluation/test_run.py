"""A whole run on a toy network: rows, resuming after a kill, and what stops it."""

import json
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import yaml
from common import build_toy
from PIL import Image

from guidedcam_tf import metrics
from guidedcam_tf.configuring import read_config
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.run import open_data
from guidedcam_tf.evaluation.run import read_rows
from guidedcam_tf.explainer import Explainer

TABLES = ("table.csv", "table.md", "table.tex")
PICTURES = 12


@pytest.fixture(scope="module")
def config_file(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation")
    build_toy("flatten").save(folder / "toy.keras")
    generator = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for i in range(PICTURES):
        picture = generator.integers(0, 256, (20 + i, 30, 3), np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{i:02}.png")
    (folder / "pictures" / "05.png").write_text("no picture")
    config = {
        "name": "toy",
        "data": {"kind": "folder", "root": str(folder / "pictures")},
        "model": str(folder / "toy.keras"),
        "methods": ["guided", "gradcam", "scorecam"],
        "metrics": ["saliency_increase", "context_drop", "saliency_drop", "context_increase"],
        "chunk": 2,
        "protocol": {"areas": [0.1, 0.5]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "config.yaml"


def read(config_file, *settings):
    return read_config(config_file, EvaluationConfig, settings)


@pytest.fixture(scope="module")
def whole(config_file):
    """A run that was never interrupted."""
    return evaluate(read(config_file), config_file.parent / "whole")


def test_a_row_for_each_picture_method_metric_and_area(whole):
    rows = read_rows(whole)
    measured = rows[rows["metric"] != ""]
    assert len(measured) == (PICTURES - 1) * 3 * 4 * 3
    assert not measured.duplicated(["image", "method", "metric", "area"]).any()
    (left_out,) = rows[rows["metric"] == ""].itertuples()
    assert left_out.image == "05.png"
    assert left_out.note.startswith("unreadable picture: ")


def test_the_manifest_says_what_was_done(whole):
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["layer"] == "conv2"
    assert manifest["skipped"] == {"unreadable picture": 1}
    assert manifest["protocol"]["object_class"] == "mapped"
    assert manifest["data"]["pictures"] == PICTURES
    assert set(manifest["seconds_by_method"]) == {"guided", "gradcam", "scorecam"}
    assert len(manifest["weights"]["sha256"]) == 64


def test_the_pictures_are_listed(whole):
    ids = read_list(whole / "pictures.txt")
    assert len(ids) == PICTURES
    manifest = json.loads((whole / "manifest.json").read_text())
    assert manifest["data"]["list_sha256"] in (whole / "pictures.txt.sha256").read_text()


def test_values_are_those_of_a_plain_loop(whole, config_file):
    config = read(config_file)
    explainer = Explainer(config.model)
    rows = read_rows(whole).set_index(["image", "method", "metric", "area"])["value"]
    for name in ("00.png", "07.png"):
        picture = np.asarray(Image.open(config.data.root / name))
        inputs = explainer.pipeline.fitted(picture[None]).numpy()
        clean = explainer.predict(inputs)[0]
        target = int(clean.argmax())
        for method in ("guided", "scorecam"):
            saliency = explainer.maps(inputs, [target], method)[0]
            masks = {"": saliency >= 0.5, "0.5": metrics.top_mask(saliency, 0.5)}
            for area, mask in masks.items():
                kept = explainer.predict(inputs * mask[None, :, :, None])[0, target]
                rest = explainer.predict(inputs * ~mask[None, :, :, None])[0, target]
                expected = {
                    "saliency_drop": max(0, clean[target] - kept) / clean[target],
                    "context_drop": max(0, clean[target] - rest) / clean[target],
                }
                for metric, value in expected.items():
                    found = rows[name, method, metric, area]
                    assert found == pytest.approx(value, abs=1e-4)


def test_a_run_that_is_killed_ends_with_the_same_tables(whole, config_file):
    out = config_file.parent / "killed"
    command = [
        sys.executable,
        "-m",
        "guidedcam_tf",
        "evaluate",
        str(config_file),
        "--out",
        str(out),
    ]
    rows = out / "toy" / "rows.csv"
    chance = random.Random(3)
    for wanted in (1, 4, 8):
        run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        journal = out / "toy" / "done.json"
        while run.poll() is None:
            done = json.loads(journal.read_text())["units"] if journal.exists() else 0
            if done >= wanted:
                break
            time.sleep(0.01)
        time.sleep(0.1 * chance.random())
        run.send_signal(signal.SIGKILL)
        run.wait()
        with rows.open("a") as file:
            file.write("half,a li")
    folder = evaluate(read(config_file), out)
    assert rows.read_bytes() == (whole / "rows.csv").read_bytes()
    for table in TABLES:
        assert (folder / table).read_bytes() == (whole / table).read_bytes()


def test_a_finished_run_is_not_computed_again(whole, config_file):
    before = (whole / "rows.csv").stat().st_mtime_ns
    evaluate(read(config_file), whole.parent)
    assert (whole / "rows.csv").stat().st_mtime_ns == before


def test_a_method_on_a_part_of_the_pictures(whole, config_file, tmp_path):
    part = "methods=[guided, gradcam, {name: scorecam, pictures: 5}]"
    folder = evaluate(read(config_file, part), tmp_path)
    rows, all_rows = read_rows(folder), read_rows(whole)
    found = rows[rows["method"] == "scorecam"]
    drawn = draw(open_data(read(config_file).data, 0), 5, 0).ids
    assert set(found["image"]) == set(drawn) - {"05.png"}
    for method in ("guided", "scorecam"):
        keys = ["image", "metric", "area"]
        mine = rows[rows["method"] == method].set_index(keys)["value"]
        theirs = all_rows[all_rows["method"] == method].set_index(keys)["value"]
        np.testing.assert_allclose(mine, theirs[mine.index], atol=1e-6)
    assert "scorecam is measured on 5 of the pictures" in (folder / "table.md").read_text()


def test_a_metric_of_objects_needs_objects(config_file, tmp_path):
    config = read(config_file, "metrics=[saliency_drop, iou]")
    with pytest.raises(ValueError, match="metrics iou need objects, which data of kind folder"):
        evaluate(config, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_measured_nothing_says_why(config_file, tmp_path):
    (tmp_path / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "pictures" / name).write_text("no picture")
    config = read(config_file, f"data.root={tmp_path / 'pictures'}")
    with pytest.raises(ValueError, match=r"nothing .* in 2 pictures \(unreadable picture: 2\)"):
        evaluate(config, tmp_path)
    objects = read(config_file, "protocol.zone_class=object")
    with pytest.raises(ValueError, match=r"in 12 pictures \(unreadable picture: 1\)"):
        evaluate(objects, tmp_path / "objects")


def test_another_configuration_is_refused(whole, config_file):
    with pytest.raises(ValueError, match="holds a run with another seed"):
        evaluate(read(config_file, "seed=1"), whole.parent)


def test_an_empty_folder_is_refused(config_file, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="holds no picture"):
        evaluate(read(config_file, f"data.root={tmp_path / 'empty'}"), tmp_path)


def test_voc_objects_on_the_real_network(resnet50, data_folder, tmp_path):
    config = {
        "name": "voc",
        "data": {"kind": "voc2012", "root": str(data_folder / "voc2012")},
        "methods": ["guided", "gradcam", "xgradcam"],
        "metrics": ["pointing_game", "dice", "iou", "saliency_drop"],
        "bootstrap": 0,
    }
    (tmp_path / "voc.yaml").write_text(yaml.safe_dump(config))
    folder = evaluate(read(tmp_path / "voc.yaml"), tmp_path, limit=4)
    rows = read_rows(folder)
    defined = rows[rows["value"].notna()]
    assert set(defined["metric"]) == {"pointing_game", "dice", "iou", "saliency_drop"}
    pivot = defined[defined["metric"] == "pointing_game"].pivot(
        index=["image", "class_name"], columns="method", values="value"
    )
    # The network pools globally after the layer, so the three maps have one peak.
    assert (pivot["gradcam"] == pivot["xgradcam"]).all()
    dice = defined[defined["metric"] == "dice"].set_index(["image", "class_name", "method"])
    iou = defined[defined["metric"] == "iou"].set_index(["image", "class_name", "method"])
    np.testing.assert_allclose(dice["value"], 2 * iou["value"] / (1 + iou["value"]), atol=1e-9)
