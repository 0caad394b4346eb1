"""The options that several commands share."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

import typer

from guidedcam_tf import colour_maps
from guidedcam_tf.errors import InputError
from guidedcam_tf.storage import as_path

PANEL = "The network"

ColourMap = Annotated[colour_maps.ColourMap, typer.Option(help="The overlays' colours.")]
Opacity = Annotated[
    float,
    typer.Option(min=0, max=1, help="How much of an overlay is colour where the map is highest."),
]
MethodOptions = Annotated[
    list[str] | None,
    typer.Option(
        help="An option of the methods that have it, such as steps=20; `guidedcam methods` lists "
        "them. Repeatable."
    ),
]


def _option(kind: Any, help: str, *names: str) -> Any:
    return Annotated[kind | None, typer.Option(*names, help=help, rich_help_panel=PANEL)]


NETWORK: dict[str, Any] = {
    "model": _option(
        str,
        "A Keras Application such as resnet50, a .keras or .h5 file of a model, or hub:NAME for a "
        "preset of KerasHub. "
        "[default: resnet50]",
    ),
    "weights": _option(str, "A weights file, in place of the ImageNet weights."),
    "layer": _option(
        list[str],
        "The layer to explain; `guidedcam layers MODEL` lists them. For `explain`, several: "
        "repeated, with commas, or as a pattern such as 'conv*_out'.",
    ),
    "preprocess": _option(
        Literal["caffe", "tf", "torch", "unit", "signed", "none"],
        "For a model file, what its pictures go through: a mode of Keras Applications; unit: "
        "x / 255; signed: x / 127.5 - 1; none: nothing, without a hint.",
    ),
    "class_names": _option(
        Path, "For a model file: a text with a name a line, or a JSON list or class_indices."
    ),
    "scores": _option(
        Literal["logits", "probabilities", "sigmoid", "regression"],
        "What the output is, where that is in doubt.",
    ),
    "input": _option(str, "Of several inputs, the one that takes the picture."),
    "output": _option(str, "Of several outputs, the one to explain."),
    "fixed_inputs": _option(
        Path, "Of several inputs, an NPZ with the values of the others by their names."
    ),
    "grid": _option(
        str,
        "Of a layer of tokens, the rows and columns of the patches, such as 14x14, where they "
        "cannot be found out.",
    ),
    "custom_objects": _option(
        str, "A Python module with the classes that a model file needs; it is imported."
    ),
    "unsafe_lambda": _option(
        bool, "Load a model file's Lambda layers, which run code from it.", "--unsafe-lambda"
    ),
    "postprocessing": _option(
        Literal["default", "paper", "smooth"],
        "default; paper: smoothed with a 3 x 3 Gaussian, sigma 0.8; or smooth: enlarged "
        "bicubically, without the crosses of bilinear enlarging.",
    ),
    "fit": _option(
        Literal["squash", "crop"],
        "squash the picture to the network's shape, or crop its centre. [default: squash]",
    ),
    "runtime": _option(
        str,
        "What runs the network: tensorflow; or openvino, faster on a processor, from the extra of "
        "that name. [default: tensorflow]",
    ),
    "precision": _option(
        Literal["float32", "bfloat16"],
        "What openvino computes in; bfloat16 is faster where the processor has it. "
        "[default: float32]",
    ),
}
"""What can be said of a network: the keys of `opening.NetworkConfig`, which is not imported here
because `--help` would wait for pydantic."""


def of_network(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command the options of a network, which it gets as a dict `network` of those given.

    Args:
        *names: The options that the command has; by default all.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        signature = inspect.signature(command, eval_str=True)
        kept = [value for name, value in signature.parameters.items() if name != "network"]
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=kind)
            for name, kind in NETWORK.items()
            if name in (names or NETWORK)
        ]

        @wraps(command)
        def call(**given: Any) -> None:
            network = {parameter.name: given.pop(parameter.name) for parameter in added}
            said = {name: value for name, value in network.items() if value is not None}
            if len(said.get("layer", ())) == 1:
                (said["layer"],) = said["layer"]
            _check_files(said)
            command(**given, network=said)

        kept = [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY) for parameter in kept]
        parameters = [*kept, *added]
        call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {each.name: each.annotation for each in parameters}
        del call.__wrapped__
        return call

    return decorate


def refuse(context: typer.Context, beside: str, *names: str) -> None:
    """Raise `InputError` if one of these options is given, which do nothing beside another.

    Args:
        context: The call.
        beside: How the other stands in the call, such as `"with --to litert"`.
        *names: The names of the command's parameters.
    """
    given = [
        f"--{name.replace('_', '-')}"
        for name in names
        if getattr(context.get_parameter_source(name), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise InputError(f"{', '.join(given)} would do nothing {beside}; leave that out")


def _check_files(said: dict[str, Any]) -> None:
    """Refuse files that are not there before TensorFlow is waited for."""
    for name in ("model", "weights", "class_names", "fixed_inputs"):
        file = as_path(said.get(name, "."))
        named = name != "model" or file.suffix.lower() in (".keras", ".h5", ".hdf5")
        if named and not file.exists() and said[name] != "imagenet":
            raise InputError(f"{name.replace('_', ' ')} file {file} does not exist")
