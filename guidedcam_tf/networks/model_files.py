"""Reading a whole model from a file."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import BadZipFile
from zipfile import ZipFile

import h5py
import keras

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.networks.file_kinds import why_unreadable
from guidedcam_tf.networks.hdf5 import check_it_ends

SUFFIXES = (".keras", ".h5", ".hdf5")


def _of_keras_2(name: str) -> type:
    """Make what reads Keras's own layer from what Keras 2 wrote, with arguments that are gone."""
    kind = getattr(keras.layers, name)
    # A separable one has no kernel but its two, of which each has arguments of its own.
    gone = [f"kernel_{what}" for what in ("initializer", "regularizer", "constraint")]
    gone = gone if name.startswith("Separable") else []

    class Reader:
        @classmethod
        def from_config(cls, config: dict[str, Any]) -> keras.layers.Layer:
            kept = {key: value for key, value in config.items() if key not in gone}
            if kept.get("groups") == 1:
                del kept["groups"]
            return kind.from_config(kept)

    return Reader


_CHANGED = (
    *("DepthwiseConv1D", "DepthwiseConv2D", "SeparableConv1D", "SeparableConv2D"),
    *("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"),
)


def is_model_file(name: str) -> bool:
    """Whether a name is that of a file of a whole model, whatever the case of its suffix."""
    return name.lower().endswith(SUFFIXES)


def load_model(
    path: Path, custom_objects: Mapping[str, Any] | None = None, *, unsafe_lambda: bool = False
) -> keras.Model:
    """Read a model that Keras 3 or Keras 2 saved.

    Args:
        path: A `.keras`, `.h5` or `.hdf5` file.
        custom_objects: The user's own classes and functions by name.
        unsafe_lambda: Load `Lambda` layers, which run Python code that the file holds.

    Raises:
        InputError: If the file is not there or cannot be read. The message says what the file is,
            or has the cause that Keras gives, and says so if Keras 2 wrote the file.
    """
    if path.is_dir():
        raise InputError(
            f"model file {path} is a folder; expected a file that model.save('NAME.keras') wrote"
        )
    if not path.is_file():
        raise InputError(f"model file {path} does not exist")
    if custom_objects is not None and not isinstance(custom_objects, Mapping):
        raise InputError(
            "custom_objects must be your classes and functions by name, {'Name': Class}; received "
            f"{type(custom_objects).__name__}"
        )
    if path.suffix.lower() != ".keras":
        check_it_ends(path)
    objects = {**{name: _of_keras_2(name) for name in _CHANGED}, **(custom_objects or {})}
    how = {"custom_objects": objects, "compile": False, "safe_mode": not unsafe_lambda}
    try:
        if path.suffix in SUFFIXES:
            return keras.models.load_model(path, **how)
        with tempfile.TemporaryDirectory() as folder:  # Keras knows small letters only.
            copy = Path(folder, path.stem + path.suffix.lower())
            shutil.copyfile(path, copy)
            return keras.models.load_model(copy, **how)
    except Exception as error:  # Keras, zipfile and h5py each raise kinds of their own.
        cause = why_unreadable(path) or f"{reason_of(error)}{_advice(path, str(error))}"
        if "of a `Lambda` layer" in str(error):
            cause = _OF_LAMBDA
        raise InputError(f"model file {path} cannot be read: {cause}") from error


_OF_LAMBDA = (
    "it has a Lambda layer, and loading it runs Python code that the file holds: if you trust it, "
    "say so with unsafe_lambda=True (--unsafe-lambda)"
)


def _advice(path: Path, text: str) -> str:
    version = _keras_version(path)
    if version.startswith(("1.", "2.")):
        return (
            f". The file was written by Keras {version}, this is Keras {keras.__version__}: build "
            "the network in Keras 3 and load its weights, or save the model again with Keras 3"
        )
    if "Could not locate" in text or "Unknown layer" in text or "Unknown object" in text:
        return (
            ". Give your own classes with custom_objects={'Name': Class} (--custom-objects and the "
            "module that has them)"
        )
    return ""


def _keras_version(path: Path) -> str:
    """The version of Keras that wrote a file; empty where that is not known."""
    try:
        if path.suffix.lower() == ".keras":
            with ZipFile(path) as archive:
                return str(json.loads(archive.read("metadata.json")).get("keras_version", ""))
        with h5py.File(path) as file:
            version = file.attrs.get("keras_version", "")
            return version.decode() if isinstance(version, bytes) else str(version)
    except (OSError, BadZipFile, KeyError, ValueError):
        return ""
