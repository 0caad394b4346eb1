"""A few pictures as the network sees them, and the classes that are explained in each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from guidedcam_tf.arrays import as_input
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import union
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import Protocol
from guidedcam_tf.evaluation.measuring.inputs import stacked
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.pipeline import Pipeline
from guidedcam_tf.targets.regions import predicted


@dataclass(frozen=True)
class Pair:
    """A picture and a class to explain.

    Attributes:
        place: The picture's place in the chunk.
        class_name: The class's name in the data set.
        target: The class index; `None` where no class stands for the object.
        label: The object; `None` for the clean prediction.
    """

    place: int
    class_name: str
    target: int | None
    label: Label | None

    @property
    def class_id(self) -> int:
        """The class index. Raises `InputError` where there is none, so that none is explained."""
        if self.target is None:
            raise InputError(f"class {self.class_name!r} stands for no class of the network")
        return self.target


def class_names(network: Network) -> ClassNames:
    """The names of the classes of a classifier or a segmentation.

    Raises:
        InputError: If the network has other outputs.
    """
    shape = network.graph.output_shape
    if network.has_classes:
        return network.classes
    if network.graph.ends or len(shape) != 4 or shape[-1] is None:
        ends = ", ".join(network.graph.ends)
        raise InputError(
            f"evaluate measures the maps of classes, [N, classes], or of a segmentation, "
            f"[N, h, w, classes]; model {network.name!r} "
            + (f"has the outputs {ends}: name one with output" if ends else f"gives {shape}")
        )
    return network.names_of(shape[-1])


class Chunk:
    """A few pictures at the network's size, and its clean predictions.

    Args:
        pipeline: The network.
        pictures: What was read.

    Attributes:
        images: Float32 `[N, H, W, C]` in 0..255.
        inputs: The same preprocessed.
        values: What the network's further inputs get with them, `[N, ...]` by name.
        logits: Float32 `[N, classes]`; of a segmentation `[N, h, w, classes]`.
        probabilities: Likewise.
        scores: What the classes of a picture are compared by, `[N, classes]`: the logits; of a
            segmentation, at how many positions each is predicted.
    """

    def __init__(self, pipeline: Pipeline, pictures: Sequence[Loaded]) -> None:
        self.pipeline = pipeline
        self.pictures = pictures
        network = pipeline.network
        inputs = [as_input(picture.content, network)[None] for picture in pictures]
        self.images = tf.concat([pipeline.fitted(image) for image in inputs], axis=0)
        self.inputs = pipeline.network.preprocess(self.images)
        self.values = stacked([picture.values for picture in pictures])
        with WithValues(self.values):
            logits = pipeline.logits(self.images)
        self.logits: np.ndarray = logits.numpy()
        self.probabilities: np.ndarray = pipeline.network.probabilities(logits).numpy()
        self.scores = self.logits
        if not network.has_classes:
            self.scores = predicted(network, self.logits).sum(axis=(1, 2))

    def values_of(self, places: Sequence[int]) -> dict[str, np.ndarray]:
        """What further inputs get with some of the pictures."""
        return {name: value[list(places)] for name, value in self.values.items()}

    @property
    def mean_colours(self) -> np.ndarray:
        """Each picture's mean colour, in 0..255, `[N, C]`."""
        found: np.ndarray = tf.reduce_mean(self.images, [1, 2]).numpy()
        return found

    @property
    def mean_inputs(self) -> tf.Tensor:
        """What preprocessing makes of each picture's mean colour, `[N, 1, 1, C]`."""
        return self.pipeline.network.preprocess(tf.constant(self.mean_colours)[:, None, None])

    def pairs(
        self, place: int, names: Sequence[str], protocol: Protocol, *, clean: bool, objects: bool
    ) -> list[Pair]:
        """Return what is explained in a picture.

        Args:
            place: The picture's place in the chunk.
            names: The network's names of its classes.
            protocol: Which classes stand for the objects. Of a segmentation, none that is predicted
                nowhere.
            clean: Whether the clean prediction is among them.
            objects: Whether the picture's objects are.
        """
        top = int(self.scores[place].argmax())
        labels = self.pictures[place].labels
        pairs = [Pair(place, names[top], top, None)] if clean else []
        if not objects:
            return pairs
        if protocol.object_class == "top1":
            return [*pairs, Pair(place, "any", top, union(labels))] if labels else pairs
        has_classes = self.pipeline.network.has_classes
        for label in labels:
            ids = list(label.class_ids)
            best = ids[int(self.scores[place][ids].argmax())] if ids else None
            if best is not None and self.scores[place][best] == 0 and not has_classes:
                best = None
            pairs.append(Pair(place, label.name, best, label))
        return pairs
