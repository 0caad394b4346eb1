"""`guidedcam app`: a page in the browser to look with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from typing import Any

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.errors import InputError

OF_ALL = ("postprocessing", "fit", "runtime", "precision")
"""What is said of a network whatever it is."""


@options.of_network()
def app(
    network: dict[str, Any],
    compare: Annotated[
        str | None,
        typer.Option(
            help="A second network to compare with: a Keras Application, a model's file, or a "
            ".weights.h5 file for the same model."
        ),
    ] = None,
    host: Annotated[
        str, typer.Option(help="The address to listen at; 0.0.0.0 for all of the machine's.")
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, help="The port. [default: the first free one from 7860]"),
    ] = None,
    max_megabytes: Annotated[int, typer.Option(min=1, help="Uploads of more are refused.")] = 20,
) -> None:
    """Open a page in the browser: drop a picture, choose a class, see what the network looks at.

    It needs no connection and sends nothing anywhere. Ctrl-C ends it.
    """
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    import gradio  # noqa: F401 - asks for the extra before a network is opened

    import_tensorflow()
    from guidedcam_tf.app.launching import serve
    from guidedcam_tf.arrays import check_sees_pictures
    from guidedcam_tf.opening import open_explainer

    explainer = open_explainer(network)
    check_sees_pictures(explainer.network, "the page")
    if not explainer.network.has_classes:
        raise InputError(
            f"the page shows classes, [N, classes]; {explainer.network.name!r} gives "
            f"{explainer.network.graph.output_shape}: `guidedcam explain --target` explains it"
        )
    other = None if compare is None else open_explainer(second(network, compare))
    name = explainer.network.name
    titles = (
        Path(network.get("weights") or name).name if compare else name,
        Path(compare or "").name,
    )
    serve(
        explainer,
        network,
        other=other,
        titles=titles,
        host=host,
        port=port,
        max_megabytes=max_megabytes,
        ready=lambda address: print(f"{address} shows the page; Ctrl-C ends it", flush=True),
    )


def second(network: dict[str, Any], compare: str) -> dict[str, Any]:
    """What opens the second network: the first one's options as far as they go with it."""
    if compare.endswith(".weights.h5"):
        return {**network, "weights": compare}
    is_file = Path(compare).exists()
    kept = {
        name: value
        for name, value in network.items()
        if name in OF_ALL or (is_file and name not in ("weights", "layer"))
    }
    return {**kept, "model": compare}
