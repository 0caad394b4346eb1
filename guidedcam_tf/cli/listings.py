"""`guidedcam methods` and `guidedcam layers`: what there is to choose from."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated
from typing import Any

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table

AXES = {
    1: "length x channels",
    2: "height x width x channels",
    3: "depth x height x width x channels",
}
"""What a layer's numbers are, by how many spatial axes there are."""


def methods() -> None:
    """List the methods with their references and options."""
    import_tensorflow()
    from guidedcam_tf.methods import METHODS

    for name, method in METHODS.items():
        summary = (method.__doc__ or "").splitlines()[0]
        explains = "a layer" if method().needs_layer else "the picture, and needs no layer"
        explains = "the last layer of each size" if method.of_own_layers else explains
        explains = "the attention of all blocks" if method.reads_attention else explains
        print(f"{name}\n    {summary}\n    {method.reference}\n    explains {explains}")
        for field in fields(method):
            print(f"    {field.name} = {field.default!r}: {field.metadata['help']}")


def _extent(shape: tuple[int | None, ...], grid: Any) -> str:
    """A layer's spatial extent and channels; of tokens, those of their grid."""
    if grid is not None:
        shape = (grid.height, grid.width, shape[-1])
    extent = " x ".join("?" if side is None else str(side) for side in shape)
    return extent if grid is None else f"{extent} ({grid.count} tokens)"


@options.of_network(
    "preprocess",
    "scores",
    "input",
    "output",
    "fixed_inputs",
    "grid",
    "custom_objects",
    "unsafe_lambda",
)
def layers(
    model: Annotated[
        str,
        typer.Argument(
            help="A Keras Application, a .keras or .h5 file, or hub:NAME for a preset of KerasHub.",
            show_default=False,
        ),
    ],
    network: dict[str, Any],
) -> None:
    """List the layers of a model that can be explained, with their output shapes."""
    import_tensorflow()
    from guidedcam_tf.opening import open_explainer

    opened = open_explainer({**network, "model": model, "weights": None}).network
    print_table(
        ("layer", "kind", AXES[len(opened.input_size)], ""),
        [
            (
                name,
                type(step.layer).__name__,
                _extent(step.shape[1:], opened.tokens.grids.get(step)),
                "default" if name == opened.default_layer else "",
            )
            for name, step in opened.layers.items()
        ],
    )
    print(f"default: {opened.default_layer_reason}")
