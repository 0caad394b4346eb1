"""What a map was made of and with, in JSON's types: enough to make it again."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import dataclass
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np

from guidedcam_tf.data import Picture
from guidedcam_tf.data.decoding import Decoded
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.storage import as_path

if TYPE_CHECKING:
    from guidedcam_tf.methods import Method
    from guidedcam_tf.pipeline import Pipeline


@dataclass(frozen=True)
class Asked:
    """What was asked for in a picture.

    Attributes:
        targets: The class indices, or texts that say what the targets are; `None` for functions.
        numbers: The targets' numbers, `[T]`, where they are no classes.
        names: Their names, then.
        files: The files that they name.
        of_picture_only: Whether the picture was all that was given to the network.
    """

    targets: Sequence[int] | Sequence[str] | None
    numbers: np.ndarray | None = None
    names: list[str] | None = None
    files: Sequence[Path] = ()
    of_picture_only: bool = True


@dataclass(frozen=True)
class Setting:
    """All of an explanation that does not depend on the picture and the targets.

    Attributes:
        name: The network's name.
        channels: How many channels the network takes; `None` for any.
        takes_pixels: Whether its preprocessing expects pictures in 0..255.
        scales_pixels: Whether the model itself scales pictures, from 0..255.
        input_size: The spatial extents that it takes.
        classes: The names of its outputs.
        quantity: As in `Explanation`.
        weights: Where its weights came from, in words.
        outputs: The maps that the method computes.
        origin: The origin of its maps, without picture and targets; see `Explanation`.
    """

    name: str
    channels: int | None
    takes_pixels: bool
    scales_pixels: bool
    input_size: tuple[int | None, ...]
    classes: ClassNames
    quantity: str
    weights: str
    outputs: tuple[str, ...]
    origin: Mapping[str, Any]

    def explanation(
        self,
        picture: Picture,
        content: Decoded,
        arrays: Mapping[str, np.ndarray],
        asked: Asked | None = None,
    ) -> Explanation:
        """Put together what was computed.

        Args:
            picture: The picture as it was given.
            content: What was read of it.
            arrays: The finished `"maps"`, `[T, H, W]`, the raw ones by the names in `outputs`,
                `[T, h, w]`, the `"class_ids"`, `[T]`, and the `"probabilities"`, `[classes]`.
            asked: What was asked for, where it is more than classes of the picture.
        """
        class_ids = arrays["class_ids"].astype(int)
        asked = asked or Asked(class_ids.tolist())
        classes, is_file = self.classes, isinstance(picture, (str, os.PathLike))
        named = picture if asked.of_picture_only else None
        return Explanation(
            picture=content.shown,
            maps=arrays["maps"],
            raw=arrays[self.outputs[0]],
            intermediates={name: arrays[name] for name in self.outputs[1:]},
            targets=class_ids if asked.numbers is None else asked.numbers,
            names=asked.names or [classes.names[index] for index in class_ids],
            wnids=[classes.wnids[index] for index in class_ids] if classes.wnids else [],
            probabilities=arrays["probabilities"][class_ids],
            model=self.name,
            layer=self.origin["layer"],
            method=self.origin["method"],
            weights=self.weights,
            stem=Path(picture).stem if is_file else "picture",  # type: ignore[arg-type]
            quantity=self.quantity,
            origin={
                "picture": _file_of(named, content),
                **self.origin,
                "targets": asked.targets,
                "target_files": {str(path): _digest(path.read_bytes()) for path in asked.files},
            },
        )


def setting_of(pipeline: Pipeline, method: Method, network: Mapping[str, Any] | None) -> Setting:
    """Return the setting of a pipeline's maps.

    Args:
        pipeline: What makes the maps.
        method: The method.
        network: What opened the network, as `in_words` returns it.
    """
    opened = pipeline.network
    return Setting(
        name=opened.name,
        channels=opened.channels,
        takes_pixels=opened.takes_pixels,
        scales_pixels=opened.scales_pixels,
        input_size=opened.input_size,
        classes=opened.classes,
        quantity=opened.quantity,
        weights=opened.weights.source,
        outputs=method.outputs,
        origin={
            "network": network,
            "weights_sha256": opened.weights.sha256,
            "layer": pipeline.layer,
            "method": method.name,
            "options": {each.name: getattr(method, each.name) for each in fields(method)},
            "postprocessing": asdict(pipeline.postprocessing),
            "fit": pipeline.fit,
            "input_size": list(opened.input_size),
            "runtime": pipeline.runtime.name,
            "precision": pipeline.runtime.precision,
        },
    )


def _file_of(picture: Picture | None, content: Decoded) -> dict[str, str | None]:
    file = as_path(picture).absolute() if isinstance(picture, (str, os.PathLike)) else None
    values = content.shown if content.values is None else content.values
    encoded = values.tobytes() if file is None else file.read_bytes()
    return {
        "path": None if file is None else str(file),
        "sha256": _digest(encoded),
    }


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


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
