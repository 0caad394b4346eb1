"""Pictures and units that fail, or end the process, cost only themselves and are named."""

import json
import os

import numpy as np
import pytest
from evaluation.small_runs import TABLES
from evaluation.small_runs import read
from typer.testing import CliRunner

from guidedcam_tf.cli import app
from guidedcam_tf.data import loading
from guidedcam_tf.evaluation.measuring.scoring import Scorer
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.status import status
from guidedcam_tf.evaluation.work.executors import local
from guidedcam_tf.evaluation.work.worker import Worker

pytestmark = pytest.mark.usefixtures("compiled")


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


def test_failed_units_end_with_exit_code_1(config_file, tmp_path, poison):
    poison()
    done = CliRunner().invoke(app, ["evaluate", str(config_file), "--out", str(tmp_path)])
    assert done.exit_code == 1
    assert "unit 000000-01 (scorecam) failed: PoisonedError: no map" in done.output
    assert "Drop for saliency zone" in done.output
