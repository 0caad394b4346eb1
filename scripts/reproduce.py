"""What the scripts reproduce_table1.py to reproduce_figure6.py share."""

import subprocess
import sys
from pathlib import Path

from guidedcam_tf.cli import main

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
GUIDEDCAM = ("-m", "guidedcam_tf")


def run(*arguments: str | Path) -> int:
    """Run Python with arguments, and return its exit code."""
    return subprocess.run([sys.executable, *arguments], check=False).returncode


def data_options(given: list[str]) -> list[str]:
    """A data set's folder, and further keys as `annotations=FILE`, as arguments of `evaluate`."""
    root, *keys = given
    return [part for key in (f"root={root}", *keys) for part in ("--set", f"data.{key}")]


def figure(number: int) -> None:
    """Run `guidedcam figure` on the figure's config, with the arguments of this program."""
    sys.argv[1:1] = ["figure", str(CONFIGS / f"figure{number}.yaml")]
    main()


def table(number: int) -> None:
    """Run `guidedcam evaluate` on the table's configs, with the arguments of this program.

    The configs are ResNet50's last block, its last convolution, and VGG16, which is left out with
    a line that says so where its weights are not available.
    """
    if "--help" in sys.argv:
        sys.exit(run(*GUIDEDCAM, "evaluate", "--help"))
    for config in sorted(CONFIGS.glob(f"table{number}_*.yaml")):
        if config.stem.endswith("vgg16") and run(*GUIDEDCAM, "weights", "fetch", "vgg16"):
            print(f"VGG16's weights are not here, so {config.stem} is left out")
            continue
        if code := run(*GUIDEDCAM, "evaluate", config, *sys.argv[1:]):
            sys.exit(code)
