"""Small runs that tests share; conftest.py makes their pictures."""

from guidedcam_tf.configuring import read_config
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate

TABLES = ("table.csv", "table.md", "table.tex", "ranks.csv")
PICTURES = 12
WNIDS = ("n02123045", "n02124075", "n02099601")
NAMES = ("tabby", "Egyptian cat", "golden retriever")


def read(config_file, *settings):
    return read_config(config_file, EvaluationConfig, settings)


def run(root, name, data, model, names=NAMES, methods=("gradcam", "guided"), **keys):
    if names:
        (root / "names.txt").write_text("\n".join(names))
        keys["class_names"] = root / "names.txt"
    config = EvaluationConfig(name=name, data=data, model=str(model), methods=methods, **keys)
    return evaluate(config, root / "runs")


def values(folder):
    rows = read_rows(folder).sort_values(["image", "method", "metric", "area"])
    return rows[["image", "target", "method", "metric", "area", "value", "note"]]
