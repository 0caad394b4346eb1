"""Show which threshold of the saliency mask fits each number of one of the paper's tables.

    python scripts/fit_thresholds.py configs/table3_imagenet_resnet50.yaml --set data.root=FOLDER
    python scripts/fit_thresholds.py CONFIG --protocols --masks soft otsu --fills mean black blur

With --protocols it searches a grid of masks and fills instead, for the reading of the paper that is
nearest to its columns. Methods of many passes make it long; --set "methods=[gradcam, guided]" takes
only some.
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
    parser.add_argument("--protocols", action="store_true", help="search masks and fills")
    parser.add_argument("--masks", nargs="*", help="some of the grid's masks")
    parser.add_argument("--fills", nargs="*", help="some of mean, black and blur")
    arguments = parser.parse_args()
    if not (arguments.protocols or arguments.masks is arguments.fills is None):
        parser.error("--masks and --fills go with --protocols")
    try:
        config = read_config(arguments.config, EvaluationConfig, arguments.set)
        import_tensorflow()
        from guidedcam_tf.evaluation import protocols
        from guidedcam_tf.evaluation import thresholds

        out, limit = arguments.out, arguments.limit
        if not arguments.protocols:
            file = thresholds.sweep(config, out, limit=limit) / "thresholds.md"
        else:
            masks = protocols.MASKS if arguments.masks is None else arguments.masks
            fills = protocols.FILLS if arguments.fills is None else arguments.fills
            file = (
                protocols.search(config, out, masks=masks, fills=fills, limit=limit)
                / "protocols.md"
            )
    except InputError as error:
        parser.error(str(error))
    print(file.read_text("utf-8"))


if __name__ == "__main__":
    main()
