"""A forecast of a run's time from the units of another."""

import pytest
import yaml
from typer.testing import CliRunner

from guidedcam_tf.cli import app
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.forecast import forecast
from guidedcam_tf.evaluation.rows import Row
from guidedcam_tf.evaluation.status import write_plan
from guidedcam_tf.evaluation.work.units import Shard
from guidedcam_tf.evaluation.work.units import Shards
from guidedcam_tf.evaluation.work.units import plan_units


@pytest.fixture
def run(tmp_path):
    """Three units that took 9, 2 and 4 s for two pictures each, and three of a part."""
    units = plan_units(6, 2, [["guided", "gradcam"], ["scorecam"]])
    write_plan(tmp_path, units)
    methods = ["guided", "gradcam", {"name": "scorecam", "pictures": 7}]
    config = {
        "name": "run",
        "data": {"kind": "folder", "root": "pictures"},
        "model": "resnet50",
        "methods": methods,
        "metrics": ["iou", "dice"],
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    shards = Shards(tmp_path)
    for unit in units:
        images = (1, 2) if unit.group == 0 else (1,)
        rows = [
            Row(f"{unit.chunk}{image}", "cat", 0, method, metric, "", 1.0, "")
            for image in images
            for method in unit.methods
            for metric in ("iou", "dice")
        ]
        seconds = (9.0, 2.0, 4.0)[unit.chunk] if unit.group == 0 else 10.0
        shards.write(unit, Shard(rows, [], dict.fromkeys(unit.methods, seconds)))
    return tmp_path


def test_the_median_of_units_is_multiplied(run):
    found = forecast(run, 1000, workers=5)
    assert found.each == {"guided": 2, "gradcam": 2, "scorecam": 10}
    assert found.pictures == {"guided": 1000, "gradcam": 1000, "scorecam": 7}
    assert found.seconds == (2 * 1000 * 2 + 7 * 10) / 5
    done = CliRunner().invoke(app, ["status", str(run), "--forecast", "1000", "--workers", "5"])
    assert done.output.splitlines()[1:] == [
        "about 0:13:34 on 5 workers, and their start-up",
        "guided: 1,000 pictures of 2 s",
        "gradcam: 1,000 pictures of 2 s",
        "scorecam: 7 pictures of 10 s",
    ]


def test_a_run_of_which_nothing_is_done_is_no_basis(run):
    for file in (run / "shards").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="no unit that is done; there is nothing to forecast"):
        forecast(run, 10)
