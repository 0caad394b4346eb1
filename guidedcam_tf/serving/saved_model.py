"""Writing an explainer and a method as a SavedModel that TensorFlow Serving runs."""

from __future__ import annotations

import errno
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tensorflow as tf

from guidedcam_tf.arrays import check_sees_pictures
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.errors import without_wrapping
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks.calls import UNNAMED
from guidedcam_tf.serving.defaults import MAX_PIXELS
from guidedcam_tf.serving.defaults import MERGE
from guidedcam_tf.serving.defaults import WARM_UP_SIZES
from guidedcam_tf.serving.endpoints import Endpoints
from guidedcam_tf.serving.endpoints import Signatures
from guidedcam_tf.serving.warm_up import write_warm_up

CLASS_NAMES = "class_names.txt"
EXTRA, WARM_UP = "assets.extra", "tf_serving_warmup_requests"
MANIFEST = f"{EXTRA}/guidedcam.json"
CHECKED = ("model", "layer", "postprocessing", "method", "options", "colour_map")
"""What of the manifest an export is checked by."""
LAST_VERSION = 2**63 - 1


def export(
    explainer: Explainer,
    folder: str | os.PathLike[str],
    method: str | Method = "guided",
    *,
    colour_map: str = "inferno",
    max_pixels: int = MAX_PIXELS,
    merge: int = MERGE,
    **options: Any,
) -> Path:
    """Write an explainer with one method as a version of a servable model.

    The signatures are described in `docs/serving.md`. The folder appears whole or not at all, so a
    server that watches its parent may be running.

    Args:
        explainer: What is served. Its network has one input size, and it squashes pictures.
        folder: `BASE/NAME/VERSION`, the version being a whole number from 1; without it, the next
            version that is free in `BASE/NAME`.
        method: A name from `list_methods()`, or a method, that needs a few passes at most.
        colour_map: Of the overlays; one of `guidedcam_tf.overlay.COLOUR_MAPS`.
        max_pixels: Requests with larger pictures are refused.
        merge: How many encoded pictures of concurrent requests go through the network together; 0
            to run each request by itself.
        **options: The method's options.

    Returns:
        The version's folder.

    Raises:
        InputError: If the method costs too many passes, the version exists already, or an argument
            has another form.
    """
    chosen = exportable(method, **options)
    target = free_version(folder)
    check_explainer(explainer)
    for name, value, least in (("max_pixels", max_pixels, 1), ("merge", merge, 0)):
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise InputError(f"{name} must be a whole number from {least}; received {shown(value)}")
    endpoints = Endpoints(explainer, chosen, colour_map, max_pixels, merge)
    with without_wrapping():
        signatures = endpoints.signatures()
    output_folder(target.parent)
    try:
        with writing(target) as temporary:
            _save(signatures, explainer.network.classes.names, temporary)
            _write_extra(endpoints, signatures, temporary / EXTRA, target.resolve().parent.name)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        raise _is_taken(target) from error
    return target


def exportable(method: str | Method, **options: Any) -> Method:
    """Return a method by its name, with its options, if a server can afford it.

    Raises:
        InputError: If it needs too many passes; or as `get_method` does.
    """
    chosen = get_method(method, **options)
    if chosen.many_passes:
        served = [name for name, known in METHODS.items() if not known.many_passes]
        raise InputError(
            f"method {chosen.name!r} cannot be exported: it needs {chosen.many_passes}, too much "
            f"for a request; expected one of {', '.join(served)}"
        )
    return chosen


def free_version(folder: str | os.PathLike[str]) -> Path:
    """Return the folder of a version that does not exist yet.

    Args:
        folder: `BASE/NAME/VERSION`; or `BASE/NAME`, for the version after the highest there.

    Raises:
        InputError: If the version exists, or is no number that a server takes.
    """
    path = Path(folder)
    number = _number(path)
    if number is None:
        return free_version(_next_version(path))
    if not 1 <= number <= LAST_VERSION or str(number) != path.name:
        raise InputError(
            f"{path}: a version is a whole number from 1 to {LAST_VERSION}, without zeros before it"
        )
    if path.exists() or number in _versions(path.parent):
        raise _is_taken(_versions(path.parent).get(number, path))
    return path


def _is_taken(version: Path) -> InputError:
    return InputError(
        f"{version} exists already, and a version that may be served is not overwritten; "
        f"the next that is free is {_next_version(version.parent)}"
    )


