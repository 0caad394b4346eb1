"""Make what docs/REPRODUCTION.md has beside the paper's tables, going on with what is there.

python scripts/reproduce_report.py --voc VOCdevkit/VOC2012 --coco COCO --imagenet FOLDER
"""

import argparse
import subprocess
import sys
from itertools import product
from pathlib import Path

from reproduce import CONFIGS

FIT = Path(__file__).resolve().parent / "fit_thresholds.py"
SETS = {"voc": "voc12", "coco": "coco14", "imagenet": "imagenet"}
LAYERS = ("conv5_block3_out", "conv5_block3_3_conv", "conv4_block6_out")
CHEAP = ("--set", "methods=[gradcam, gradcam++, xgradcam, relevance_cam, guided]")


def main() -> None:
    """Run one after the other, and stop at the first that fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in SETS:
        parser.add_argument(f"--{name}", metavar="FOLDER", help="the data set")
    parser.add_argument("--out", default="runs", help="the folder of runs")
    given = parser.parse_args()
    run(FIT.with_name("reproduce_flattened.py"), "--out", given.out)
    for name, stem in SETS.items():
        if (root := getattr(given, name)) is None:
            continue
        where = ("--set", f"data.root={root}", "--out", given.out)
        for kind, layer in product(("objects", "paired"), LAYERS):
            config = CONFIGS / f"{kind}_{stem}_resnet50.yaml"
            if config.exists():
                changes = ("--set", f"layer={layer}", "--set", f"name={config.stem}_{layer}")
                run("-m", "guidedcam_tf", "evaluate", config, *where, *changes)
        if name == "imagenet":
            table = CONFIGS / "table3_imagenet_resnet50.yaml"
            run(FIT, table, "--protocols", *where, "--set", "data.sample=100", *CHEAP)


def run(*arguments: str | Path) -> None:
    """Run Python with arguments, and stop with its exit code where it fails."""
    if code := subprocess.run([sys.executable, *arguments], check=False).returncode:
        sys.exit(code)


if __name__ == "__main__":
    main()
