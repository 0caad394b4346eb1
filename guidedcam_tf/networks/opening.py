"""Opening a network by name, from a file, or as it stands."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.applications import Application
from guidedcam_tf.networks.applications import find_application
from guidedcam_tf.networks.applications import holds_mark
from guidedcam_tf.networks.applications import needs_preprocessing
from guidedcam_tf.networks.file_kinds import why_unreadable
from guidedcam_tf.networks.hdf5 import check_it_ends
from guidedcam_tf.networks.hub import PREFIX
from guidedcam_tf.networks.hub import load_preset
from guidedcam_tf.networks.model_files import is_model_file
from guidedcam_tf.networks.model_files import load_model
from guidedcam_tf.networks.network import Network
from guidedcam_tf.networks.outputs import Scores
from guidedcam_tf.networks.preprocessing import Preprocess
from guidedcam_tf.networks.reading import NO_SAVED_MODEL
from guidedcam_tf.networks.traits import Trait
from guidedcam_tf.networks.weights import RANDOM
from guidedcam_tf.networks.weights import WeightsSource
from guidedcam_tf.networks.weights import load_application
from guidedcam_tf.networks.weights import load_file
from guidedcam_tf.storage import as_path
from guidedcam_tf.storage import local_copy


def open_network(
    model: keras.Model | str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = "imagenet",
    preprocess: Preprocess | str | None = None,
    class_names: Sequence[str] | None = None,
    input: str | None = None,
    output: str | None = None,
    fixed_inputs: Mapping[str, Any] | None = None,
    scores: Scores | None = None,
    grid: Sequence[int] | None = None,
    custom_objects: Mapping[str, Any] | None = None,
    unsafe_lambda: bool = False,
) -> Network:
    """Open a network by name, from a file, or as it stands.

    A model that is or holds a network of Keras Applications, and gets pictures without
    preprocessing, is warned about. So is an output whose meaning is in doubt.

    Args:
        model: A network of Keras Applications by name, such as `"resnet50"`, a `.keras`, `.h5` or
            `.hdf5` file of a whole model, `"hub:"` and the name or folder of a preset of KerasHub,
            or a `keras.Model`.
        weights: For a network by name: `"imagenet"` for the chain of sources in
            `networks/weights.py`, a file, or `None` for random ones. A file also goes with a model
            file. A model passed in keeps its own.
        preprocess: As in `Network`; a network by name has its own, and so has a classifier of
            KerasHub that comes with a preprocessor.
        class_names: As in `Network`.
        input: As in `read_graph`, for a model that is passed in or read from a file.
        output: As `input`.
        fixed_inputs: As `input`.
        scores: As in `Network`.
        grid: As in `Network`.
        custom_objects: The user's own classes and functions by name, for a model file.
        unsafe_lambda: As in `load_model`.

    Raises:
        InputError: If the model or its weights cannot be used.
    """
    if keras.backend.backend() != "tensorflow":
        raise InputError(
            f"Keras runs on {keras.backend.backend()!r}; expected 'tensorflow': set the "
            "environment variable KERAS_BACKEND=tensorflow before keras is imported"
        )
    if isinstance(model, keras.layers.TFSMLayer):
        raise InputError(f"model is a TFSMLayer. {NO_SAVED_MODEL}")
    if not isinstance(model, (keras.Model, str, os.PathLike)):
        kinds = [f"{kind.__module__}.{kind.__name__}" for kind in type(model).__mro__]
        old = any(kind.startswith(("tf_keras.", "keras.engine.")) for kind in kinds)
        raise InputError(
            "model must be a keras.Model of Keras 3, the name of a Keras Application, or a model "
            f"file; received {kinds[0]}"
            + (", a model of Keras 2: save it as .h5, and give that file" if old else "")
        )
    parts: dict[str, Any] = {
        "class_names": class_names,
        "input": input,
        "output": output,
        "fixed_inputs": fixed_inputs,
        "scores": scores,
        "grid": grid,
    }
    if isinstance(model, keras.Model):
        if weights not in ("imagenet", None):
            raise InputError("weights goes with a network by name; load them into the model itself")
        return _open_model(model, preprocess, parts, WeightsSource("the model passed in"))
    name = os.fspath(model)
    if is_model_file(name):
        file = local_copy(as_path(name))
        loaded = load_model(file, custom_objects, unsafe_lambda=unsafe_lambda)
        source = WeightsSource("file", file)
        if weights not in ("imagenet", None):
            source = _load_user_file(loaded, weights)
        return _open_model(loaded, preprocess, parts, source)
    if name.startswith(PREFIX):
        loaded = load_preset(name, weights=weights == "imagenet")
        source = WeightsSource("preset" if weights == "imagenet" else RANDOM)
        if weights not in ("imagenet", None):
            source = _load_user_file(loaded, weights)
        return _open_model(loaded, preprocess, parts, source)
    if _is_file(Path(name, "saved_model.pb")):
        raise InputError(f"model {name} cannot be explained. {NO_SAVED_MODEL}")
    if Path(name).suffix and _is_file(Path(name)):
        raise InputError(f"model file {name} cannot be read: {why_unreadable(Path(name))}")
    return _open_application(find_application(name), weights, preprocess, parts)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # It is longer than names can be.
        return False


def _open_model(
    model: keras.Model,
    preprocess: Preprocess | str | None,
    parts: Mapping[str, Any],
    source: WeightsSource,
) -> Network:
    converter = getattr(getattr(model, "preprocessor", None), "image_converter", None)
    if preprocess is None and converter is not None:
        preprocess = converter
    network = Network(model, preprocess=preprocess, weights=source, **parts)
    if preprocess is None and _is_application(network) and _prepares_nothing(network):
        warnings.warn(
            f"model {model.name!r} gets pictures as they are: its Keras Application expects "
            "preprocessed ones. Give preprocess='caffe', 'tf' or 'torch', or 'none' if they "
            "are preprocessed already.",
            stacklevel=4,
        )
    if not network.meaning.sure and network.meaning.kind != "softmax":
        warnings.warn(network.output_doubt, stacklevel=4)
    return network


def takes_unscaled_pixels(network: Network) -> bool:
    """Whether values in 0..255 go into the first convolution of a network of grey or RGB pictures.

    A Keras Application is told of when it is opened.
    """
    of_pictures = network.sees_pictures and network.channels in (1, 3) and not network.takes_pixels
    return of_pictures and not _is_application(network) and _prepares_nothing(network)


def _is_application(network: Network) -> bool:
    """Whether it is a Keras Application that wants preprocessing, or one is in it."""
    names = {part for step in network.graph.picture_steps for part in step.name.split("/")}
    known = any(needs_preprocessing(each) for each in (network.name, *names))
    return known or holds_mark(names)


def _prepares_nothing(network: Network) -> bool:
    """Whether the first layer with weights gets the picture's values as they come."""
    if network.own_preprocessing.steps:
        return False
    for step in network.graph.picture_steps:
        if step.is_trained:
            return not isinstance(step.layer, keras.layers.BatchNormalization)
        kind = type(step.layer).__name__
        moves = bool(step.traits & (Trait.REARRANGES | Trait.SAME_VALUES))
        if not moves and kind != "Resizing" and not kind.startswith("Random"):
            return False
    return True


def _open_application(
    application: Application,
    weights: str | os.PathLike[str] | None,
    preprocess: Preprocess | str | None,
    parts: Mapping[str, Any],
) -> Network:
    if weights == "imagenet":
        built, source = load_application(application)
    else:
        built = application.build(weights=None)
        source = WeightsSource(RANDOM) if weights is None else _load_user_file(built, weights)
    network = Network(
        built,
        preprocess=preprocess or application.preprocessing,
        default_layer=application.default_layer or None,
        weights=source,
        class_names=parts["class_names"],
        scores=parts["scores"],
        grid=parts["grid"],
        deferred=True,
    )
    network.takes_pixels = preprocess != "none"
    return network


def _load_user_file(model: keras.Model, weights: str | os.PathLike[str]) -> WeightsSource:
    file = local_copy(as_path(weights))
    if file.is_file() and file.suffix == ".h5":
        check_it_ends(file)
    return load_file(model, file)
