"""The scripts that make the tables: what they run, and what they leave out."""

import importlib
import json
import runpy
import shutil
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from common import REPOSITORY

from guidedcam_tf.cli import main
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.status import write_plan
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Shards
from guidedcam_tf.evaluation.work.units import plan_units

pytestmark = pytest.mark.usefixtures("compiled")

SCRIPTS = REPOSITORY / "scripts"


def run(script, *arguments):
    command = [sys.executable, SCRIPTS / script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def here(monkeypatch, capfd):
    """Run a script and the commands that it runs in this process: its exit code, and its words."""
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import reproduce

    def command(line, **_):
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as left:
            said = map(str, line[1 + len(reproduce.GUIDEDCAM) :])
            patch.setattr(sys, "argv", ["guidedcam", *said])
            main()
        return subprocess.CompletedProcess(line, left.value.code or 0)

    def call(script, *arguments):
        monkeypatch.setattr(reproduce, "subprocess", SimpleNamespace(run=command))
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        try:
            runpy.run_path(str(SCRIPTS / script), run_name="__main__")
            code = 0
        except SystemExit as left:
            code = left.code
        return code, *capfd.readouterr()

    return call


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("reproduce*.py")), ids=lambda s: s.stem)
def test_scripts_are_short(script):
    assert len(script.read_text().splitlines()) < 50


@pytest.mark.parametrize("number", [1, 2, 3])
def test_each_table_has_a_script(number):
    assert f"reproduce.table({number})" in (SCRIPTS / f"reproduce_table{number}.py").read_text()


def test_a_table_s_script_says_what_is_missing(here):
    code, _, said = here("reproduce_table1.py", "--set", "data.root=/nowhere")
    assert code == 2
    assert "/nowhere" in said and "Traceback" not in said


def test_fit_thresholds_shows_a_mistake_in_a_line():
    done = run("fit_thresholds.py", REPOSITORY / "configs" / "table3_imagenet_resnet50.yaml")
    assert done.returncode == 2
    assert "key data.root is missing (--set data.root=... gives it)" in done.stderr
    assert "Traceback" not in done.stderr
    done = run("fit_thresholds.py", "config.yaml", "--masks", "soft")
    assert done.returncode == 2
    assert "--masks and --fills go with --protocols" in done.stderr


def test_everything_that_is_not_given_is_left_out(tmp_path):
    done = run("reproduce_all.py", "--out", tmp_path)
    assert done.returncode == 0
    for line in ("--voc is not given, so table 1", "neither --demo nor --figures is given"):
        assert line in done.stdout


@pytest.mark.slow
def test_table_2_at_both_layers(resnet50, data_folder, here, monkeypatch, tmp_path):
    coco = data_folder / "coco"
    (tmp_path / "annotations").mkdir()
    shutil.copy(coco / "instances.json", tmp_path / "annotations" / "instances_val2014.json")
    (tmp_path / "val2014").symlink_to(coco / "images")
    few = ["--limit", "1", "--set", "methods=[gradcam, guided]", "--set", "protocol.areas=[0.1]"]
    # Nobody answers there, so that there is no wait for VGG16's weights.
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    given = ("--set", f"data.root={tmp_path}", "--out", tmp_path / "runs", *few)
    _, shown, said = here("reproduce_table2.py", *given)
    made = sorted(file.parent.name for file in (tmp_path / "runs").glob("*/table.md"))
    assert made[:2] == ["table2_coco14_resnet50", "table2_coco14_resnet50_last_conv"], said
    if len(made) == 2:
        assert "VGG16's weights are not here, so table2_coco14_vgg16 is left out" in shown


