"""The one way from a configuration or a command line to an Explainer."""

from __future__ import annotations

import importlib
import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any
from typing import Literal

import numpy as np
from pydantic import Field
from pydantic import PositiveInt
from pydantic import field_validator

from guidedcam_tf.configuring import AnyPath
from guidedcam_tf.configuring import Strict
from guidedcam_tf.configuring import read_config
from guidedcam_tf.configuring import validate
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import readable

if TYPE_CHECKING:
    from typing import Self

    from guidedcam_tf.explainer import Explainer

BESIDE = "guidedcam.yaml"
"""The file beside a model's file that says what its pictures and classes are, once for all."""


class NetworkConfig(Strict):
    """What can be said of a network: the arguments of `Explainer`, by the same names.

    A file `guidedcam.yaml` beside a model's file says what is not said here.
    """

    model: str = Field(
        default="resnet50",
        description="A Keras Application, a model's file, or `hub:` and a preset of KerasHub.",
    )
    weights: str | None = Field(
        default="imagenet", description="`imagenet`, a weights file, or null for random ones."
    )
    layer: str | tuple[str, ...] | None = Field(
        default=None,
        description="By default the network's own. Several, as a list or with commas, and patterns "
        "such as `conv*_out` are for maps at each and their fusion.",
    )
    preprocess: Literal["caffe", "tf", "torch", "unit", "signed", "none"] | None = Field(
        default=None, description="For a model file: what its pictures go through."
    )
    class_names: AnyPath | None = Field(
        default=None, description="A text with a name a line, or a JSON list or `class_indices`."
    )
    scores: Literal["logits", "probabilities", "sigmoid", "regression"] | None = Field(
        default=None, description="What the output is, where that is in doubt."
    )
    input: str | None = Field(default=None, description="The picture's input, of several.")
    output: str | None = Field(default=None, description="The output to explain, of several.")
    fixed_inputs: AnyPath | None = Field(
        default=None, description="An NPZ with the other inputs' values, by their names."
    )
    grid: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None, description="Of tokens, the patches' grid: `14x14`, where it is not found."
    )
    custom_objects: str | None = Field(
        default=None, description="A Python module with the classes that a model file needs."
    )
    unsafe_lambda: bool = Field(
        default=False, description="Load Lambda layers, which run code from the model file."
    )
    postprocessing: Literal["default", "paper", "smooth"] = "default"
    fit: Literal["squash", "crop"] = "squash"
    runtime: str = Field(default="tensorflow", description="`tensorflow`, or `openvino`.")
    precision: Literal["float32", "bfloat16"] = Field(
        default="float32", description="What it computes in; bfloat16 with `openvino` only."
    )

    @field_validator("grid", mode="before")
    @classmethod
    def _sides(cls, grid: Any) -> Any:
        return grid.split("x") if isinstance(grid, str) else grid

    @field_validator("layer", mode="before")
    @classmethod
    def _layers(cls, layer: Any) -> Any:
        given = layer.split(",") if isinstance(layer, str) else layer
        if not isinstance(given, (list, tuple)) or not all(isinstance(name, str) for name in given):
            return layer
        return given[0].strip() if len(given) == 1 else tuple(name.strip() for name in given)

    @property
    def has_several_layers(self) -> bool:
        """Whether `layer` may mean more than one: a list, or a pattern."""
        return isinstance(self.layer, tuple) or bool(re.search(r"[*?]", self.layer or ""))

    def open(self, **changes: Any) -> Explainer:
        """Open the network.

        Args:
            **changes: Arguments of `Explainer` in place of those here.

        Raises:
            InputError: If the network, its weights, its layer or a file cannot be used.
        """
        from guidedcam_tf.explainer import Explainer
        from guidedcam_tf.networks.classes import read_class_names
        from guidedcam_tf.networks.opening import takes_unscaled_pixels

        said = self.resolved()
        arguments: dict[str, Any] = {name: getattr(said, name) for name in KEYS}
        if said.class_names is not None:
            arguments["class_names"] = read_class_names(said.class_names)
        if said.fixed_inputs is not None:
            arguments["fixed_inputs"] = _read_arrays(said.fixed_inputs)
        if said.custom_objects is not None:
            arguments["custom_objects"] = _read_objects(said.custom_objects)
        opened = Explainer(**{**arguments, **changes})
        opened.said = said._in_words()
        if {**arguments, **changes}["preprocess"] is None and takes_unscaled_pixels(opened.network):
            warnings.warn(
                f"model {opened.network.name!r} gets pictures as they are, 0..255, and no layer of "
                "it scales them. If it was trained on others, say so: preprocess unit (x / 255), "
                "signed (x / 127.5 - 1), caffe, tf or torch; none leaves this note out",
                stacklevel=3,
            )
        return opened

    def _in_words(self) -> dict[str, Any]:
        """What opens the network, in JSON's types, with paths that hold from any folder."""
        network = set(KEYS) - {"layer", "postprocessing", "fit"}
        words = self.model_dump(mode="json", include=network & {"model", *self.model_fields_set})
        for name in ("model", "weights", "class_names", "fixed_inputs"):
            if words.get(name) is not None and Path(words[name]).is_file():
                words[name] = str(Path(words[name]).absolute())
        return words

    def resolved(self) -> Self:
        """Return the same with what `guidedcam.yaml` beside the model's file adds.

        Raises:
            InputError: If that file cannot be read or holds an unknown key.
        """
        file = as_path(self.model)
        folder = file.parent
        if not (file.is_file() and (folder / BESIDE).is_file()):
            return self
        beside = read_config(folder / BESIDE, NetworkConfig)
        if "model" in beside.model_fields_set:
            raise InputError(
                f"config {folder / BESIDE} goes with the models beside it; remove its key model"
            )
        added = {
            name: getattr(beside, name) for name in beside.model_fields_set - self.model_fields_set
        }
        for name in added.keys() & {"class_names", "fixed_inputs"}:
            added[name] = folder / added[name]
        return self.model_copy(update=added)


KEYS = tuple(NetworkConfig.model_fields)
"""What can be said of a network, in the order of the documentation."""


def open_explainer(said: Mapping[str, Any], **changes: Any) -> Explainer:
    """Open what the options of a command line say.

    Args:
        said: The options that were given, by the names of `NetworkConfig`'s keys.
        **changes: As in `NetworkConfig.open`.

    Raises:
        InputError: As `NetworkConfig.open`, or if an option has no such value.
    """
    return validate(said, NetworkConfig, "options").open(**changes)


def _read_arrays(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(readable(path), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # NumPy and zipfile each raise kinds of their own.
        raise InputError(
            f"fixed_inputs {path} must be an NPZ of arrays by the inputs' names: {reason_of(error)}"
        ) from error


def _read_objects(module: str) -> dict[str, Any]:
    """The classes and functions that a module defines, by name."""
    folder = str(Path.cwd())
    sys.path.insert(0, folder)
    try:
        defined = vars(importlib.import_module(module))
    except Exception as error:  # Importing runs the module, which may raise anything.
        raise InputError(
            f"custom_objects must name a Python module; importing {module!r} raised "
            f"{type(error).__name__}: {reason_of(error)}"
        ) from error
    finally:
        sys.path.remove(folder)
    warnings.warn(f"custom objects come from {defined.get('__file__', module)}", stacklevel=4)
    return {
        name: value
        for name, value in defined.items()
        if callable(value) and getattr(value, "__module__", "") == module
    }
