"""`guidedcam explain`: pictures in, saliency maps out."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Annotated
from typing import Any
from typing import Literal
from typing import NamedTuple

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table
from guidedcam_tf.colour_maps import OPACITY
from guidedcam_tf.errors import InputError
from guidedcam_tf.files import output_folder
from guidedcam_tf.networks.classes import imagenet_classes
from guidedcam_tf.progress import progress

if TYPE_CHECKING:
    from guidedcam_tf.explanation import Explanation
    from guidedcam_tf.fusing import Fusion


class Look(NamedTuple):
    """How results are drawn."""

    colour_map: str
    opacity: float
    figure: bool


HEADER = ("picture", "target", "{}", "method", "layer", "file")
"""The table's head; `{}` is what a target has, a probability or a value."""


@options.of_network()
def explain(
    network: dict[str, Any],
    images: Annotated[
        list[Path] | None, typer.Argument(help="Pictures, or folders of them.", show_default=False)
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            help="One method or several with commas; see `guidedcam methods`. [default: guided]"
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="A class index, name or wnid, top1 or topK; 'class 7', 'class 7 in mask.png' or "
            "'class 7 in 10,20,110,220' (x_min,y_min,x_max,y_max) of a segmentation; 'box 3' or "
            "'detection 0' (after non-maximum suppression) of a detector, with 'of 7' for a class; "
            "'unit 2' of a regression; 'negative' of a binary network. Repeatable. [default: top1]"
        ),
    ] = None,
    option: options.MethodOptions = None,
    out: Annotated[Path, typer.Option(help="The folder for the results.")] = Path("out"),
    colour_map: options.ColourMap = "inferno",
    opacity: options.Opacity = OPACITY,
    figure: Annotated[
        bool,
        typer.Option(
            "--figure",
            help="Also draw a figure of each picture (PNG, PDF): a column a method, or, of guided "
            "alone, how its map comes about.",
        ),
    ] = False,
    fusion: Annotated[
        Literal["mean", "layercam"] | None,
        typer.Option(
            help="Of several layers (--layer repeated, or a pattern such as 'conv*_out'), also "
            "the mean of their maps, or LayerCAM's maximum of scaled maps."
        ),
    ] = None,
    again: Annotated[
        Path | None,
        typer.Option(help="Make the map of this JSON again, which was saved beside it."),
    ] = None,
) -> None:
    """Explain pictures: an overlay for each target, the maps as NPZ, the rest as JSON.

    Of several pictures, those that cannot be read are listed at the end, and the exit code is 1.
    """
    if again is not None:
        if images or method or target or option or network:
            raise InputError("--again goes with --out, --colour-map, --opacity and --figure only")
        _explain_again(again, output_folder(out), Look(colour_map, opacity, figure))
        return
    _check_paths(images or [])
    _check_targets(target or [], network)
    folder = output_folder(out)
    layers, targets = _several_layers(network, fusion), target or ["top1"]
    asked = (network, method or "guided", option or [], targets)
    if layers is None:
        layer_reason, explain_all = _open(*asked)
    else:
        layer_reason, explain_all = "", _open_layers(*asked, layers, fusion)
    if layer_reason:
        print(f"layer {layer_reason}", file=sys.stderr)
    found = list(_pictures(images or []))
    rows: list[tuple[object, ...]] = []
    failures: list[str] = []
    quantity = ""
    for image in progress(found, "explaining"):
        try:
            explanations = explain_all(image)
            rows += _save(image, explanations, folder, Look(colour_map, opacity, figure))
        except (InputError, OSError) as error:
            failures.append(str(error))
            continue
        quantity = explanations[0].quantity
    if rows:
        print_table(_header(quantity), rows)
    if failures and not rows:
        raise InputError("\n".join(failures))
    if failures:
        print(f"{len(failures)} of {len(found)} pictures failed:", file=sys.stderr)
        print("\n".join(f"  {failure}" for failure in failures), file=sys.stderr)
        raise typer.Exit(1)


def _several_layers(network: dict[str, Any], fusion: str | None) -> Any:
    """The layers, where several may be meant; `None` for one."""
    from guidedcam_tf.configuring import validate
    from guidedcam_tf.opening import NetworkConfig

    config = validate(network, NetworkConfig, "options").resolved()
    if config.has_several_layers:
        return config.layer
    if fusion is not None:
        raise InputError("--fusion goes with several layers, as in --layer conv1 --layer conv2")
    return None


