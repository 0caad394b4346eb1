"""`guidedcam export`: an explainer as a SavedModel or a file for phones, and the former's check."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table
from guidedcam_tf.errors import InputError
from guidedcam_tf.serving.defaults import MAX_PIXELS
from guidedcam_tf.serving.defaults import MERGE

OF_SAVED_MODELS = ("colour_map", "max_pixels", "merge")


@options.of_network()
def export(
    context: typer.Context,
    folder: Annotated[
        Path,
        typer.Argument(
            help="BASE/NAME/VERSION, or BASE/NAME for the version after the highest there. With "
            "--to litert, a file ending in .tflite.",
            show_default=False,
        ),
    ],
    network: dict[str, Any],
    method: Annotated[
        str, typer.Option(help="A method of a few passes; see `guidedcam methods`.")
    ] = "guided",
    option: options.MethodOptions = None,
    to: Annotated[
        Literal["saved_model", "litert"],
        typer.Option(help="saved_model for servers; litert (TensorFlow Lite) for phones."),
    ] = "saved_model",
    float16: Annotated[
        bool, typer.Option("--float16", help="With --to litert: keep the weights in float16.")
    ] = False,
    colour_map: options.ColourMap = "inferno",
    max_pixels: Annotated[
        int, typer.Option(min=1, help="Requests with larger pictures are refused.")
    ] = MAX_PIXELS,
    merge: Annotated[
        int,
        typer.Option(min=0, help="Pictures of concurrent requests that run together; 0 for none."),
    ] = MERGE,
    check: Annotated[
        bool, typer.Option("--check", help="Compare the export in the folder with the live one.")
    ] = False,
    picture: Annotated[
        list[Path] | None, typer.Option(help="For --check: a picture. Repeatable.")
    ] = None,
) -> None:
    """Export the explanation as a SavedModel that TensorFlow Serving runs.

    With --check: run what is in the folder in a fresh process without this package, and compare
    it with the live explainer of the same network, at the layer of the export.
    """
    if (to == "litert") != (folder.suffix == ".tflite") or (to != "litert" and float16):
        raise InputError("--to litert goes with a file ending in .tflite, and --float16 with it")
    if to == "litert" and check:
        raise InputError("--check is for SavedModels; --to litert compares before it writes")
    made = ("method", "option", "layer", "postprocessing")
    if check:
        options.refuse(
            context, "with --check, which reads it from the export", *made, *OF_SAVED_MODELS
        )
    else:
        options.refuse(context, "without --check", "picture")
    if to == "litert":
        options.refuse(context, "with --to litert", *OF_SAVED_MODELS)
    import_tensorflow()
    if check:
        _check(folder, network, picture or [])
        return
    from guidedcam_tf.methods import methods_from_text
    from guidedcam_tf.opening import open_explainer
    from guidedcam_tf.serving import saved_model

    chosen, *more = methods_from_text(method, option or [])
    if more:
        raise InputError(f"--method {method}: an export has one method; make one for each")
    if to == "litert":
        from guidedcam_tf.serving.litert import export_litert

        explainer = open_explainer(network)
        weights: Literal["float16", "float32"] = "float16" if float16 else "float32"
        file = export_litert(explainer, folder, chosen, precision=weights)
        print(f"{file}: {explainer.network.name}, {method} at {explainer.layer}, {weights}")
        return
    chosen, target = saved_model.exportable(chosen), saved_model.free_version(folder)
    explainer = open_explainer(network)
    version = saved_model.export(
        explainer, target, chosen, colour_map=colour_map, max_pixels=max_pixels, merge=merge
    )
    print(f"{version}: {explainer.network.name}, {method} at {explainer.layer}")


def _check(folder: Path, network: dict[str, Any], pictures: list[Path]) -> None:
    from guidedcam_tf.opening import open_explainer
    from guidedcam_tf.ops import Postprocessing
    from guidedcam_tf.serving import saved_model
    from guidedcam_tf.serving.check import check_export

    manifest = saved_model.read_manifest(saved_model.served_version(folder))
    explainer = open_explainer(
        network,
        layer=manifest["layer"],
        postprocessing=Postprocessing(**manifest["postprocessing"]),
    )
    rows = check_export(folder, explainer, pictures)
    print_table(
        ("runtime", "signature", "output", "largest difference", "allowed", ""),
        [
            (
                row.runtime,
                row.signature,
                row.output,
                f"{row.difference:.2g}",
                "-" if row.allowed is None else f"{row.allowed:g}",
                "" if row.right else "WRONG",
            )
            for row in rows
        ],
    )
    if not all(row.right for row in rows):
        raise typer.Exit(1)
