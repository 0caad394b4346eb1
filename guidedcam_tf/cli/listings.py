"""`guidedcam methods` and `guidedcam layers`: what there is to choose from."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import typer

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table


def methods() -> None:
    """List the methods with their references and options."""
    import_tensorflow()
    from guidedcam_tf.methods import METHODS

    for name, method in METHODS.items():
        summary = (method.__doc__ or "").splitlines()[0]
        print(f"{name}\n    {summary}\n    {method.reference}")
        for field in fields(method):
            print(f"    {field.name} = {field.default!r}: {field.metadata['help']}")


def layers(
    model: Annotated[
        str,
        typer.Argument(help="A Keras Application, or a .keras or .h5 file.", show_default=False),
    ],
) -> None:
    """List the layers of a model that can be explained, with their output shapes."""
    import_tensorflow()
    from guidedcam_tf.networks import open_network

    network = open_network(model, weights=None)
    print_table(
        ("layer", "kind", "height x width x channels", ""),
        [
            (
                name,
                type(step.layer).__name__,
                " x ".join("?" if side is None else str(side) for side in step.shape[1:]),
                "default" if name == network.default_layer else "",
            )
            for name, step in network.layers.items()
        ],
    )
    print(f"default: {network.default_layer_reason}")
