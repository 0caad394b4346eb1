"""A whole run on a toy network: rows, resuming after a kill, and what stops it."""

import fcntl
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
import yaml
from common import build_toy
from PIL import Image
from typer.testing import CliRunner

from guidedcam_tf import metrics
from guidedcam_tf.cli import app
from guidedcam_tf.configuring import read_config
from guidedcam_tf.data import loading
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.measuring.scoring import Scorer
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.work import lock
from guidedcam_tf.evaluation.work.executors import local
from guidedcam_tf.evaluation.work.lock import held
from guidedcam_tf.evaluation.work.lock import holder
from guidedcam_tf.evaluation.work.worker import Worker
from guidedcam_tf.explainer import Explainer

pytestmark = pytest.mark.usefixtures("compiled")

TABLES = ("table.csv", "table.md", "table.tex", "ranks.csv")
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
    shards = out / "toy" / "shards"
    run = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while run.poll() is None and len(list(shards.glob("*.json"))) < 5:
        time.sleep(0.01)
    time.sleep(0.1 * random.Random(3).random())
    run.send_signal(signal.SIGKILL)
    run.wait()
    before = {file: file.stat().st_mtime_ns for file in shards.glob("*.json")}
    assert len(before) >= 5
    folder = evaluate(read(config_file), out)
    assert {file: file.stat().st_mtime_ns for file in before} == before
    for table in ("rows.csv", "skipped.csv", *TABLES):
        assert (folder / table).read_bytes() == (whole / table).read_bytes()


def test_a_finished_run_is_not_computed_again(whole, config_file):
    before = {file: file.stat().st_mtime_ns for file in (whole / "shards").iterdir()}
    rows = (whole / "rows.csv").read_bytes()
    evaluate(read(config_file), whole.parent)
    assert {file: file.stat().st_mtime_ns for file in (whole / "shards").iterdir()} == before
    assert (whole / "rows.csv").read_bytes() == rows


def test_a_damaged_shard_is_computed_again(whole, config_file, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "toy")
    shards = sorted((folder / "shards").glob("*.json"))
    text = shards[3].read_text("utf-8")
    damaged = ("", text[:-9], text + text, text.replace('"seconds"', '"second"'), "[]")
    for file, content in zip(shards, damaged, strict=False):
        file.write_text(content, "utf-8")
    assert len(status(folder).missing) == len(damaged)
    evaluate(read(config_file), tmp_path)
    assert not status(folder).missing
    for table in ("rows.csv", "skipped.csv", *TABLES):
        assert (folder / table).read_bytes() == (whole / table).read_bytes()


