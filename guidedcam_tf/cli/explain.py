"""`guidedcam explain`: pictures in, saliency maps out."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table
from guidedcam_tf.errors import InputError
from guidedcam_tf.files import output_folder
from guidedcam_tf.progress import progress

if TYPE_CHECKING:
    from guidedcam_tf.explanation import Explanation

HEADER = ("picture", "target", "probability", "method", "layer", "file")


@options.of_network()
def explain(
    images: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    network: dict[str, Any],
    method: Annotated[
        str, typer.Option(help="One method or several with commas; see `guidedcam methods`.")
    ] = "guided",
    target: Annotated[
        list[str] | None,
        typer.Option(help="A class index, name or wnid, top1 or topK. Repeatable. [default: top1]"),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder for the results.")] = Path("out"),
    option: options.MethodOptions = None,
    colour_map: options.ColourMap = "inferno",
    figure: Annotated[
        bool,
        typer.Option(
            "--figure",
            help="Also draw a figure of each picture (PNG, PDF): a column a method, or, of guided "
            "alone, how its map comes about.",
        ),
    ] = False,
) -> None:
    """Explain pictures: an overlay for each target, the maps as NPZ, the rest as JSON.

    Of several pictures, those that cannot be read are listed at the end, and the exit code is 1.
    """
    folder = output_folder(out)
    import_tensorflow()
    from guidedcam_tf.methods import methods_from_text
    from guidedcam_tf.opening import open_explainer
    from guidedcam_tf.targets import resolve

    chosen = methods_from_text(method, option or [])
    explainer = open_explainer(network)
    if "layer" not in network and explainer.layer == explainer.network.default_layer:
        print(f"layer {explainer.network.default_layer_reason}", file=sys.stderr)
    targets = target or ["top1"]
    resolve(targets, explainer.network)
    rows: list[tuple[object, ...]] = []
    failures: list[str] = []
    for image in progress(images, "explaining"):
        try:
            explanations = [explainer.explain(image, targets, one) for one in chosen]
        except InputError as error:
            failures.append(str(error))
            continue
        for explanation in explanations:
            explanation.save(folder, colour_map)
            rows += _rows(image, explanation, folder)
        if figure:
            rows += _draw(image, explanations, folder, colour_map)
    if rows:
        print_table(HEADER, rows)
    if failures and not rows:
        raise InputError("\n".join(failures))
    if failures:
        print(f"{len(failures)} of {len(images)} pictures failed:", file=sys.stderr)
        print("\n".join(f"  {failure}" for failure in failures), file=sys.stderr)
        raise typer.Exit(1)


def _rows(image: Path, explanation: Explanation, folder: Path) -> list[tuple[object, ...]]:
    return [
        (
            image.name,
            f"{explanation.names[i]} ({explanation.targets[i]})",
            f"{explanation.probabilities[i]:.2g}"
            + (" (empty map)" if explanation.empty[i] else ""),
            explanation.method,
            explanation.layer,
            explanation.file(folder, i),
        )
        for i in range(len(explanation.targets))
    ]


def _draw(
    image: Path, explanations: list[Explanation], folder: Path, colour_map: str
) -> list[tuple[object, ...]]:
    from guidedcam_tf.figures.map_figures import draw_explanations
    from guidedcam_tf.figures.saving import save_figure

    figure = draw_explanations(explanations, colour_map)
    files = [folder / f"{explanations[0].stem}_figure{ending}" for ending in (".png", ".pdf")]
    for file in files:
        save_figure(figure, file)
    names = ",".join(explanation.method for explanation in explanations)
    return [(image.name, "figure", "", names, explanations[0].layer, file) for file in files]
