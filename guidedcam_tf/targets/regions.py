"""Targets of a segmentation: a class in a region of the picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from guidedcam_tf.data.mask_files import read_mask_file
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.finite import as_array
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.geometry import box_of
from guidedcam_tf.networks.target_functions import Outputs
from guidedcam_tf.targets.asked import Asked
from guidedcam_tf.targets.asked import Scene
from guidedcam_tf.targets.asked import Settled
from guidedcam_tf.targets.asked import find_class
from guidedcam_tf.targets.asked import listed

BOX = "x_min, y_min, x_max, y_max in pixels from 0, the last two left out"


@dataclass(frozen=True)
class RegionScores:
    """The question of regions: sum over a region of the logits of a class."""

    names: tuple[str, ...]
    arguments: tuple[tuple[str, tf.TensorSpec], ...] = (
        ("classes", tf.TensorSpec([None, None], tf.int32)),
        ("masks", tf.TensorSpec([None] * 4, tf.float32)),
    )

    def __call__(self, outputs: Outputs, given: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return float32 `[N, T]` from logits `[N, h, w, C]`.

        Args:
            outputs: The logits.
            given: `"classes"` `[N, T]`, and `"masks"` `[N, h, w, T]`, 1 in the region.
        """
        # Methods that enlarge the picture get larger outputs.
        masks = tf.image.resize(given["masks"], tf.shape(outputs)[1:3], method="nearest")
        count, height, width, _ = tf.unstack(tf.shape(outputs))
        classes = tf.convert_to_tensor(outputs).shape[-1]
        logits = tf.reshape(outputs, [count, height * width, classes])
        masks = tf.reshape(masks, [count, height * width, -1])
        # OpenVINO cannot gather a class of each picture, nor turn back a product that broadcasts.
        sums = tf.raw_ops.BatchMatMul(x=masks, y=logits, adj_x=True)
        return tf.reduce_sum(sums * tf.one_hot(given["classes"], classes), axis=-1)


