"""The metrics of a few pictures: from what was read to rows.

The class of a metric is fixed from the whole picture. The zone metrics look at the picture as the
network sees it; pointing game, Dice and IoU at the picture's own size. Masked pictures of all
methods and masks go through the network in common batches.
"""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import tensorflow as tf

from guidedcam_tf import metrics
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import union
from guidedcam_tf.evaluation.config import Protocol
from guidedcam_tf.evaluation.rows import EMPTY_MAP
from guidedcam_tf.evaluation.rows import Row
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.together import Together

ZONES = ("saliency_increase", "context_drop", "saliency_drop", "context_increase")
OBJECTS = ("pointing_game", "dice", "iou")
UNMAPPED = "no ImageNet class"


@dataclass(frozen=True)
class Group:
    """Methods that are computed together, by their labels in the tables.

    Attributes:
        methods: The methods by their labels.
        only: The identifiers of the pictures that they are computed on; `None` for all.
    """

    methods: Mapping[str, Method]
    only: frozenset[str] | None = None

    def covers(self, image: str) -> bool:
        """Whether the methods are computed on a picture."""
        return self.only is None or image in self.only

    @cached_property
    def method(self) -> Method:
        """The one method that computes them all."""
        methods = tuple(self.methods.values())
        return methods[0] if len(methods) == 1 else Together(methods)  # type: ignore[arg-type]

    @property
    def outputs(self) -> dict[str, str]:
        """Where each label's map is in what the method returns."""
        if len(self.methods) == 1:
            return dict.fromkeys(self.methods, "saliency")
        return {label: str(place) for place, label in enumerate(self.methods)}


def group_methods(
    methods: Mapping[str, Method], parts: Mapping[str, frozenset[str]] | None = None
) -> list[Group]:
    """Put the one-pass methods into one group, and each other method into one of its own.

    Args:
        methods: The methods by their labels.
        parts: For the labels that are computed on a part of the pictures, these pictures.
    """
    parts = parts or {}
    one_pass = {
        label: method
        for label, method in methods.items()
        if isinstance(method, GradientMethod) and label not in parts
    }
    others = [
        Group({label: method}, parts.get(label))
        for label, method in methods.items()
        if label not in one_pass
    ]
    return ([Group(one_pass)] if one_pass else []) + others


@dataclass(frozen=True)
class Pair:
    """A picture and a class to explain.

    Attributes:
        place: The picture's place in the chunk.
        class_name: The class's name in the data set.
        target: The class index; -1 where no class stands for the object.
        label: The object; `None` for the clean prediction, which the zone metrics look at.
    """

    place: int
    class_name: str
    target: int
    label: Label | None


class Chunk:
    """A few pictures as the network sees them, and its clean predictions."""

    def __init__(self, explainer: Explainer, pictures: Sequence[Loaded]) -> None:
        self.pictures = pictures
        pipeline = explainer.pipeline
        self.images = tf.concat([pipeline.fitted(p.picture[None]) for p in pictures], axis=0)
        self.inputs = pipeline.network.preprocess(self.images)
        logits = pipeline.logits(self.images)
        self.logits = logits.numpy()
        self.probabilities = pipeline.network.probabilities(logits).numpy()


