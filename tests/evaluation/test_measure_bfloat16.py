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


def test_each_line_is_the_mean_over_pictures_of_the_difference(paper_table, tmp_path, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    script = importlib.import_module("measure_bfloat16")
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
