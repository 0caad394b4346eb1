"""What a map was made of and with, in JSON's types: enough to make it again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import fields
from pathlib import Path
from typing import Any

from guidedcam_tf.data import Picture
from guidedcam_tf.data.decoding import Decoded
from guidedcam_tf.methods import Method
from guidedcam_tf.pipeline import Pipeline
from guidedcam_tf.storage import as_path
from guidedcam_tf.targets import Resolved


def origin_of(
    picture: Picture | None,
    content: Decoded,
    network: Mapping[str, Any] | None,
    pipeline: Pipeline,
    method: Method,
    resolved: Resolved,
    class_ids: Sequence[int],
) -> dict[str, Any]:
    """Return the origin of a picture's maps.

    Args:
        picture: The picture as it was given; `None` if that was not all that was given.
        content: What was read of it.
        network: What opened the network, as `in_words` returns it.
        pipeline: What made the maps.
        method: The method.
        resolved: The targets.
        class_ids: The class indices that they are, if they are classes.
    """
    file = as_path(picture).absolute() if isinstance(picture, (str, os.PathLike)) else None
    values = content.shown if content.values is None else content.values
    encoded = values.tobytes() if file is None else file.read_bytes()
    return {
        "picture": {
            "path": None if file is None else str(file),
            "sha256": hashlib.sha256(encoded).hexdigest(),
        },
        "network": network,
        "weights_sha256": pipeline.network.weights.sha256,
        "layer": pipeline.layer,
        "method": method.name,
        "options": {each.name: getattr(method, each.name) for each in fields(method)},
        "targets": resolved.words if resolved.asked else list(class_ids),
        "target_files": {
            str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in resolved.files
        },
        "postprocessing": asdict(pipeline.postprocessing),
        "fit": pipeline.fit,
        "runtime": pipeline.runtime.name,
        "precision": pipeline.runtime.precision,
    }


def in_words(**arguments: Any) -> dict[str, Any] | None:
    """Return the arguments that open a network, in JSON's types.

    `None` if an object of Python is among them, which no file can name.
    """
    given = {
        name: value for name, value in arguments.items() if value is not None and value is not False
    }
    if "grid" in given:
        given["grid"] = "x".join(map(str, given["grid"]))
    if not all(isinstance(value, (str, os.PathLike, bool)) for value in given.values()):
        return None
    words = {name: value if value is True else os.fspath(value) for name, value in given.items()}
    for name in words.keys() & {"model", "weights"}:
        if (file := Path(str(words[name]))).is_file():
            words[name] = str(file.absolute())
    return words
