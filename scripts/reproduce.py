"""What the scripts reproduce_table1.py to reproduce_figure6.py share."""

import subprocess
import sys
from pathlib import Path

from guidedcam_tf.cli import main

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
GUIDEDCAM = [sys.executable, "-m", "guidedcam_tf"]


def figure(number: int) -> None:
    """Run `guidedcam figure` on the figure's config, with the arguments of this program."""
    sys.argv[1:1] = ["figure", str(CONFIGS / f"figure{number}.yaml")]
    main()


def table(number: int) -> None:
    """Run `guidedcam evaluate` on the table's configs, with the arguments of this program.

    The configs are ResNet50's last block, its last convolution, and VGG16, which is left out with
    a line that says so where its weights are not available.
    """
    for config in sorted(CONFIGS.glob(f"table{number}_*.yaml")):
        if config.stem.endswith("vgg16"):
            fetched = subprocess.run([*GUIDEDCAM, "weights", "fetch", "vgg16"], check=False)
            if fetched.returncode:
                print(f"VGG16's weights are not here, so {config.stem} is left out")
                continue
        done = subprocess.run([*GUIDEDCAM, "evaluate", str(config), *sys.argv[1:]], check=False)
        if done.returncode:
            sys.exit(done.returncode)
