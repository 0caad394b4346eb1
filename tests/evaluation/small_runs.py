"""A small run that tests share; conftest.py makes it."""

from guidedcam_tf.configuring import read_config
from guidedcam_tf.evaluation.config import EvaluationConfig

TABLES = ("table.csv", "table.md", "table.tex", "ranks.csv")
PICTURES = 12


def read(config_file, *settings):
    return read_config(config_file, EvaluationConfig, settings)
