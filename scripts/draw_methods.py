"""Draw the mosaics of docs/methods.md: all methods at ResNet50's default layer, or some at another.

Without --layer, the pictures of docs/images/methods, which scripts/draw_method_pages.py makes, are
put together. With --layer, the methods that explain a layer by one pass explain the mosaic that
`bash scripts/demo.sh` makes.
"""

import argparse
from pathlib import Path

import matplotlib.font_manager
import numpy as np
import tensorflow as tf
from PIL import Image
from PIL import ImageDraw
from PIL import ImageFont

import guidedcam_tf as gcam
from guidedcam_tf.figures.style import method_title
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.together import Together
from guidedcam_tf.overlay import overlay

REPOSITORY = Path(__file__).resolve().parent.parent
IMAGES = REPOSITORY / "docs/images"
TARGETS = ("Egyptian cat", "espresso")
COLUMNS = 4
CELL = 390
GAP = 10
TITLE = 22
"""Measures in pixels."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", help="[default: the default layer, from the pictures there are]")
    parser.add_argument("--picture", default=REPOSITORY / "demo/pictures/cat_and_coffee.png")
    options = parser.parse_args()
    if options.layer is None:
        files = {name: IMAGES / f"methods/{name}.jpg" for name in gcam.list_methods()}
        cells = {name: Image.open(file) for name, file in files.items() if file.exists()}
        out = IMAGES / "methods.jpg"
    else:
        cells = explained(options.picture, options.layer)
        out = IMAGES / f"methods_{options.layer.partition('_')[0]}.jpg"
    mosaic(cells).save(out, quality=85)
    print(f"{out.name}: {len(cells)} methods")


def explained(picture: Path, layer: str) -> dict[str, Image.Image]:
    """The overlays of both targets by every method of one gradient, side by side."""
    explainer = gcam.Explainer("resnet50", layer=layer)
    first = explainer.explain(picture, TARGETS, "gradcam")
    methods = [get_method(name) for name in gcam.list_methods()]
    chosen = [method for method in methods if isinstance(method, GradientMethod)]
    pipeline = explainer.pipeline
    found = pipeline.explain(
        Together(tuple(chosen)),
        pipeline.fitted(first.picture[None]),
        tf.constant(first.targets[None], tf.int32),
    )
    cells = {}
    for place, method in enumerate(chosen):
        maps = pipeline.finish(found[str(place)][0], first.picture.shape[:2]).numpy()
        overlays = [overlay(first.picture, saliency) for saliency in maps]
        cells[method.name] = Image.fromarray(np.hstack(overlays))
    return cells


def mosaic(cells: dict[str, Image.Image]) -> Image.Image:
    """Put pictures below their methods' titles, `COLUMNS` side by side."""
    font = ImageFont.truetype(matplotlib.font_manager.findfont("DejaVu Sans"), 14)
    height = max(CELL * cell.height // cell.width for cell in cells.values())
    rows = -(-len(cells) // COLUMNS)
    size = (GAP + COLUMNS * (CELL + GAP), GAP + rows * (TITLE + height + GAP))
    page = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(page)
    for place, (name, cell) in enumerate(cells.items()):
        left = GAP + place % COLUMNS * (CELL + GAP)
        top = GAP + place // COLUMNS * (TITLE + height + GAP)
        draw.text((left, top), method_title(name), fill="black", font=font)
        shown = cell.convert("RGB").resize((CELL, height), Image.Resampling.LANCZOS)
        page.paste(shown, (left, top + TITLE))
    return page


if __name__ == "__main__":
    main()
