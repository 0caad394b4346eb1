"""The metrics of a few pictures: from what was read to rows.

The class of a metric is fixed from the whole picture. Metrics of masked predictions and of the
picture's map look at the picture as the network sees it; metrics of objects at its own size. Masked
pictures of all methods and masks go through the network in common batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from typing import Any

import numpy as np

from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.samples import Label
from guidedcam_tf.evaluation.config import Protocol
from guidedcam_tf.evaluation.measuring.evidence import black
from guidedcam_tf.evaluation.measuring.evidence import masked_predictions
from guidedcam_tf.evaluation.measuring.evidence import mean_colour
from guidedcam_tf.evaluation.measuring.evidence import object_map
from guidedcam_tf.evaluation.measuring.evidence import picture_map
from guidedcam_tf.evaluation.measuring.evidence import zero_is_black
from guidedcam_tf.evaluation.measuring.groups import Group
from guidedcam_tf.evaluation.measuring.maps import MapMaker
from guidedcam_tf.evaluation.measuring.maps import RawMaps
from guidedcam_tf.evaluation.measuring.pairs import Chunk
from guidedcam_tf.evaluation.measuring.pairs import Pair
from guidedcam_tf.evaluation.measuring.pairs import class_names
from guidedcam_tf.evaluation.rows import EMPTY_MAP
from guidedcam_tf.evaluation.rows import Row
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods.baselines import baseline_inputs
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import MaskedPredictions
from guidedcam_tf.metrics import MaskRule
from guidedcam_tf.metrics import Metric
from guidedcam_tf.metrics import ObjectMap
from guidedcam_tf.metrics import PictureMap
from guidedcam_tf.metrics import area_matched_masks

UNMAPPED = "no class of the network"

NOT_PREDICTED = "class predicted nowhere"
"""Of a segmentation, whose class is explained where it is predicted."""

BY_MASK = "by the mask, as it has no box"

ABSENT = {"truth": "no box and no mask", "mask": "no mask"}


class Scorer:
    """Turns chunks into rows under one protocol.

    Args:
        explainer: The network, layer and post-processing.
        protocol: The choices.
        wanted: The metrics.
        batch_size: How many masked pictures go through the network together.
        maker: What makes the maps; by default the explainer's pipeline.
    """

    def __init__(
        self,
        explainer: Explainer,
        protocol: Protocol,
        wanted: Sequence[Metric],
        batch_size: int,
        maker: MapMaker | None = None,
    ) -> None:
        self._pipeline = explainer.pipeline
        self._maker = maker or MapMaker((explainer.pipeline,))
        self._names = class_names(explainer.network).names
        self._protocol = protocol
        order = {name: place for place, name in enumerate(METRICS)}
        wanted = sorted(wanted, key=lambda metric: order[metric.name])
        self._zones = [metric for metric in wanted if metric.evidence is MaskedPredictions]
        self._pictures = [metric for metric in wanted if metric.evidence is PictureMap]
        self._objects = [metric for metric in wanted if metric.evidence is ObjectMap]
        self._batch_size = batch_size
        self._rule = MaskRule(protocol.mask.kind, protocol.mask.value)
        network = explainer.network
        self._own_mean = zero_is_black(network)
        self._fill = black(network) if protocol.fill == "black" else 0.0
        self._cover = mean_colour(network)

    def chunk(self, pictures: Sequence[Loaded]) -> Chunk:
        """Predict the clean pictures."""
        return Chunk(self._pipeline, pictures)

    def rows(self, chunk: Chunk, group: Group) -> list[Row]:
        """Explain every pair of a chunk by the methods of a group, and measure the maps."""
        whole = bool(self._zones or self._pictures)
        clean = whole and self._protocol.zone_class == "top1"
        objects = bool(self._objects) or self._protocol.zone_class == "object"
        pairs = [
            pair
            for place, picture in enumerate(chunk.pictures)
            if group.covers(picture.id)
            for pair in chunk.pairs(
                place, self._names, self._protocol, clean=clean, objects=objects
            )
        ]
        known = [pair for pair in pairs if pair.target is not None]
        raw = self._maker.raw(chunk, group, known)
        seen = [pair for pair in known if (pair.label is None) == clean] if whole else []
        found = list(self._seen_rows(chunk, group, seen, raw)) if seen else []
        unknown = [] if clean else [pair for pair in pairs if pair.target is None]
        for label in group.methods:
            for pair in unknown:
                found += self._rows_without_class(chunk, label, pair)
            for pair in pairs:
                if pair.label is not None:
                    found += self._object_rows(chunk, label, pair, pair.label, raw)
        return found

    def _rows_without_class(self, chunk: Chunk, method: str, pair: Pair) -> Iterator[Row]:
        """The metrics of the picture, for an object that no class stands for."""
        for metric in self._zones:
            for area in ("", *map(str, self._protocol.areas)):
                yield _row(chunk, pair, method, metric.label, np.nan, UNMAPPED, area)
        for metric in self._pictures:
            yield _row(chunk, pair, method, metric.label, np.nan, UNMAPPED)

    def _seen_rows(
        self, chunk: Chunk, group: Group, pairs: Sequence[Pair], raw: RawMaps
    ) -> Iterator[Row]:
        """The metrics of the picture as the network sees it."""
        keys = [(label, pair) for label in group.methods for pair in pairs]
        found = [raw[label, pair.place, pair.class_id] for label, pair in keys]
        maps = self._maker.finish_fitted(found, chunk.inputs.shape[1:3])
        notes = ["" if saliency.any() else EMPTY_MAP for saliency in maps]
        if self._zones:
            for area, masks in self._masks(maps):
                evidence = self._masked(chunk, keys, masks)
                values = {metric.label: metric.measure(evidence) for metric in self._zones}
                for at, (label, pair) in enumerate(keys):
                    for name, measured in values.items():
                        value = float(measured[at])
                        yield _row(chunk, pair, label, name, value, notes[at], area)
        for (label, pair), saliency, note in zip(keys, maps, notes, strict=True):
            method = group.methods[label]
            cover = chunk.mean_colours[pair.place] if self._own_mean else self._cover
            picture = picture_map(self._maker, method, chunk, pair, saliency, cover)
            for metric in self._pictures:
                yield _row(chunk, pair, label, metric.label, metric.measure(picture), note)

    def _masks(self, maps: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
        """The masks `[M, H, W]` of the protocol's rule, and of each matched area."""
        yield "", self._rule(maps)
        if self._protocol.areas:
            matched = area_matched_masks(maps, self._protocol.areas)
            for place, area in enumerate(self._protocol.areas):
                yield str(area), matched[:, place]

    def _masked(
        self, chunk: Chunk, keys: Sequence[tuple[str, Pair]], masks: np.ndarray
    ) -> MaskedPredictions:
        places = [pair.place for _, pair in keys]
        targets = [pair.class_id for _, pair in keys]
        return masked_predictions(
            self._pipeline,
            chunk.inputs,
            places,
            targets,
            masks,
            clean=chunk.probabilities[places, targets],
            fill=self._covers(chunk),
            batch_size=self._batch_size,
            values=chunk.values,
        )

    def _covers(self, chunk: Chunk) -> Any:
        """What covers masked pixels, in the preprocessed space."""
        if self._protocol.fill == "blur":
            return baseline_inputs(self._pipeline.network, chunk.images, "blur")
        if self._protocol.fill == "mean" and self._own_mean:
            return chunk.mean_inputs
        return self._fill

    def _object_rows(
        self, chunk: Chunk, method: str, pair: Pair, label: Label, raw: RawMaps
    ) -> Iterator[Row]:
        """The metrics of an object in the picture at its own size."""
        if pair.target is None or not self._objects:
            for metric in self._objects:
                note = NOT_PREDICTED if label.class_ids else UNMAPPED
                yield _row(chunk, pair, method, metric.label, np.nan, note)
            return
        picture = chunk.pictures[pair.place]
        raw_map = raw[method, pair.place, pair.target]
        saliency = self._maker.finish([raw_map], picture.picture.shape[:2])[0]
        evidence = object_map(saliency, label, picture.void, self._protocol, self._rule)
        boxes = self._protocol.pointing_truth == "boxes"
        for metric in self._objects:
            value, why = _measured(metric, evidence, label)
            if not why and not saliency.any():
                why = EMPTY_MAP
            elif not why and metric.needs == "truth" and boxes and label.boxes is None:
                why = BY_MASK
            yield _row(chunk, pair, method, metric.label, value, why)


def _measured(metric: Metric, evidence: ObjectMap, label: Label) -> tuple[float, str]:
    """A metric's value, and why it is NaN where what it needs is not there."""
    if metric.needs is None:
        return metric.measure(evidence), ""
    needed = getattr(evidence, metric.needs)
    if needed is None:
        return np.nan, ABSENT[metric.needs]
    if not needed.any():
        difficult = metric.needs == "truth" and label.difficult and all(label.difficult)
        return np.nan, "all boxes difficult" if difficult else "no object"
    return metric.measure(evidence), ""


def _row(
    chunk: Chunk, pair: Pair, method: str, metric: str, value: float, note: str, area: str = ""
) -> Row:
    image = chunk.pictures[pair.place].id
    return Row(image, pair.class_name, pair.target, method, metric, area, float(value), note)
