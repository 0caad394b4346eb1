"""Draw the first methods on the mosaic that `bash scripts/demo.sh` makes, for docs/methods.md."""

import argparse
from pathlib import Path

from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.figures.grid import Grid
from guidedcam_tf.figures.grid import Panel
from guidedcam_tf.figures.grid import Row
from guidedcam_tf.figures.grid import draw_grids
from guidedcam_tf.figures.saving import save_figure
from guidedcam_tf.figures.style import method_title

TARGETS = ("Egyptian cat", "espresso")
COLUMNS = 4
DRAWN = 16


def main() -> None:
    repository = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layer", default="conv5_block3_out")
    parser.add_argument("--out", type=Path, default=repository / "docs/images/methods.jpg")
    options = parser.parse_args()
    picture = repository / "demo/pictures/cat_and_coffee.png"
    explainer = gcam.Explainer("resnet50", layer=options.layer)
    methods = [name for name in gcam.list_methods() if name != "faster_scorecam"]
    if not explainer.pipeline.view.pools_globally:
        methods.remove("cam")
    methods = methods[:DRAWN]
    maps = {name: explainer.explain(picture, TARGETS, name) for name in methods}
    grids = [grid_of(methods[start : start + COLUMNS], maps) for start in range(0, DRAWN, COLUMNS)]
    figure = draw_grids(grids, title=f"ResNet50, {options.layer}")
    large = options.out.with_suffix(".png")
    save_figure(figure, large)
    with Image.open(large) as image:
        image.convert("RGB").resize((1400, 1400 * image.height // image.width)).save(options.out)
    large.unlink()


def grid_of(methods: list[str], maps: dict[str, gcam.Explanation]) -> Grid:
    """One row a target, one column a method."""
    rows = [
        Row(target, tuple(Panel(maps[name].picture, maps[name].maps[i]) for name in methods))
        for i, target in enumerate(TARGETS)
    ]
    return Grid(tuple(method_title(name) for name in methods), tuple(rows))


if __name__ == "__main__":
    main()