def test_a_second_driver_is_refused_by_name_and_a_dead_one_does_not_block(config_file, tmp_path):
    code = (
        "import sys, time, pathlib; from guidedcam_tf.evaluation.work.lock import held\n"
        "with held(pathlib.Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    folder = tmp_path / "toy"
    folder.mkdir()
    other = subprocess.Popen([sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE)
    assert other.stdout.readline() == b"held\n"
    with pytest.raises(ValueError, match=rf"toy is worked on by process {other.pid} on \S+ since"):
        evaluate(read(config_file), tmp_path)
    other.kill()
    other.wait()
    with held(folder):
        assert holder(folder).startswith(f"process {os.getpid()} on ")
    assert holder(folder) is None


def test_a_look_at_a_folder_is_waited_for_and_no_second_driver_enters(tmp_path, monkeypatch):
    """`holder` locks a folder for a moment; a driver that starts then must not go on without."""
    look = (tmp_path / "lock").open("w")
    fcntl.flock(look, fcntl.LOCK_SH)
    ending = threading.Timer(0.3, look.close)
    ending.start()
    with held(tmp_path):
        assert look.closed
        assert holder(tmp_path).startswith(f"process {os.getpid()} on ")
    ending.join()

    monkeypatch.setattr(lock, "LOOK_SECONDS", 0.1)
    with (tmp_path / "lock").open() as look:
        fcntl.flock(look, fcntl.LOCK_SH)
        message = "only looks at it.*not ended in 0.1 seconds; stop"
        with pytest.raises(InputError, match=message), held(tmp_path):
            pytest.fail("it went on without the lock")


class PoisonedError(Exception):
    """What a method raises at one picture."""


@pytest.fixture
def poison(monkeypatch):
    """Let Score-CAM fail where it comes to one picture, or to any."""
    rows = Scorer.rows

    def poison(*images):
        def poisoned(self, chunk, group):
            found = {picture.id for picture in chunk.pictures}
            if "scorecam" in group.methods and (not images or found.intersection(images)):
                raise PoisonedError("no map")
            return rows(self, chunk, group)

        monkeypatch.setattr(Scorer, "rows", poisoned)

    return poison


def test_a_picture_that_fails_is_named_and_costs_only_itself(whole, config_file, tmp_path, poison):
    poison("07.png")
    folder = evaluate(read(config_file), tmp_path)
    (_, failed) = read_left_out(folder).itertuples(index=False)
    assert tuple(failed) == ("07.png", "failed", "PoisonedError: no map", "scorecam")
    rows, all_rows = read_rows(folder), read_rows(whole)
    lost = (all_rows["image"] == "07.png") & (all_rows["method"] == "scorecam")
    keys = ["image", "method", "metric", "area"]
    mine, theirs = (table.set_index(keys)["value"] for table in (rows, all_rows[~lost]))
    assert set(mine.index) == set(theirs.index)
    np.testing.assert_allclose(mine, theirs[mine.index], atol=1e-6)
    assert json.loads((folder / "manifest.json").read_text())["skipped"] == {
        "failed": 1,
        "unreadable picture": 1,
    }
    assert "scorecam: 1 pictures failed" in (folder / "table.md").read_text()


DEADLY = """
import os
import signal
from guidedcam_tf.data import loading

load_one = loading.load_one


def deadly(sample):
    if sample.picture.stem == "07" and os.getpid() != int(os.environ["PYTEST_PROCESS"]):
        os.kill(os.getpid(), signal.SIGKILL)
    return load_one(sample)


loading.load_one = deadly
"""


def test_a_picture_that_ended_the_process_is_left_out_by_the_next_call(
    whole, config_file, tmp_path, monkeypatch
):
    (tmp_path / "deadly_pictures.py").write_text(DEADLY)
    monkeypatch.setenv("PYTEST_PROCESS", str(os.getpid()))
    monkeypatch.setattr(loading, "load_one", loading.load_one)  # The module changes it here too.
    monkeypatch.syspath_prepend(tmp_path)
    config = read(config_file, "custom_objects=deadly_pictures", "methods=[guided, gradcam]")
    note, noted, compute = tmp_path / "toy" / local.NOTE, [], Worker.compute

    def dies(self, *units):
        noted.append(note.read_text())
        if len(noted) == 3:
            note.with_name("kept").write_text(note.read_text())
            raise KeyboardInterrupt
        return compute(self, *units)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Worker, "compute", dies)
        with pytest.warns(UserWarning, match="custom objects"):
            evaluate(config, tmp_path)
    assert noted == ["0 1", "1 2", "2 3"]
    assert not note.exists()
    note.with_name("kept").rename(note)  # As SIGKILL would have left it.
    with pytest.warns(UserWarning, match="custom objects"):
        folder = evaluate(config, tmp_path)
    assert not note.exists()
    assert status(folder).lines() == ["6 of 6 units done, 0 missing, 0 failed"]
    (deadly, _) = read_left_out(folder).sort_values("image", ascending=False).itertuples()
    assert (deadly.image, deadly.reason) == ("07.png", "ends the process")
    assert set(read_rows(folder)["image"]) == set(read_rows(whole)["image"]) - {"07.png"}


def test_a_run_from_before_a_key_existed_goes_on(whole, config_file, tmp_path):
    folder = evaluate(read(config_file, "methods=[guided]"), tmp_path, limit=2)
    raw = yaml.safe_load((folder / "config.yaml").read_text())
    del raw["protocol"]["fill"], raw["fit"]
    (folder / "config.yaml").write_text(yaml.safe_dump(raw))
    evaluate(read(config_file, "methods=[guided]"), tmp_path, limit=2)
    with pytest.raises(ValueError, match=r"another fit \('squash', now 'crop'\), protocol\.fill"):
        black = "protocol={fill: black, areas: [0.1, 0.5]}"
        evaluate(read(config_file, "methods=[guided]", "fit=crop", black), tmp_path, limit=2)


def test_units_that_fail_are_reported_and_tried_again(
    whole, config_file, tmp_path, poison, monkeypatch
):
    poison()
    folder = evaluate(read(config_file), tmp_path)
    found = status(folder)
    assert (len(found.done), len(found.missing), len(found.failed)) == (6, 0, 6)
    assert found.lines()[:2] == [
        "6 of 12 units done, 0 missing, 6 failed",
        "unit 000000-01 (scorecam) failed: PoisonedError: no map",
    ]
    assert set(read_rows(folder)["method"]) == {"guided", "gradcam"}
    assert "unit 000000-01 failed, so its pictures are missing" in (folder / "table.md").read_text()
    monkeypatch.undo()
    evaluate(read(config_file), tmp_path)
    assert status(folder).lines() == ["12 of 12 units done, 0 missing, 0 failed"]
    for table in ("rows.csv", *TABLES):
        assert (folder / table).read_bytes() == (whole / table).read_bytes()


def test_the_command_line_says_how_far_a_run_is(whole):
    done = CliRunner().invoke(app, ["status", str(whole)])
    assert done.output == f"{whole}: 12 of 12 units done, 0 missing, 0 failed\n"


def test_failed_units_end_with_exit_code_1(config_file, tmp_path, poison):
    poison()
    done = CliRunner().invoke(app, ["evaluate", str(config_file), "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "unit 000000-01 (scorecam) failed: PoisonedError: no map" in done.output
    assert "Drop for saliency zone" in done.output


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
