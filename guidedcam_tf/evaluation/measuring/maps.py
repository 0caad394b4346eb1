"""A run's maps: at one layer or fused from several, of classes or of a segmentation's regions."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.evaluation.measuring.groups import Group
from guidedcam_tf.evaluation.measuring.pairs import Chunk
from guidedcam_tf.evaluation.measuring.pairs import Pair
from guidedcam_tf.fusing import Fusion
from guidedcam_tf.fusing import fuse_maps
from guidedcam_tf.methods import Method
from guidedcam_tf.pipeline import Pipeline
from guidedcam_tf.targets import region
from guidedcam_tf.targets import resolve

Raw = tuple[np.ndarray, ...]
"""One map as the method gives it, `[h, w]` for each layer."""

Values = dict[str, np.ndarray]
"""What a network's further inputs get with each of N pictures, `[N, ...]` by name."""

RawMaps = Mapping[tuple[str, int, int], Raw]
"""Raw maps by method's label, place and class index."""


@dataclass(frozen=True)
class MapMaker:
    """Explains pictures and finishes the maps.

    Attributes:
        pipelines: The network at each of the layers.
        fusion: What makes one map of theirs, where there are several.
    """

    pipelines: tuple[Pipeline, ...]
    fusion: Fusion | None = None

    def raw(self, chunk: Chunk, group: Group, pairs: Sequence[Pair]) -> RawMaps:
        """Compute the raw maps of pairs that have a class; each is computed once.

        Pictures with as many targets go through together, so that no target is computed as padding.

        Raises:
            InputError: If a pair has no class.
        """
        targets: dict[int, list[int]] = {}
        for pair in pairs:
            listed = targets.setdefault(pair.place, [])
            if pair.class_id not in listed:
                listed.append(pair.class_id)
        found: dict[tuple[str, int, int], Raw] = {}
        for width in {len(listed) for listed in targets.values()}:
            places = [place for place, listed in targets.items() if len(listed) == width]
            ids = np.array([targets[place] for place in places], np.int32)
            images, values = tf.gather(chunk.images, places), chunk.values_of(places)
            layers = self._explain(group.method, images, ids, values)
            for label, output in group.outputs.items():
                maps = [result[output].numpy() for result in layers]
                for row, place in enumerate(places):
                    for column, target in enumerate(targets[place]):
                        found[label, place, target] = tuple(each[row, column] for each in maps)
        return found

    def of_pictures(
        self, method: Method, pictures: np.ndarray, class_id: int, values: Values
    ) -> np.ndarray:
        """The finished maps `[N, H, W]` of pictures at the network's size for one class.

        Args:
            method: The method.
            pictures: Float32 `[N, H, W, C]`.
            class_id: The class.
            values: What further inputs get with all of them, `[1, ...]` by name.
        """
        ids = np.full([len(pictures), 1], class_id, np.int32)
        values = {name: np.repeat(value, len(ids), axis=0) for name, value in values.items()}
        layers = self._explain(method, tf.constant(pictures), ids, values)
        saliency = [result["saliency"].numpy()[:, 0] for result in layers]
        return self.finish_fitted(list(zip(*saliency, strict=True)), pictures.shape[1:3])

    def finish(self, raw: Sequence[Raw], size: Sequence[int]) -> np.ndarray:
        """Raw maps at the picture's own size, `[M, H, W]`; see `Pipeline.finish`."""
        return self._fused([p.finish(maps, size) for p, maps in self._by_layer(raw)])

    def finish_fitted(self, raw: Sequence[Raw], size: Sequence[int]) -> np.ndarray:
        """Raw maps at the network's size, `[M, H, W]`."""
        return self._fused([p.finish_fitted(maps, size) for p, maps in self._by_layer(raw)])

    def _by_layer(self, raw: Sequence[Raw]) -> list[tuple[Pipeline, np.ndarray]]:
        stacked = [np.stack(maps) for maps in zip(*raw, strict=True)]
        return list(zip(self.pipelines, stacked, strict=True))

    def _fused(self, finished: list[tf.Tensor]) -> np.ndarray:
        maps = np.stack([each.numpy() for each in finished])
        return maps[0] if self.fusion is None else fuse_maps(maps, self.fusion)

    def _explain(
        self, method: Method, images: tf.Tensor, ids: np.ndarray, values: Values
    ) -> list[dict[str, Any]]:
        """What the method gives at each layer for classes `[N, T]` of pictures."""
        if self.pipelines[0].network.has_classes:
            targets = tf.constant(ids)
            return [each.explain(method, images, targets, values) for each in self.pipelines]
        asked = [region(column.tolist()) for column in ids.T]
        found = []
        for pipeline in self.pipelines:
            resolved = resolve(asked, pipeline.network, len(ids))
            size = images.shape[1], images.shape[2]
            settled = resolved.settle(pipeline, images, size, slice(0, len(ids)), values)
            scored, places = resolved.pipeline(pipeline), tf.constant(resolved.class_ids)
            found.append(scored.explain(method, images, places, settled.values))
        return found
