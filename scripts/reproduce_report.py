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
SEARCH = (CONFIGS / "search_imagenet_resnet50.yaml", "--protocols", "--fills", "mean", "black")
SEARCHED = {LAYERS[0]: (), LAYERS[2]: ("--set", "runtime=openvino")}
KINDS = {"[op][ab]*": LAYERS, "presets": LAYERS[:1], "scorecam": LAYERS[:1]}


def main() -> None:
    """Run one after the other; where one fails, go on, and end with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in SETS:
        parser.add_argument(f"--{name}", nargs="+", help="the data set's folder, and further keys")
    parser.add_argument("--out", default="runs", help="the folder of runs")
    given = parser.parse_args()
    failed = run(FIT.with_name("reproduce_flattened.py"), "--out", given.out)
    for name in filter(vars(given).get, SETS):
        where = (*data_options(vars(given)[name]), "--out", given.out)
        for kind, layers in KINDS.items():
            for config, layer in product(CONFIGS.glob(f"{kind}_{SETS[name]}_*.yaml"), layers):
                failed |= run(*GUIDEDCAM, "evaluate", config, *where, *at(layer, config.stem))
        for layer, runtime in SEARCHED.items() if name == "imagenet" else ():
            failed |= run(FIT, *SEARCH, *where, *at(layer, "table3_imagenet_resnet50"), *runtime)
    sys.exit(bool(failed))


def at(layer: str, name: str) -> tuple[str, ...]:
    """What a run at a layer is called with."""
    run_name = name if layer == LAYERS[0] else f"{name}_{layer}"
    return ("--set", f"layer={layer}", "--set", f"name={run_name}")


if __name__ == "__main__":
    main()