def served_version(folder: str | os.PathLike[str]) -> Path:
    """Return an export's folder: the one given, or the highest version in it.

    Raises:
        InputError: If there is no export.
    """
    path = Path(folder)
    if not (path / "saved_model.pb").exists() and (found := _versions(path)):
        path = found[max(found)]
    if not (path / MANIFEST).exists():
        raise InputError(f"{folder} holds no export of `guidedcam export`: no {path / MANIFEST}")
    return path


def read_manifest(version: Path) -> dict[str, Any]:
    """What an export was made of, from its folder. Raises `InputError` if the file is damaged."""
    file = version / MANIFEST
    try:
        manifest = json.loads(file.read_text("utf-8"))
        missing = [name for name in CHECKED if name not in manifest]
    except (ValueError, TypeError) as error:
        raise InputError(f"{file} is damaged, so make the export again: {error}") from error
    if missing:
        raise InputError(f"{file} is damaged, so make the export again: it has no {missing[0]!r}")
    return manifest


def _next_version(base: Path) -> Path:
    return base / str(1 + max(_versions(base), default=0))


def _versions(base: Path) -> dict[int, Path]:
    """The versions that a server sees, by their numbers."""
    children = base.iterdir() if base.is_dir() else ()
    numbers = {child: _number(child) for child in children}
    return {n: child for child, n in numbers.items() if n is not None and n <= LAST_VERSION}


def _number(path: Path) -> int | None:
    return int(path.name) if re.fullmatch("[0-9]+", path.name) else None


def describe(explainer: Explainer) -> dict[str, Any]:
    """What of an explainer decides its maps, for the manifest."""
    return {
        "model": explainer.network.name,
        "layer": explainer.layer,
        "postprocessing": asdict(explainer.pipeline.postprocessing),
    }


def check_explainer(explainer: Explainer) -> None:
    """Raise `InputError` if no export of any kind can hold an explainer."""
    network = explainer.network
    check_sees_pictures(network, "an export")
    if len(network.graph.output_shape) != 2:
        raise InputError(
            f"the output of {network.name!r} is {network.graph.output_shape}, and an export "
            "explains classes; expected [N, classes]: `guidedcam explain --target`, or "
            "Explainer.explain, explains regions and boxes"
        )
    for weight in network.model.weights:
        if UNNAMED.search(weight.path):
            raise InputError(
                f"{network.name!r} has a weight {weight.path!r}, and TensorFlow saves none of that "
                "name: build the model anew with layers whose names begin with a letter and have "
                "letters of English, digits and _ . - only, and give it the weights, set_weights"
            )
    if network.graph.specs:
        raise InputError(
            f"{network.name} has further inputs, {', '.join(map(repr, network.graph.specs))}, and "
            "an export takes pictures alone; give these one value for all pictures with "
            "fixed_inputs= (in a configuration and on the command line, an NPZ of them)"
        )
    if None in network.input_size:
        raise InputError(
            f"{network.name} takes pictures of any size, and an export needs one; "
            "build the model with an input of a fixed height and width"
        )
    if explainer.pipeline.fit != "squash":
        raise InputError(
            f"an export squashes pictures to {network.input_size}; received an explainer with "
            f"fit={explainer.pipeline.fit!r}"
        )


def _save(signatures: Signatures, names: Sequence[str], folder: Path) -> None:
    file = folder.parent / CLASS_NAMES
    file.write_text("".join(f"{name}\n" for name in names), "utf-8")
    module = tf.Module()
    module.class_names = tf.saved_model.Asset(str(file))
    module.kept = [each for function in signatures.values() for each in function.variables]
    tf.saved_model.save(module, str(folder), signatures=signatures)


def _write_extra(endpoints: Endpoints, signatures: Signatures, folder: Path, model: str) -> None:
    explainer, method = endpoints.explainer, endpoints.method
    folder.mkdir()
    write_warm_up(folder / WARM_UP, model, signatures, explainer.network.input_size, WARM_UP_SIZES)
    manifest = {
        **describe(explainer),
        "weights": explainer.network.weights.source,
        "method": method.name,
        "options": asdict(method),
        "colour_map": endpoints.colour_map,
        "max_pixels": endpoints.max_pixels,
        "merge": endpoints.merge,
        "input_size": explainer.network.input_size,
        "versions": {
            name: version(name) for name in ("guidedcam-tf", "keras", "tensorflow", "numpy")
        },
    }
    (folder.parent / MANIFEST).write_text(json.dumps(manifest, indent=2) + "\n", "utf-8")
