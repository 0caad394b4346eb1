"""Draw all methods on the mosaic that `bash scripts/demo.sh` makes, for docs/methods.md."""

import argparse
from itertools import zip_longest
from pathlib import Path
from typing import Any

from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import GridRow
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.saving import save_figure
from guidedcam_tf.figures.style import method_title
from guidedcam_tf.methods import get_method

TARGETS = ("Egyptian cat", "espresso")
COLUMNS = 7
WIDTH = 1600
"""Of the drawing, in pixels."""

FEWER: dict[str, dict[str, Any]] = {
    "sise": {"mu": 0.2},
    "rise": {"samples": 500},
    "prediction_difference": {"samples": 1},
}
"""Options that save time, and that docs/methods.md tells of."""


def main() -> None:
    repository = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", default="conv5_block3_out")
    parser.add_argument("--picture", default=repository / "demo/pictures/cat_and_coffee.png")
    parser.add_argument("--one-pass", action="store_true", help="layers, by one pass, alone")
    parser.add_argument("--out", type=Path, default=repository / "docs/images/methods.jpg")
    options = parser.parse_args()
    explainer = gcam.Explainer("resnet50", layer=options.layer)
    methods = [get_method(name, **FEWER.get(name, {})) for name in gcam.list_methods()]
    if options.one_pass:
        methods = [method for method in methods if method.needs_layer and not method.many_passes]
    if not explainer.pipeline.view.pools_globally:
        methods = [method for method in methods if method.name != "cam"]
    found = [explainer.explain(options.picture, TARGETS, method) for method in methods]
    columns = [("The picture", [Panel(found[0].picture)] * len(TARGETS))]
    for each in found:
        panels = [Panel(each.picture, saliency) for saliency in each.maps]
        columns.append((method_title(each.method), panels))
    grids = [grid_of(columns[start : start + COLUMNS]) for start in range(0, len(columns), COLUMNS)]
    figure = draw_grids(grids, title=f"ResNet50, {options.layer}")
    large = options.out.with_suffix(".png")
    save_figure(figure, large)
    with Image.open(large) as image:
        size = (WIDTH, WIDTH * image.height // image.width)
        image.convert("RGB").resize(size, Image.Resampling.LANCZOS).save(options.out, quality=85)
    large.unlink()


def grid_of(columns: list[tuple[str, list[Panel]]]) -> Grid:
    """One row a target, one column a method, and empty columns up to `COLUMNS`."""
    titles = [title for title, _ in columns]
    rows = [
        GridRow(target, tuple(panel for panel, _ in zip_longest(panels, range(COLUMNS))))
        for target, panels in zip(
            TARGETS, zip(*(each for _, each in columns), strict=True), strict=True
        )
    ]
    return Grid((*titles, *[""] * (COLUMNS - len(titles))), tuple(rows))


if __name__ == "__main__":
    main()
