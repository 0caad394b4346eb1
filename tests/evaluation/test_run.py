"""A whole run on a toy network: its rows and manifest, and what is refused."""

import json

import numpy as np
import pytest
import yaml
from evaluation.small_runs import PICTURES
from evaluation.small_runs import read
from PIL import Image
from typer.testing import CliRunner

from guidedcam_tf import metrics
from guidedcam_tf.cli import app
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.explainer import Explainer

pytestmark = pytest.mark.usefixtures("compiled")


def test_a_row_for_each_picture_method_metric_and_area(whole):
    rows = read_rows(whole)
    assert len(rows) == (PICTURES - 1) * 3 * 4 * 3
    assert not rows.duplicated(["image", "method", "metric", "area"]).any()
    (left_out,) = read_left_out(whole).itertuples()
    assert (left_out.image, left_out.reason) == ("05.png", "unreadable picture")
    assert "05.png" in left_out.message and left_out.methods == ""


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
        # The network takes pictures as they are, so 0 is black and no mean.
        mean = inputs.mean((1, 2), keepdims=True)
        for method in ("guided", "scorecam"):
            saliency = explainer.maps(inputs, [target], method)[0]
            masks = {"": saliency >= 0.5, "0.5": metrics.top_mask(saliency, 0.5)}
            for area, mask in masks.items():
                shown = mask[None, :, :, None]
                kept = explainer.predict(np.where(shown, inputs, mean))[0, target]
                rest = explainer.predict(np.where(shown, mean, inputs))[0, target]
                expected = {
                    "saliency_drop": max(0, clean[target] - kept) / clean[target],
                    "context_drop": max(0, clean[target] - rest) / clean[target],
                }
                for metric, value in expected.items():
                    found = rows[name, method, metric, area]
                    assert found == pytest.approx(value, abs=1e-4)


def test_a_run_from_before_a_key_existed_goes_on(whole, config_file, tmp_path):
    folder = evaluate(read(config_file, "methods=[guided]"), tmp_path, limit=2)
    raw = yaml.safe_load((folder / "config.yaml").read_text())
    del raw["protocol"]["fill"], raw["fit"]
    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    evaluate(read(config_file, "methods=[guided]"), tmp_path, limit=2)
    with pytest.raises(ValueError, match=r"another fit \('squash', now 'crop'\), protocol\.fill"):
        black = "protocol={fill: black, areas: [0.1, 0.5]}"
        evaluate(read(config_file, "methods=[guided]", "fit=crop", black), tmp_path, limit=2)


def test_the_command_line_says_how_far_a_run_is(whole):
    done = CliRunner().invoke(app, ["status", str(whole)])
    assert done.output == f"{whole}: 12 of 12 units done, 0 missing, 0 failed\n"


def test_the_status_of_no_run_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no run of guidedcam evaluate"):
        status(tmp_path)


def test_a_method_on_a_part_of_the_pictures(whole, config_file, tmp_path):
    part = "methods=[guided, gradcam, {name: scorecam, pictures: 5}]"
    folder = evaluate(read(config_file, part), tmp_path)
    rows, all_rows = read_rows(folder), read_rows(whole)
    found = rows[rows["method"] == "scorecam"]
    drawn = draw(read(config_file).data.open(0), 5, 0).ids
    assert set(found["image"]) == set(drawn) - {"05.png"}
    for method in ("guided", "scorecam"):
        keys = ["image", "metric", "area"]
        mine = rows[rows["method"] == method].set_index(keys)["value"]
        theirs = all_rows[all_rows["method"] == method].set_index(keys)["value"]
        np.testing.assert_allclose(mine, theirs[mine.index], atol=1e-5)
    assert "scorecam is measured on 5 of the pictures" in (folder / "table.md").read_text()


def test_a_metric_of_objects_needs_objects(config_file, tmp_path):
    config = read(config_file, "metrics=[saliency_drop, iou]")
    message = "metrics iou need objects, .* kind folder .* coco, coco2014, labels, voc, voc2012$"
    with pytest.raises(ValueError, match=message):
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
    with pytest.raises(ValueError, match=r"holds a run with another seed \(\d+, now 1\);"):
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
        "protocol": {"areas": []},
    }
    (tmp_path / "voc.yaml").write_text(yaml.safe_dump(config))
    folder = evaluate(read(tmp_path / "voc.yaml"), tmp_path, limit=2, explainer=resnet50)
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
