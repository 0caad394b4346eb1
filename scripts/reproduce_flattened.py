"""Train two small networks, with a flattened and with a pooled head, and run the tables on both.

    python scripts/reproduce_flattened.py --out runs

After global pooling the proposed map is Grad-CAM's square. A flattened head, as VGG's, gives the
gradient a position, so there the two differ. Pictures are drawn; everything follows from the seed.
"""

import argparse
import json
import shutil
from pathlib import Path

from shapes import write_data_set
from vgg_like import HEADS
from vgg_like import train

from guidedcam_tf.configuring import read_config
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate

CONFIG = Path(__file__).resolve().parents[1] / "configs" / "flattened.yaml"


def main() -> None:
    """Draw, train and evaluate, or go on with it, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("runs"), help="the folder of runs")
    parser.add_argument("--pictures", type=int, default=4000, help="how many to train with")
    parser.add_argument("--test", type=int, default=200, help="how many to evaluate on")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], help="change a key: key=value")
    given = parser.parse_args()
    out, data = given.out, given.out / f"shapes_{given.seed}"
    write_data_set(data, given.test, 3000 + given.seed)
    for head in HEADS:
        model, record = (out / f"{head}_{given.seed}{suffix}" for suffix in (".keras", ".json"))
        if not record.exists():
            found = train(head, model, given.pictures, given.seed)
            record.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
        settings = [f"name={head}", f"model={model}", f"data.root={data}", f"seed={given.seed}"]
        settings += [f"class_names={data / 'class_names.txt'}", *given.set]
        folder = evaluate(read_config(CONFIG, EvaluationConfig, settings), out)
        shutil.copy(record, folder / "network.json")
        print(*((folder / name).read_text("utf-8") for name in ("network.json", "table.md")))


if __name__ == "__main__":
    main()
