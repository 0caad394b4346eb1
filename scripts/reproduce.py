"""What the scripts reproduce_figure1.py to reproduce_figure6.py share."""

import sys
from pathlib import Path

from guidedcam_tf.cli import main

CONFIGS = Path(__file__).resolve().parent.parent / "configs"


def figure(number: int) -> None:
    """Run `guidedcam figure` on the figure's config, with the arguments of this program."""
    sys.argv[1:1] = ["figure", str(CONFIGS / f"figure{number}.yaml")]
    main()
