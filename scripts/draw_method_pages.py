"""Draw the picture of each method's page in docs/images/methods, with ResNet50's weights.

Every method explains the mosaic of `bash scripts/demo.sh` at the default layer, with its defaults
but for those options that docs/formulas.yaml gives for the picture. Maps of single pixels are drawn
in grey, without the mosaic.
"""

import argparse
from pathlib import Path

import numpy as np
import yaml
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.overlay import in_grey

REPOSITORY = Path(__file__).resolve().parent.parent
TARGETS = ("Egyptian cat", "espresso")
WIDTH, GAP = 840, 8
SLOW = ("scorecam", "rise", "prediction_difference", "sise", "ada_sise", "occlusion")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("methods", nargs="*", help="[default: those without a picture]")
    parser.add_argument("--out", type=Path, default=REPOSITORY / "docs/images/methods")
    options = parser.parse_args()
    pages = yaml.safe_load((REPOSITORY / "docs/formulas.yaml").read_text("utf-8"))
    missing = [
        name
        for name in pages
        if not METHODS[name].reads_attention and not (options.out / f"{name}.jpg").exists()
    ]
    options.out.mkdir(exist_ok=True)
    explainers = {
        runtime: gcam.Explainer("resnet50", runtime=runtime)
        for runtime in ("tensorflow", "openvino")
    }
    for name in options.methods or missing:
        explainer = explainers["openvino" if name in SLOW else "tensorflow"]
        chosen = pages[name].get("picture", {})
        explanation = explainer.explain(
            REPOSITORY / "demo/pictures/cat_and_coffee.png", TARGETS, name, **chosen
        )
        shown = [
            in_grey(saliency) if pages[name].get("grey") else explanation.overlay(place)
            for place, saliency in enumerate(explanation.maps)
        ]
        gap = np.full([len(shown[0]), GAP, 3], 255, np.uint8)
        image = Image.fromarray(np.hstack([shown[0], gap, shown[1]]))
        image.thumbnail((WIDTH, WIDTH))
        image.save(options.out / f"{name}.jpg", quality=80)
        print(name, flush=True)


if __name__ == "__main__":
    main()
