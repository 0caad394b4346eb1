"""What metrics measure from: three kinds of evidence about a picture, a class and a map."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from guidedcam_tf.metrics.checks import check_maps
from guidedcam_tf.metrics.masks import MaskRule


@dataclass(frozen=True, eq=False)
class MaskedPredictions:
    """The class's softmax probability on whole pictures, and on the two parts of each by a mask.

    Attributes:
        clean: Y, on the whole pictures, any shape.
        saliency: O, on the saliency images, of a shape that broadcasts with it.
        context: O, on the context images, likewise.
    """

    clean: np.ndarray
    saliency: np.ndarray
    context: np.ndarray


@dataclass(frozen=True, eq=False)
class ObjectMap:
    """A map at the picture's own size, and where the object is.

    Attributes:
        saliency: The map H, `[H, W]` in `[0, 1]`.
        truth: What a point must hit, bool `[H, W]`: the union of the object's boxes, or its mask;
            `None` where the data set has neither. A metric that needs it is not asked then.
        mask: The object's pixels, bool `[H, W]`, or `None`, likewise.
        void: Pixels that belong to no class and are left out of overlaps, bool `[H, W]`, or `None`.
        rule: What makes a mask of the map.
        tolerance: The pointing game's, in pixels.
    """

    saliency: np.ndarray
    truth: Any
    mask: Any
    void: np.ndarray | None
    rule: MaskRule
    tolerance: float

    @cached_property
    def predicted(self) -> np.ndarray:
        """The map's mask by the rule, `[H, W]`."""
        return self.rule(self.saliency)


@dataclass(frozen=True, eq=False)
class PictureMap:
    """A map at the network's size, and what network and method say of other pictures.

    Attributes:
        saliency: The map H, `[H, W]` in `[0, 1]`.
        picture: The picture at the network's size, float32 `[H, W, C]` in 0..255.
        inputs: The same preprocessed, float32 `[H, W, C]`.
        clean: Y, the class's probability for the picture.
        probabilities: From preprocessed pictures `[B, H, W, C]` to the class's probabilities `[B]`.
        maps: From pictures `[B, H, W, C]` in 0..255 to the class's maps `[B, H, W]` in `[0, 1]`.
        cover: The mean colour that covers what is removed, `[C]` in 0..255: the one which
            preprocessing takes to 0 or, where that is black, the picture's own.
        cover_inputs: The same preprocessed.
    """

    saliency: np.ndarray
    picture: np.ndarray
    inputs: np.ndarray
    clean: float
    probabilities: Callable[[np.ndarray], np.ndarray]
    maps: Callable[[np.ndarray], np.ndarray]
    cover: np.ndarray
    cover_inputs: np.ndarray

    def __post_init__(self) -> None:
        """Raise `InputError` if the map is another."""
        object.__setattr__(self, "saliency", check_maps(self.saliency, unit=True, single=True))