def _open(
    network: dict[str, Any], methods: str, options: list[str], targets: list[str]
) -> tuple[str, Callable[[Path], list[Explanation]]]:
    """Open what is asked for, without TensorFlow where all of it was kept.

    Returns:
        Why it is that layer, where none was named; and what explains a picture by each method.
    """
    from guidedcam_tf.kept import find_kept
    from guidedcam_tf.kept import keep

    kept = find_kept(network, methods, options, targets)
    if kept is not None:
        return kept[0].layer_reason, lambda image: [each.explain(image, targets) for each in kept]
    import_tensorflow()
    layer_reason, explaining = keep(network, methods, options, targets)
    return layer_reason, lambda image: [explain(image) for explain in explaining]


def _open_layers(
    network: dict[str, Any],
    methods: str,
    options: list[str],
    targets: list[str],
    layers: str | Sequence[str],
    fusion: Fusion | None,
) -> Callable[[Path], list[Explanation]]:
    """Return what explains a picture by each method at several layers."""
    import_tensorflow()
    from guidedcam_tf.fusing import explain_layers
    from guidedcam_tf.methods import methods_from_text
    from guidedcam_tf.opening import open_explainer
    from guidedcam_tf.targets import resolve

    chosen = methods_from_text(methods, options)
    explainer = open_explainer(network, layer=None)
    resolve(targets, explainer.network).pipeline(explainer.pipeline)
    return lambda image: [
        each
        for one in chosen
        for each in explain_layers(explainer, image, layers, targets, one, fusion=fusion)
    ]


def _explain_again(record: Path, folder: Path, look: Look) -> None:
    import_tensorflow()
    from guidedcam_tf.again import explain_again

    explanation = explain_again(record)
    picture = Path(explanation.origin["picture"]["path"])
    print_table(_header(explanation.quantity), _save(picture, [explanation], folder, look))


def _header(quantity: str) -> tuple[str, ...]:
    return tuple(word.format(quantity) for word in HEADER)


def _check_paths(given: list[Path]) -> None:
    """Refuse a call without pictures before TensorFlow is waited for."""
    if not given:
        raise InputError("name at least one picture or folder of pictures, or --again FILE.json")
    if not any(path.exists() for path in given):
        raise InputError("\n".join(f"{path} does not exist" for path in given))


def _check_targets(targets: list[str], network: dict[str, Any]) -> None:
    """Refuse classes that ImageNet does not have, where the network's are those."""
    model = Path(network.get("model", "resnet50"))
    if model.suffix or model.exists() or "class_names" in network:
        return
    for target in targets:
        if not re.fullmatch(r"unit \d+", target):
            imagenet_classes().ids(target)


def _pictures(given: list[Path]) -> Iterator[Path]:
    """The pictures that are named, and those in folders that are."""
    from guidedcam_tf.data import open_folder

    for path in given:
        if path.is_dir():
            yield from (sample.picture for sample in open_folder(path).samples)
        else:
            yield path


def _save(
    image: Path, explanations: list[Explanation], folder: Path, look: Look
) -> list[tuple[object, ...]]:
    """Write what one picture gave, and return its rows of the table."""
    rows: list[tuple[object, ...]] = []
    for explanation in explanations:
        files = explanation.save(folder, look.colour_map, look.opacity)
        rows += [
            (
                image.name,
                f"{explanation.names[i]} ({explanation.targets[i]})",
                explanation.number(i) + (" (empty map)" if explanation.empty[i] else ""),
                explanation.method,
                explanation.layer,
                files[i],
            )
            for i in range(len(explanation.targets))
        ]
    return rows + (_draw(image, explanations, folder, look.colour_map) if look.figure else [])


def _draw(
    image: Path, explanations: list[Explanation], folder: Path, colour_map: str
) -> list[tuple[object, ...]]:
    import_tensorflow()
    from guidedcam_tf.figures.map_figures import draw_explanations
    from guidedcam_tf.figures.saving import save_figure

    figure = draw_explanations(explanations, colour_map)
    digest = "-".join(explanation.digest(colour_map)[:4] for explanation in explanations)
    stem = f"{explanations[0].file_stem}_figure_{digest}"
    files = [folder / f"{stem}{ending}" for ending in (".png", ".pdf")]
    for file in files:
        save_figure(figure, file)
    names = ",".join(explanation.method for explanation in explanations)
    return [(image.name, "figure", "", names, explanations[0].layer, file) for file in files]
