"""The registry: names, directions, errors; and that metrics stand alone."""

import subprocess
import sys

import pytest

from guidedcam_tf import InputError
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import get_metric

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


def test_of_the_others_only_deletion_is_better_when_lower():
    assert [name for name in list(METRICS)[7:] if not METRICS[name].higher_is_better] == [
        "deletion"
    ]


def test_an_unknown_name_offers_the_nearest():
    with pytest.raises(InputError, match=r"'salency_drop' is not known; nearest: saliency_drop"):
        get_metric("salency_drop")


def test_metrics_need_neither_tensorflow_nor_keras():
    code = "import sys, guidedcam_tf.metrics; print({'tensorflow', 'keras'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
