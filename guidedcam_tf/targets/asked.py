"""What a target is that is no class: it knows its question, and what that takes of each picture."""

from __future__ import annotations

from abc import ABC
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.target_functions import Question
from guidedcam_tf.pipeline import Pipeline


@dataclass(frozen=True, eq=False)
class Scene:
    """Some of the pictures whose targets are asked for.

    Attributes:
        pipeline: The network, as it is.
        fitted: The pictures at the network's size, `[n, H, W, C]`.
        size: Height and width of the pictures themselves.
        part: Which of all pictures they are.
        pictures: How many all pictures are.
    """

    pipeline: Pipeline
    fitted: tf.Tensor
    size: tuple[int, int]
    part: slice
    pictures: int

    @property
    def network(self) -> Network:
        """The network."""
        return self.pipeline.network

    @cached_property
    def outputs(self) -> dict[str, np.ndarray]:
        """The outputs before a final softmax or sigmoid, by name; of one output, by `""`."""
        found = self.pipeline.view.outputs(self.fitted)
        return {name: tensor.numpy() for name, tensor in found.items()}

    def of_each(self, value: Any, what: str, rank: int = 0) -> np.ndarray:
        """A value of these pictures, `[n, ...]`, that was given once, or for each of all pictures.

        Raises:
            InputError: If it was given for another number of pictures.
        """
        array = np.asarray(value)
        if array.ndim == rank:
            return np.repeat(array[None], len(self.fitted), axis=0)
        if array.ndim != rank + 1 or len(array) != self.pictures:
            raise InputError(
                f"{what} must be one for all pictures, or one for each of the {self.pictures}; "
                f"received shape {array.shape}"
            )
        return array[self.part]


@dataclass(frozen=True, eq=False)
class Settled:
    """Targets of n pictures, T of each, once their pictures are known.

    Attributes:
        values: What the question takes, `[n, ...]` each, by name.
        numbers: What the targets are called by number, int `[n, T]`: a class, or a box. Where the
            targets are classes, these are known with the maps.
        names: What they are called, n lists of T.
    """

    values: dict[str, np.ndarray]
    numbers: np.ndarray | None = None
    names: list[list[str]] | None = None


class Asked(ABC):
    """A target that is no class."""

    @classmethod
    @abstractmethod
    def question(cls, targets: Sequence[Any], network: Network) -> Question:
        """Return the question of some targets of this kind, the same for all pictures.

        Raises:
            InputError: If the network has no output for it.
        """

    @classmethod
    @abstractmethod
    def settle(cls, targets: Sequence[Any], scene: Scene) -> Settled:
        """Return what the question takes for these targets of these pictures.

        Raises:
            InputError: If a target is not there in a picture.
        """

    @property
    def file(self) -> Path | None:
        """The file that says what the target is, if one does."""
        return None

    @property
    @abstractmethod
    def words(self) -> str | None:
        """The target as a text that means the same; `None` where none does."""


def find_class(network: Network, count: int, class_id: Any) -> int:
    """The index of a class, of an output with that many, from an index or a name."""
    classes = network.names_of(count)
    if isinstance(class_id, str):
        return classes.find(str(class_id))
    if isinstance(class_id, (bool, np.bool_)) or not isinstance(class_id, (int, np.integer)):
        raise InputError(f"class_id must be an index or a class name; received {shown(class_id)}")
    return classes.check(int(class_id))


def listed(value: Any) -> Any:
    """A value that may be a list of names or numbers, one for each picture, as an array."""
    return np.asarray(value, object) if isinstance(value, (list, tuple, np.ndarray)) else value
