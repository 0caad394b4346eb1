"""Compare a runtime's maps with TensorFlow's, picture by picture, for every method and layer.

    python scripts/compare_runtimes.py PICTURES --layers conv5_block3_out conv4_block6_out
    python scripts/compare_runtimes.py PICTURES --precision bfloat16 --count 200 --methods guided

Prints a line a method and layer: the largest difference as a part of the map's largest value (by
size, as some maps have both signs), the median over pictures of that difference, and the lowest
rank correlation (Spearman) of the maps; all rows go to a CSV. Methods of many passes take minutes a
picture, so they get fewer passes, and pictures.
"""

import argparse
import csv
from collections.abc import Iterable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import spearmanr

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.data import open_folder
from guidedcam_tf.data import read_picture
from guidedcam_tf.errors import InputError

FEWER = {
    "ablationcam": {},
    "cameras": {"sizes": (224, 256)},
    "faster_scorecam": {},
    "fullgrad": {},
    "integrated_gradcam": {"steps": 4},
    "integrated_gradients": {"steps": 4},
    "occlusion": {"size": 56, "stride": 56},
    "rise": {"samples": 32},
    "smooth_fullgrad": {"samples": 2},
    "smoothgrad": {"samples": 2},
    "smoothgradcam++": {"samples": 2},
}
"""What the methods of many passes are compared with; those that are not here are left out."""

FIELDS = ("method", "layer", "picture", "target", "difference", "correlation")
BATCH = 10


def main() -> None:
    """Read the arguments, compare, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, help="a folder of pictures")
    parser.add_argument("--model", default="resnet50")
    parser.add_argument("--layers", nargs="+", help="by default the network's own")
    parser.add_argument("--methods", nargs="+", help="by default all")
    parser.add_argument("--runtime", default="openvino")
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--count", type=int, default=50, help="how many pictures")
    parser.add_argument("--few", type=int, default=2, help="how many for methods of many passes")
    parser.add_argument("--out", type=Path, default=Path("runtimes.csv"))
    arguments = parser.parse_args()
    try:
        import_tensorflow()
        print(" | ".join(("method", "layer", "pictures", "largest", "median", "correlation")))
        with arguments.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, FIELDS)
            writer.writeheader()
            for rows in _rows(arguments):
                writer.writerows(rows)
                file.flush()
                _print(rows)
    except InputError as error:
        parser.error(str(error))


def _rows(arguments: argparse.Namespace) -> Iterator[list[dict[str, object]]]:
    from guidedcam_tf.explainer import Explainer
    from guidedcam_tf.methods import METHODS

    live = Explainer(arguments.model)
    other = Explainer(arguments.model, runtime=arguments.runtime, precision=arguments.precision)
    samples = open_folder(arguments.pictures).samples[: arguments.count]
    files = [sample.picture for sample in samples]
    layers = arguments.layers or [live.layer]
    yield from compare(live, other, files, arguments.methods or METHODS, layers, arguments.few)


def compare(
    live: Any, other: Any, files: list[Any], methods: Iterable[str], layers: list[str], few: int = 0
) -> Iterator[list[dict[str, object]]]:
    """Yield the rows of one method at one layer of two explainers after another."""
    from guidedcam_tf.methods import METHODS
    from guidedcam_tf.methods.base import PixelMethod

    fitted = [live.pipeline.fitted(read_picture(file)[None]).numpy() for file in files]
    pictures = np.concatenate(fitted).clip(0, 255)
    targets = live.predict(pictures).argmax(axis=1)
    for name in methods:
        method = METHODS[name]
        if method.many_passes and name not in FEWER:
            continue
        for layer in layers[:1] if issubclass(method, PixelMethod) else layers:
            count = few if method.many_passes else len(files)
            given = (pictures[:count], targets[:count], name)
            options = {"raw": True, "batch_size": BATCH, **FEWER.get(name, {})}
            try:
                expected, found = (each.at(layer).maps(*given, **options) for each in (live, other))
            except InputError as error:
                print(f"{name} | {layer} | {error}", flush=True)
                continue
            yield [
                {
                    "method": name,
                    "layer": layer,
                    "picture": Path(file).name,
                    "target": int(target),
                    "difference": np.abs(one - right).max() / max(np.abs(right).max(), 1e-30),
                    "correlation": spearmanr(one.ravel(), right.ravel()).statistic,
                }
                for file, target, one, right in zip(files, targets, found, expected, strict=False)
            ]


def _print(rows: list[dict[str, object]]) -> None:
    differences = np.array([row["difference"] for row in rows], float)
    correlation = np.nanmin([row["correlation"] for row in rows])
    print(
        f"{rows[0]['method']} | {rows[0]['layer']} | {len(rows)} | {differences.max():.1e} | "
        f"{np.median(differences):.1e} | {correlation:.5f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
