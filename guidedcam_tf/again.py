"""Making a map again from the record that was saved beside it."""

from __future__ import annotations

import hashlib
import json
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

from guidedcam_tf.errors import InputError
from guidedcam_tf.explanation import PACKAGES
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.fusing import explain_layers
from guidedcam_tf.methods import get_method
from guidedcam_tf.opening import open_explainer
from guidedcam_tf.ops import Postprocessing


def explain_again(file: Path) -> Explanation:
    """Make an explanation again, of the same picture, network and weights.

    Args:
        file: The JSON that `Explanation.save` wrote.

    Returns:
        The explanation; with other versions of the packages, which is warned of, its numbers may
        differ in their last digits.

    Raises:
        InputError: If the file is no such record; if the picture or the weights are not what they
            were; or if the map came from objects of a Python program, which no file holds.
    """
    record = _read(file)
    origin, made_with = record["origin"], record["versions"]
    _check(file, origin)
    differing = [
        f"{name} {made_with.get(name)}, here {version(name)}"
        for name in PACKAGES
        if made_with.get(name) != version(name)
    ]
    if differing:
        warnings.warn(f"record {file} was made with {'; '.join(differing)}", stacklevel=2)
    layer = origin["layer"] if "fusion" not in origin else None
    explainer = open_explainer(
        {**origin["network"], "layer": layer, "fit": origin["fit"]},
        postprocessing=Postprocessing(**origin["postprocessing"]),
    )
    if explainer.network.weights.sha256 != origin["weights_sha256"]:
        raise InputError(
            f"record {file}: the weights {explainer.network.weights.path} are not those of the "
            "record; put that file in their place"
        )
    method = get_method(origin["method"], **origin["options"])
    path, targets = origin["picture"]["path"], origin["targets"]
    if "fusion" in origin:
        layers, fusion = origin["layer"], origin["fusion"]
        return explain_layers(explainer, path, layers, targets, method, fusion=fusion)[-1]
    return explainer.explain(path, targets, method)


def _check(file: Path, origin: dict[str, Any]) -> None:
    """Refuse what cannot be made again, before a network is opened."""
    path = origin["picture"]["path"]
    lost = [
        what
        for what, there in (
            ("network", origin["network"] is not None),
            ("picture", path is not None),
            ("target", origin["targets"] is not None),
        )
        if not there
    ]
    if lost:
        raise InputError(
            f"record {file}: its {' and '.join(lost)} came from a Python program as objects, not "
            "from files or by name, so only that program can make the map again"
        )
    if not Path(path).is_file():
        raise InputError(f"record {file}: its picture {path} does not exist")
    for name, digest in origin.get("target_files", {}).items():
        mask = Path(name)
        if not mask.is_file() or hashlib.sha256(mask.read_bytes()).hexdigest() != digest:
            raise InputError(
                f"record {file}: its target's mask {mask} is gone or has changed since"
            )
    if hashlib.sha256(Path(path).read_bytes()).hexdigest() != origin["picture"]["sha256"]:
        raise InputError(f"record {file}: its picture {path} has changed since")


def _read(file: Path) -> dict[str, Any]:
    try:
        record = json.loads(file.read_text("utf-8"))
        keys = {"picture", "network", "weights_sha256", "layer", "method", "options", "targets"}
        known = keys | {"postprocessing", "fit"} <= record["origin"].keys() and "versions" in record
    except OSError as error:
        raise InputError(f"record {file} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        known = False
    if not known:
        raise InputError(f"{file} is no record that `guidedcam explain` wrote beside its maps")
    result: dict[str, Any] = record
    return result
