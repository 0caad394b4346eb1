"""The threshold that fits the paper's numbers, by hand and on a toy network."""

import math

import pandas as pd
import pytest

from guidedcam_tf.configuring import read_config
from guidedcam_tf.data import read_list
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation import thresholds
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate


def table(ours):
    return pd.DataFrame(
        {
            "metric": "saliency_drop",
            "method": list(ours),
            "ours": list(ours.values()),
            "paper": [0.5, 0.9, 0.2],
        }
    )


def test_the_fit_is_where_the_line_crosses_the_paper_s_number():
    fitted = thresholds.fit(
        {
            0.1: table({"guided": 0.2, "gradcam": 0.1, "layercam": 0.2}),
            0.3: table({"guided": 0.4, "gradcam": 0.3, "layercam": 0.3}),
            0.5: table({"guided": 0.6, "gradcam": 0.5, "layercam": 0.1}),
        }
    ).set_index("method")
    # guided: from 0.4 at 0.3 to 0.6 at 0.5, so 0.5 is met at 0.4; layercam: exactly at the first.
    assert math.isclose(fitted.loc["guided", "fits"], 0.4)
    assert math.isnan(fitted.loc["gradcam", "fits"])
    assert fitted.loc["layercam", "fits"] == 0.1
    assert fitted.loc["guided", ["0.1", "0.3", "0.5"]].tolist() == [0.2, 0.4, 0.6]


def test_a_sweep_has_the_tables_of_single_runs(paper_table, tmp_path):
    read = read_config(paper_table, EvaluationConfig)
    folder = thresholds.sweep(read, tmp_path / "runs")
    swept = pd.read_csv(folder / "thresholds.csv").set_index("method")
    single = read_config(
        paper_table,
        EvaluationConfig,
        ["protocol.mask.value=0.3", "name=single", "metrics=[saliency_drop]"],
    )
    alone = pd.read_csv(evaluate(single, tmp_path) / "table.csv")
    alone = alone[alone["area"].isna() & (alone["metric"] == "saliency_drop")].set_index("method")
    for method in ("guided", "gradcam"):
        assert swept.loc[method, "0.3"] == alone.loc[method, "ours"]
    assert set(swept["metric"]) == {"saliency_drop"}
    assert read_list(folder / "pictures.txt") == ("0.png", "1.png", "2.png")
    assert "*fits*" in (folder / "thresholds.md").read_text()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("paper=null", "none of its methods' metrics saliency_drop; give paper: "),
        ("methods=[hirescam]", "none of its methods' metrics saliency_drop; give paper: "),
        (
            "metrics=[pointing_game]",
            "no metric of pointing_game depends on the mask's threshold; add some of .*, dice, iou",
        ),
    ],
)
def test_a_sweep_that_would_fit_nothing_is_refused(paper_table, tmp_path, setting, message):
    with pytest.raises(InputError, match=message):
        thresholds.sweep(read_config(paper_table, EvaluationConfig, [setting]), tmp_path / "runs")
    assert not (tmp_path / "runs").exists()