def test_tables_are_kept_without_rows(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    for name in ("table.csv", "table.tex", "comparison.csv", "manifest.json", "rows.csv"):
        (tmp_path / "runs" / "mine" / name).write_text(name)
    importlib.import_module("keep_results").keep(tmp_path / "runs" / "mine", tmp_path / "kept")
    kept = {file.name: file.read_text() for file in (tmp_path / "kept" / "mine").iterdir()}
    assert sorted(kept) == ["comparison.csv", "manifest.json", "table.csv", "table.tex"]
    assert all(name == text for name, text in kept.items())


def test_what_a_run_no_longer_has_is_kept_no_longer(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    run, kept = tmp_path / "runs" / "mine", tmp_path / "kept" / "mine"
    for folder, names in ((run, ["table.csv"]), (kept, ["table.csv", "table.tex", "notes.txt"])):
        folder.mkdir(parents=True)
        for name in names:
            (folder / name).write_text(folder.parent.name)
    importlib.import_module("keep_results").keep(run, kept.parent)
    assert {file.name: file.read_text() for file in kept.iterdir()} == {
        "table.csv": "runs",
        "notes.txt": "kept",
    }


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.py")), ids=lambda script: script.stem)
def test_help_says_what_it_is_and_does_nothing_else(script, here):
    if "__main__" not in script.read_text():
        pytest.skip("is imported by others")
    code, shown, said = here(script.name, "--help")
    assert code == 0 and not said and "usage:" in shown.lower()


def test_only_what_is_finished_is_kept(here, tmp_path):
    run = tmp_path / "mine"
    run.mkdir()
    code, _, said = here("keep_results.py", run)
    assert code == 2 and f"{run} has no table: expected the folder of a run" in said
    (run / "table.csv").write_text("metric\n")
    (run / "units.csv").write_text("chunk,group,methods\n0,0,guided\n")
    code, _, said = here("keep_results.py", run)
    assert code == 2 and "is not finished: 0 of 1 units done, 1 missing, 0 failed" in said


def test_tables_that_are_older_than_the_last_units_are_not_kept(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    check = importlib.import_module("keep_results").check
    units = plan_units(2, 1, [["guided"]])
    for unit in units:
        Shards(tmp_path).write(unit, Shard())
    write_plan(tmp_path, units)
    (tmp_path / "table.csv").write_text("metric\n")
    (tmp_path / "manifest.json").write_text('{"units_made_with": {"keras 3": 1}}')
    with pytest.raises(InputError, match=r"has tables of 1 of its 2 units, .*; run the same comma"):
        check(tmp_path)
    (tmp_path / "manifest.json").write_text('{"units_made_with": {"keras 3": 1, "keras 4": 1}}')
    check(tmp_path)


def test_further_keys_of_a_data_set_follow_its_folder(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    given = importlib.import_module("reproduce").data_options(["COCO", "annotations=val.json"])
    assert given == ["--set", "data.root=COCO", "--set", "data.annotations=val.json"]


@pytest.fixture
def shapes(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("shapes")


def test_shapes_have_exact_masks_and_follow_from_the_seed(shapes):
    """What is drawn alike but for one shape's colour differs in its mask, and nowhere else."""
    for seed in range(5):
        pixels, masks = shapes.picture(np.random.default_rng(seed))
        again, _ = shapes.picture(np.random.default_rng(seed))
        assert np.array_equal(pixels, again)
        assert 2 <= len(masks) <= 3 and set(masks) <= set(shapes.CLASSES)
        assert np.sum([*masks.values()], axis=0).max() == 1
    for name in shapes.CLASSES:
        mask = shapes.shape(name, (24.0, 24.0), 9.0, 0.3)
        assert 60 < mask.sum() < 300
        assert mask[24, 24] == (name != "ring")


def test_a_network_is_trained_and_measured(shapes, monkeypatch, tmp_path):
    script = importlib.import_module("reproduce_flattened")
    monkeypatch.setattr(script, "HEADS", ("flattened",))
    monkeypatch.setattr(importlib.import_module("vgg_like"), "EPOCHS", 1)
    few = ["--pictures", "32", "--test", "2", "--set", "metrics=[pointing_game]"]
    few += ["--set", "methods=[gradcam, guided]", "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["reproduce_flattened.py", *few])
    script.main()
    pictures = (tmp_path / "shapes_0" / "labels.csv").read_text("utf-8").splitlines()
    quality = json.loads((tmp_path / "flattened_0.json").read_text("utf-8"))
    assert 0 <= quality["accuracy"] <= 1 and quality["pictures"] == 32
    rows = (tmp_path / "flattened" / "rows.csv").read_text("utf-8").splitlines()
    assert len(rows) - 1 == 2 * (len(pictures) - 1)
