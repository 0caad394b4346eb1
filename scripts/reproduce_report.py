"""Make what docs/REPRODUCTION.md has beside the paper's tables, going on with what is there.

python scripts/reproduce_report.py --voc VOCdevkit/VOC2012 --coco COCO --imagenet FOLDER
"""

import argparse
import sys
from itertools import product
from pathlib import Path

from reproduce import CONFIGS
from reproduce import GUIDEDCAM
from reproduce import data_options
from reproduce import run

FIT = Path(__file__).resolve().parent / "fit_thresholds.py"
SETS = {"voc": "voc12", "coco": "coco14", "imagenet": "imagenet"}
LAYERS = ("conv5_block3_out", "conv5_block3_3_conv", "conv4_block6_out")
RUNTIMES = {LAYERS[0]: "tensorflow", LAYERS[2]: "openvino"}
FILLS = ("--fills", "mean", "black")
CHEAP = ("--set", "methods=[gradcam, gradcam++, xgradcam, relevance_cam, guided]")


def main() -> None:
    """Run one after the other; where one fails, go on, and end with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in SETS:
        parser.add_argument(f"--{name}", nargs="+", help="the data set's folder, and further keys")
    parser.add_argument("--out", default="runs", help="the folder of runs")
    given = parser.parse_args()
    failed = run(FIT.with_name("reproduce_flattened.py"), "--out", given.out)
    for name, stem in SETS.items():
        if (folder := getattr(given, name)) is None:
            continue
        where = (*data_options(folder), "--out", given.out)
        for kind, layer in product(("objects", "paired"), LAYERS):
            config = CONFIGS / f"{kind}_{stem}_resnet50.yaml"
            if config.exists():
                failed |= run(*GUIDEDCAM, "evaluate", config, *where, *at(layer, config.stem))
        table = CONFIGS / f"table3_{stem}_resnet50.yaml"
        for layer, runtime in RUNTIMES.items() if table.exists() else ():
            search = (*where, "--set", "data.sample=100", "--set", f"runtime={runtime}", *CHEAP)
            search += at(layer, table.stem)
            failed |= run(FIT, table, "--protocols", *FILLS, *search)
    sys.exit(bool(failed))


def at(layer: str, name: str) -> tuple[str, ...]:
    """What a run at a layer is called with."""
    named = name if layer == LAYERS[0] else f"{name}_{layer}"
    return ("--set", f"layer={layer}", "--set", f"name={named}")


if __name__ == "__main__":
    main()
