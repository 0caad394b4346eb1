"""What a person on the page looks at: a picture, its best classes and an explanation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from guidedcam_tf.arrays import as_input
from guidedcam_tf.data.decoding import opened
from guidedcam_tf.data.pictures import read
from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.explanation import Explanation

SHOWN_SIDE = 1024
"""Pixels of the longer side of what the page shows; maps are computed from the whole picture."""

BEST = 5

MAX_PIXELS = 50_000_000
"""Pictures with more are refused before they are decoded, which takes up to 20 bytes for each."""


@dataclass(frozen=True)
class Choice:
    """A class that can be chosen: its index, and its name with its probability."""

    index: int
    label: str


@dataclass(frozen=True)
class Sight:
    """What a person looks at.

    Attributes:
        file: The picture's file.
        best: Its best classes.
        explanation: One map of it, no larger than `SHOWN_SIDE`.
    """

    file: Path
    best: tuple[Choice, ...]
    explanation: Explanation

    @property
    def target(self) -> int:
        """The class whose map is shown."""
        return int(self.explanation.targets[0])


def look_at(explainer: Explainer, file: Path, method: str, max_pixels: int = MAX_PIXELS) -> Sight:
    """Classify a picture and explain its best class.

    Raises:
        InputError: If the picture cannot be read or has too many pixels, or if the method does not
            go with the network; the message calls the picture by its name alone.
    """
    check_pixels(file, max_pixels)
    best = best_classes(explainer, file)
    return Sight(file, best, explained(explainer, file, best[0].index, method))


def best_classes(explainer: Explainer, file: Path, count: int = BEST) -> tuple[Choice, ...]:
    """The classes that the network gives a picture, the best first."""
    network = explainer.network
    with by_its_name(file):
        fitted = explainer.pipeline.fitted(as_input(read(file), network)[None])
    logits = explainer.forward(fitted)
    scores = network.probabilities(logits).numpy()[0]
    # Where a sigmoid saturates, only the logits tell its classes apart.
    order = np.argsort(-logits.numpy()[0], kind="stable")[:count]
    form = ".4g" if network.quantity == "value" else ".1%"
    names = network.classes.names
    return tuple(Choice(int(i), f"{names[i]}: {scores[i]:{form}}") for i in order)


def explained(explainer: Explainer, file: Path, target: int, method: str) -> Explanation:
    """Explain one class of a picture, and return that at the size in which it is shown."""
    with by_its_name(file):
        return reduced(explainer.explain(file, target, method))


def reduced(explanation: Explanation, side: int = SHOWN_SIDE) -> Explanation:
    """Shrink a large explanation's picture and maps, by the mean of the pixels that fall together.

    Its `raw` and `origin` stay.
    """
    scale = side / max(explanation.height, explanation.width)
    if scale >= 1:
        return explanation
    size = (
        max(1, round(explanation.width * scale)),
        max(1, round(explanation.height * scale)),
    )
    maps = [cv2.resize(each, size, interpolation=cv2.INTER_AREA) for each in explanation.maps]
    picture = cv2.resize(explanation.picture, size, interpolation=cv2.INTER_AREA)
    return replace(explanation, picture=picture, maps=np.stack(maps))


def whole(explainer: Explainer, sight: Sight) -> Explanation:
    """The same explanation at the picture's own size, as `Explainer.explain` returns it."""
    with by_its_name(sight.file):
        picture = read(sight.file).shown
    maps = explainer.pipeline.finish(sight.explanation.raw, picture.shape[:2]).numpy()
    return replace(sight.explanation, picture=picture, maps=maps)


def check_pixels(file: Path, max_pixels: int) -> None:
    """Refuse a picture with too many pixels by what its file says, before it is decoded.

    Raises:
        InputError: If it has more, or if the file is no picture.
    """
    if file.suffix.lower() == ".npy":
        return
    with by_its_name(file), opened(file) as image:
        if image.width * image.height > max_pixels:
            raise InputError(
                f"{file} is {image.width} x {image.height} pixels, over this page's limit of "
                f"{max_pixels:,} pixels; make it smaller"
            )


@contextmanager
def by_its_name(file: Path) -> Iterator[None]:
    """Keep the folder of a file out of messages: its sender knows it by its name."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace(str(file), file.name)) from error