@dataclass(frozen=True, eq=False)
class Region(Asked):
    """The summed logit of a class over a region; see `region`."""

    class_id: Any
    where: Any = None

    @classmethod
    def question(cls, targets: Sequence[Region], network: Network) -> RegionScores:
        """See `Asked.question`."""
        shape = network.graph.output_shape
        if network.graph.ends or len(shape) != 4:
            found = f"outputs {', '.join(network.graph.ends)}" if network.graph.ends else str(shape)
            way = "say which with output=" if network.graph.ends else "a classifier's is its class"
            raise InputError(
                f"target region needs the classes of each position, [N, h, w, C]; model "
                f"{network.name!r} gives {found}; {way}"
            )
        return RegionScores(("region",))

    @classmethod
    def settle(cls, targets: Sequence[Region], scene: Scene) -> Settled:
        """See `Asked.settle`."""
        logits = scene.outputs[""]
        classes = [target._classes(scene, logits.shape[-1]) for target in targets]
        masks = [
            target._masks(scene, logits, ids) for target, ids in zip(targets, classes, strict=True)
        ]
        names = scene.network.names_of(logits.shape[-1]).names
        numbers = np.stack(classes, axis=1)
        called = [
            [
                names[number] + (f" in {target._place}" if target._place else "")
                for number, target in zip(row, targets, strict=True)
            ]
            for row in numbers
        ]
        stacked = np.stack(masks, axis=-1).astype(np.float32)
        return Settled({"classes": numbers.astype(np.int32), "masks": stacked}, numbers, called)

    @property
    def file(self) -> Path | None:
        """See `Asked.file`."""
        return Path(self.where) if isinstance(self.where, (str, os.PathLike)) else None

    @property
    def words(self) -> str | None:
        """See `Asked.words`."""
        named = self.where is None or self.file is not None or np.ndim(self.where) == 1
        if np.ndim(self.class_id) or not named:
            return None
        place = self._place if self.file is None else str(self.file.absolute())
        return f"class {self.class_id}" + (f" in {place}" if place else "")

    @property
    def _place(self) -> str:
        """Where the region is, in a word."""
        if self.where is None:
            return ""
        if self.file is not None:
            return self.file.name
        if _is_box(self.where) and np.ndim(self.where) == 1:
            return ",".join(f"{side:.12g}" for side in self.where)
        return "a box" if _is_box(self.where) else "a mask"

    def _classes(self, scene: Scene, count: int) -> np.ndarray:
        given = scene.of_each(listed(self.class_id), "class_id of a region")
        return np.array([find_class(scene.network, count, each) for each in given])

    def _masks(self, scene: Scene, logits: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
        """Where the region is in the output, bool `[n, h, w]`."""
        if self.where is None:
            return _predicted(scene, logits, class_ids)
        masks = self._given(scene, logits.shape[1:3])
        empty = np.flatnonzero(~masks.any(axis=(1, 2)))
        if empty.size:
            rows, columns = logits.shape[1:3]
            cell = (scene.size[1] / columns, scene.size[0] / rows)
            raise InputError(
                f"region {self._place} of picture {scene.part.start + empty[0]} holds the middle "
                f"of no position of the output, which has {rows} x {columns} of "
                f"{cell[0]:.3g} x {cell[1]:.3g} pixels; give a larger mask_or_box"
            )
        return masks

    def _given(self, scene: Scene, grid: tuple[int, ...]) -> np.ndarray:
        """The region that was given, in the output, bool `[n, h, w]`."""
        if self.file is not None:
            masks = scene.of_each(_read(self.file), "mask", rank=2)
        elif _is_box(self.where):
            boxes = scene.of_each(np.asarray(self.where, float), "box", rank=1)
            masks = np.stack([_box_mask(box, scene.size) for box in boxes])
        else:
            masks = scene.of_each(self.where, "mask", rank=2) != 0
        if masks.shape[1:] == grid != scene.size:
            return masks
        if masks.shape[1:] != scene.size:
            raise InputError(
                f"mask_or_box is a mask of {masks.shape[1]} x {masks.shape[2]}; expected the "
                f"picture's {scene.size[0]} x {scene.size[1]}, or the output's "
                f"{grid[0]} x {grid[1]}"
            )
        return _on_grid(masks, scene, grid)


def region(class_id: Any, mask_or_box: Any = None) -> Region:
    """The summed logit of a class over a region, as a target of a segmentation.

    The network gives classes for each position, `[N, h, w, C]`, which are taken to cover the
    picture. Any number of classes and regions share what is compiled.

    Args:
        class_id: The class, an index or a name; or one for each picture.
        mask_or_box: Where: a mask, `[H, W]` of the picture's or the output's size, which is the
            region where it is not 0, or a file of one (grey, with 0 and one other value); or a box
            (x_min, y_min, x_max, y_max) in pixels of the picture, the last two left out; or a mask
            `[N, H, W]` or box `[N, 4]` for each picture. A position of the output is in the
            region if its middle is. By default where the class is predicted in the picture: where
            its logit is highest, or, of classes that a sigmoid decides one by one, above 0.

    Example:
        >>> whole, left = region("road"), region(7, (0, 0, 100, 200))
    """
    if mask_or_box is not None and not isinstance(mask_or_box, (str, os.PathLike)):
        given = as_array(mask_or_box, "mask_or_box")
        if not _is_box(mask_or_box) and given.ndim not in (2, 3):
            raise InputError(
                f"mask_or_box must be a mask [H, W], a file of one, or a box ({BOX}); received "
                f"shape {given.shape}"
            )
        if given.dtype.kind not in "biuf" or not np.isfinite(given).all():
            raise InputError(f"mask_or_box must be finite numbers; received {shown(mask_or_box)}")
    return Region(class_id, mask_or_box)


def _is_box(where: Any) -> bool:
    array = np.asarray(where)
    return array.ndim in (1, 2) and array.shape[-1] == 4 and array.dtype != bool


def _read(file: Path) -> np.ndarray:
    if not file.exists():
        raise InputError(
            f"mask {file} does not exist; a region is in a mask's file or in a box: {BOX}"
        )
    return read_mask_file(file).one_object()


def _box_mask(box: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The pixels `[H, W]` whose middles lie in a box."""
    left, top, right, bottom = box
    height, width = size
    if not (0 <= left < right <= width and 0 <= top < bottom <= height):
        raise InputError(
            f"box {','.join(f'{side:g}' for side in box)} must lie in the picture, "
            f"{width} pixels wide and {height} high; expected {BOX}"
        )
    rows, columns = np.arange(height)[:, None] + 0.5, np.arange(width) + 0.5
    inside: np.ndarray = (rows >= top) & (rows < bottom) & (columns >= left) & (columns < right)
    return inside


def _on_grid(masks: np.ndarray, scene: Scene, grid: tuple[int, ...]) -> np.ndarray:
    """Masks of pictures `[n, H, W]` at the middles of an output's positions, `[n, h, w]`."""
    pipeline = scene.pipeline
    (top, left), (height, width) = pipeline.seen(scene.size)
    fitted = (scene.fitted.shape[1], scene.fitted.shape[2])
    end = scene.network.graph.source(scene.network.graph.logits)
    box = (end and box_of(scene.network, end, fitted)) or (0.0, 0.0, 1.0, 1.0)
    middles = [
        # Edges are known but for rounding, and a middle may be on one.
        np.floor(start + (low + (np.arange(count) + 0.5) / count * (high - low)) * length + 1e-6)
        for start, length, low, high, count in (
            (top, height, box[0], box[2], grid[0]),
            (left, width, box[1], box[3], grid[1]),
        )
    ]
    rows, columns = (
        np.clip(at, 0, extent - 1).astype(int)
        for at, extent in zip(middles, scene.size, strict=True)
    )
    inside = [(at >= 0) & (at < extent) for at, extent in zip(middles, scene.size, strict=True)]
    found: np.ndarray = masks[:, rows[:, None], columns] & (inside[0][:, None] & inside[1])
    return found


def _level(network: Network) -> float:
    """Above what a class that is decided by itself is predicted."""
    outputs = network.verify()
    within = outputs.min() >= 0 and outputs.max() <= 1
    return 0.5 if within and not network.graph.score_activation else 0.0


def predicted(network: Network, logits: np.ndarray) -> np.ndarray:
    """Where each class is predicted by a segmentation's logits, both `[n, h, w, C]`."""
    count = logits.shape[-1]
    if network.graph.score_activation == "sigmoid" or count == 1:
        above: np.ndarray = logits > _level(network)
        return above
    best: np.ndarray = logits.argmax(axis=-1)[..., None] == np.arange(count)
    return best


def _predicted(scene: Scene, logits: np.ndarray, class_ids: np.ndarray) -> np.ndarray:
    """Where the classes that are asked for are predicted, bool `[n, h, w]`."""
    everywhere = predicted(scene.network, logits)
    names = scene.network.names_of(logits.shape[-1]).names
    masks = np.stack([each[..., at] for each, at in zip(everywhere, class_ids, strict=True)])
    for place, mask in enumerate(masks):
        if not mask.any():
            there = [names[at] for at in np.flatnonzero(everywhere[place].any(axis=(0, 1)))]
            raise InputError(
                f"class {names[class_ids[place]]!r} is predicted nowhere in picture "
                f"{scene.part.start + place}, so its region is empty; predicted are "
                f"{', '.join(there[:20]) or 'none'}: give mask_or_box= to say where to ask for "
                "it, as in 'class 7 in mask.png'"
            )
    return masks
