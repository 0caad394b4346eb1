"""Show which threshold of the saliency mask fits each number of one of the paper's tables.

    python scripts/fit_thresholds.py configs/table3_imagenet_resnet50.yaml --set data.root=FOLDER

Methods of many passes make it long; --set "methods=[gradcam, guided]" takes only some.
"""

import argparse
from pathlib import Path

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.configuring import read_config
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig


def main() -> None:
    """Read the arguments, run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("config", type=Path, help="a table's YAML file")
    parser.add_argument("--set", action="append", default=[], help="change a key: key=value")
    parser.add_argument("--limit", type=int, help="take only so many pictures")
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder of runs")
    arguments = parser.parse_args()
    try:
        config = read_config(arguments.config, EvaluationConfig, arguments.set)
        import_tensorflow()
        from guidedcam_tf.evaluation.thresholds import sweep

        folder = sweep(config, arguments.out, limit=arguments.limit)
    except InputError as error:
        parser.error(str(error))
    print((folder / "thresholds.md").read_text("utf-8"))


if __name__ == "__main__":
    main()
