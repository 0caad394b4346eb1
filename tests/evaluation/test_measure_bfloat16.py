"""What bfloat16 changes, on a toy network: the table is that of the two runs."""

import importlib

import numpy as np
import pandas as pd
import pytest
from common import REPOSITORY

from guidedcam_tf.configuring import read_config
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.rows import read_rows

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture
def script(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return importlib.import_module("measure_bfloat16")


def test_pairs_are_of_objects_whatever_class_explains_them(script):
    def rows(*lines):
        columns = ["image", "class_name", "target", "method", "metric", "area", "value"]
        return pd.DataFrame(lines, columns=columns)

    drop, dice = ("guided", "saliency_drop", ""), ("guided", "dice", "")
    exact = rows(
        ("a", "canoe", 472, *drop, 0.5),
        ("b", "ox", 345, *drop, np.nan),
        ("a", "boat", 472, *dice, 0.2),
        ("a", "person", 1, *dice, 0.6),
    )
    rounded = rows(
        ("a", "breakwater", 460, *drop, 0.9),
        ("b", "ox", 345, *drop, np.nan),
        ("a", "boat", 472, *dice, 0.2),
        ("a", "person", 2, *dice, 0.7),
    )
    found = script._changes(exact, rounded, seed=0).set_index("metric")
    assert found["pictures"].to_dict() == {"saliency_drop": 1, "dice": 1}
    assert found["difference"].to_dict() == pytest.approx({"saliency_drop": 0.4, "dice": 0.05})
    assert found["changed"].to_dict() == {"saliency_drop": 0.5, "dice": 0.5}
    assert found["class_changed"].to_dict() == {"saliency_drop": 0.5, "dice": 0.5}


def test_each_line_is_the_mean_over_pictures_of_the_difference(script, paper_table, tmp_path):
    pytest.importorskip("openvino")
    change = ["metrics=[saliency_drop, context_drop]", "protocol.areas=[]"]
    config = read_config(paper_table, EvaluationConfig, change)
    found = pd.read_csv(script.measure(config, tmp_path / "runs"))
    assert len(found) == 4 and found["bfloat16"].isin(["computed", "simulated"]).all()
    exact = read_rows(tmp_path / "runs" / "toy_float32")
    rounded = read_rows(next((tmp_path / "runs").glob("toy_bfloat16*/rows.csv")).parent)
    for line in found.itertuples():
        mine, other = (
            each[(each["metric"] == line.metric) & (each["method"] == line.method)]["value"]
            for each in (exact, rounded)
        )
        assert mine.size == line.pictures == 3
        difference = other.to_numpy() - mine.to_numpy()
        assert (difference != 0).any()
        np.testing.assert_allclose(
            [line.float32, line.difference, line.changed],
            [mine.mean(), difference.mean(), (difference != 0).mean()],
            atol=1e-6,
        )
        assert line.ci_low <= line.difference <= line.ci_high
        assert 0.9 < line.correlation_lowest <= line.correlation_median <= 1
