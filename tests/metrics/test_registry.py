"""The registry: names, directions, errors; and that metrics stand alone."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from guidedcam_tf import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import get_metric
from guidedcam_tf.metrics import metric_of
from guidedcam_tf.metrics.registry import discover

# The rows of the paper's Table 1 with its arrows.
PAPER = [
    ("Increase for saliency zone", "↑"),
    ("Drop for context zone", "↑"),
    ("Pointing Game", "↑"),
    ("Dice", "↑"),
    ("IoU", "↑"),
    ("Drop for saliency zone", "↓"),
    ("Increase for context zone", "↓"),
]


def test_the_papers_metrics_come_first_with_its_arrows():
    assert [(metric.title, metric.arrow) for metric in METRICS.values()][:7] == PAPER


def test_of_the_others_these_are_better_when_lower():
    lower = {name for name in list(METRICS)[7:] if not METRICS[name].higher_is_better}
    assert lower == {"complexity", "deletion", "max_sensitivity"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strat": "mean"}, "'insertion' has no option 'strat'; it has start, step"),
        ({"start": "grey"}, "'insertion': option start: .*'blur' or 'mean'; received 'grey'"),
        ({"step": 0}, "'insertion': option step: .*greater than or equal to 1; received 0"),
    ],
)
def test_a_bad_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        get_metric("insertion", **options)


def test_a_label_names_the_metric_and_its_options():
    metric = get_metric("insertion", start="mean", step=50)
    assert metric.label == "insertion (start=mean, step=50)"
    assert metric_of(metric.label).title == "Insertion AUC (start=mean, step=50)"
    assert metric_of("dice") == METRICS["dice"]


def test_a_file_of_the_folder_is_all_that_a_new_metric_needs(tmp_path, monkeypatch):
    (tmp_path / "roughness.py").write_text(
        "from guidedcam_tf.metrics import PictureMap\n"
        "from guidedcam_tf.metrics.registry import metric\n"
        "@metric('roughness', 'Roughness', higher_is_better=False, evidence=PictureMap,\n"
        "        reference='here')\n"
        "def roughness(evidence):\n"
        "    return float(abs(evidence.saliency[1:] - evidence.saliency[:-1]).mean())\n"
    )
    monkeypatch.setattr("guidedcam_tf.metrics.__path__", [str(tmp_path)])
    before = dict(METRICS)
    try:
        discover([str(tmp_path)], "guidedcam_tf.metrics")
        evidence = SimpleNamespace(saliency=np.array([[0.0], [0.5], [0.0]]))
        assert get_metric("roughness").measure(evidence) == 0.5
        assert EvaluationConfig.model_validate(
            {
                "name": "try",
                "data": {"kind": "folder", "root": "."},
                "methods": ["guided"],
                "metrics": ["roughness"],
            }
        ).chosen_metrics == (METRICS["roughness"],)
    finally:
        METRICS.clear()
        METRICS.update(before)


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match=r"'salency_drop' is not known; nearest: saliency_drop"):
        get_metric("salency_drop")


def test_metrics_need_neither_tensorflow_nor_keras():
    code = "import sys, guidedcam_tf.metrics; print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