class Scorer:
    """Turns chunks into rows under one protocol.

    Args:
        explainer: The network, layer and post-processing.
        protocol: The choices.
        wanted: The metrics' names.
        batch_size: How many masked pictures go through the network together.
    """

    def __init__(
        self, explainer: Explainer, protocol: Protocol, wanted: Sequence[str], batch_size: int
    ) -> None:
        self._explainer = explainer
        self._protocol = protocol
        self._wanted = wanted
        self._batch_size = batch_size
        self._rule = metrics.MaskRule(protocol.mask.kind, protocol.mask.value)
        self._fill = _fill(explainer, protocol)

    def chunk(self, pictures: Sequence[Loaded]) -> Chunk:
        """Predict the clean pictures."""
        return Chunk(self._explainer, pictures)

    def rows(self, chunk: Chunk, group: Group) -> list[Row]:
        """Explain every pair of a chunk by the methods of a group, and measure the maps."""
        covered = [i for i, picture in enumerate(chunk.pictures) if group.covers(picture.id)]
        pairs = [pair for place in covered for pair in self._pairs(chunk, place)]
        maps = self._raw_maps(chunk, group, [pair for pair in pairs if pair.target >= 0])
        zones = self._zone_rows(chunk, group, pairs, maps)
        objects = [
            row
            for label in group.methods
            for pair in pairs
            for row in self._object_rows(chunk, label, pair, maps)
        ]
        return zones + objects

    def _pairs(self, chunk: Chunk, place: int) -> list[Pair]:
        names = self._explainer.network.classes.names
        top = int(chunk.logits[place].argmax())
        clean = Pair(place, names[top], top, None)
        labels = chunk.pictures[place].labels
        pairs = [clean] if self._protocol.zone_class == "top1" and self._zone_metrics else []
        if not (self._object_metrics or self._protocol.zone_class == "object"):
            return pairs
        if self._protocol.object_class == "top1":
            return [*pairs, Pair(place, "any", top, union(labels))] if labels else pairs
        for label in labels:
            ids = list(label.class_ids)
            best = ids[int(chunk.logits[place][ids].argmax())] if ids else -1
            pairs.append(Pair(place, label.name, best, label))
        return pairs

    @cached_property
    def _zone_metrics(self) -> list[str]:
        return [name for name in ZONES if name in self._wanted]

    @cached_property
    def _object_metrics(self) -> list[str]:
        return [name for name in OBJECTS if name in self._wanted]

    def _raw_maps(
        self, chunk: Chunk, group: Group, pairs: Sequence[Pair]
    ) -> dict[tuple[str, int, int], np.ndarray]:
        """Raw maps `[h, w]` by label, place and target; each is computed once.

        Pictures with as many targets go through together, so that no target is computed as padding.
        """
        targets: dict[int, list[int]] = {}
        for pair in pairs:
            listed = targets.setdefault(pair.place, [])
            if pair.target not in listed:
                listed.append(pair.target)
        found = {}
        for width in {len(listed) for listed in targets.values()}:
            places = [place for place, listed in targets.items() if len(listed) == width]
            ids = tf.constant([targets[place] for place in places], tf.int32)
            images = tf.gather(chunk.images, places)
            result = self._explainer.pipeline.explain(group.method, images, ids)
            for label, output in group.outputs.items():
                maps = result[output].numpy()
                for row, place in enumerate(places):
                    for column, target in enumerate(targets[place]):
                        found[label, place, target] = maps[row, column]
        return found

    def _zone_rows(
        self,
        chunk: Chunk,
        group: Group,
        pairs: Sequence[Pair],
        raw: Mapping[tuple[str, int, int], np.ndarray],
    ) -> list[Row]:
        wanted_label = self._protocol.zone_class == "object"
        measured = [pair for pair in pairs if (pair.label is not None) == wanted_label]
        measured = [pair for pair in measured if pair.target >= 0]
        if not measured or not self._zone_metrics:
            return []
        keys = [(label, pair) for label in group.methods for pair in measured]
        stacked = np.stack([raw[label, pair.place, pair.target] for label, pair in keys])
        size = chunk.inputs.shape[1:3]
        maps = self._explainer.pipeline.finish_fitted(stacked, size).numpy()
        areas = self._protocol.areas
        matched = metrics.area_matched_masks(maps, areas) if areas else None
        masks = [self._rule(maps), *(matched[:, i] for i in range(len(areas)))]  # type: ignore[index]
        zones = [self._masked(chunk, keys, mask) for mask in masks]
        rows = []
        for area, (saliency, context) in zip(["", *map(str, areas)], zones, strict=True):
            clean = np.array([chunk.probabilities[pair.place, pair.target] for _, pair in keys])
            scores = metrics.zone_scores(clean, saliency, context)
            for at, (label, pair) in enumerate(keys):
                note = "" if maps[at].any() else EMPTY_MAP
                rows += [
                    self._row(chunk, pair, label, name, float(scores[name][at]), note, area)
                    for name in self._zone_metrics
                ]
        return rows

    def _masked(
        self, chunk: Chunk, keys: Sequence[tuple[str, Pair]], masks: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The class's probability on each key's saliency image and context image."""
        places = np.array([pair.place for _, pair in keys])
        targets = np.array([pair.target for _, pair in keys])
        saliency, context = (
            self._explainer.pipeline.masked_probabilities(
                chunk.inputs, places, part, self._fill, self._batch_size
            ).numpy()[np.arange(len(keys)), targets]
            for part in (masks, ~masks if masks.dtype == bool else 1 - masks)
        )
        return saliency, context

    def _object_rows(
        self,
        chunk: Chunk,
        label: str,
        pair: Pair,
        raw: Mapping[tuple[str, int, int], np.ndarray],
    ) -> list[Row]:
        if pair.label is None or not self._object_metrics:
            return []
        if pair.target < 0:
            return [
                self._row(chunk, pair, label, name, np.nan, UNMAPPED)
                for name in self._object_metrics
            ]
        picture = chunk.pictures[pair.place]
        size = (picture.picture.shape[0], picture.picture.shape[1])
        raw_map = raw[label, pair.place, pair.target][None]
        saliency = self._explainer.pipeline.finish(raw_map, size).numpy()[0]
        remark = "" if saliency.any() else EMPTY_MAP
        scores = self._object_scores(saliency, pair.label, picture.void)
        return [
            self._row(chunk, pair, label, name, value, why or remark)
            for name, (value, why) in scores.items()
        ]

    def _object_scores(
        self, saliency: np.ndarray, label: Label, void: np.ndarray | None
    ) -> dict[str, tuple[float, str]]:
        """Each wanted metric's value, and why it is NaN."""
        scores: dict[str, tuple[float, str]] = {}
        if "pointing_game" in self._wanted:
            truth = self._pointing_truth(label, (saliency.shape[0], saliency.shape[1]))
            if truth is None:
                scores["pointing_game"] = (np.nan, "no box and no mask")
            else:
                tolerance = self._protocol.tolerance
                value = metrics.pointing_game(saliency, truth, tolerance=tolerance)
                scores["pointing_game"] = (value, "" if truth.any() else "all boxes difficult")
        for name in ("dice", "iou"):
            if name not in self._wanted:
                continue
            if label.mask is None:
                scores[name] = (np.nan, "no mask")
            else:
                found = metrics.overlap(self._rule(saliency), label.mask, void=void)
                scores[name] = (getattr(found, name), "")
        return scores

    def _pointing_truth(self, label: Label, size: tuple[int, int]) -> np.ndarray | None:
        if self._protocol.pointing_truth == "masks" or label.boxes is None:
            return label.mask
        return metrics.box_mask(np.array(label.boxes, float), size, label.difficult or None)

    def _row(
        self,
        chunk: Chunk,
        pair: Pair,
        method: str,
        metric: str,
        value: float,
        note: str,
        area: str = "",
    ) -> Row:
        image = chunk.pictures[pair.place].id
        return Row(image, pair.class_name, pair.target, method, metric, area, float(value), note)


def _fill(explainer: Explainer, protocol: Protocol) -> np.ndarray | float:
    if protocol.fill == "mean":
        return 0.0
    channels = explainer.network.channels or 3
    return explainer.network.preprocess(tf.zeros([1, 1, 1, channels])).numpy()[0, 0, 0]
