"""Drawing the cases of a run again: its pictures, their objects, and the maps over them."""

from __future__ import annotations

import math
from typing import Any

import cv2
import numpy as np
from PIL import Image

from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.loading import load_one
from guidedcam_tf.data.samples import union
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.job import open_network
from guidedcam_tf.evaluation.measuring.groups import labelled_method
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.figures import style
from guidedcam_tf.fusing import explain_layers
from guidedcam_tf.methods import Method
from guidedcam_tf.metrics import box_mask
from guidedcam_tf.overlay import overlay
from guidedcam_tf.report.parts import Drawing
from guidedcam_tf.report.parts import drawing
from guidedcam_tf.targets import region

CASE_PIXELS = 360
WHITE, BLACK = (255, 255, 255), (0, 0, 0)

Record = dict[Any, Any]
"""A line of a run's rows."""


class Painter:
    """Draws the cases of a run with the network, the data set and the methods that it used.

    Args:
        config: The run's configuration.

    Raises:
        InputError: If the data set, the network or a method is not here.
    """

    def __init__(self, config: EvaluationConfig) -> None:
        data_set = config.data.open(config.seed)
        self._samples = {sample.id: sample for sample in data_set.samples}
        self._layers = config.layer if config.fusion else None
        self._fusion = config.fusion
        self._explainer = open_network(config)
        self._methods = dict(labelled_method(entry) for entry in config.methods)

    def picture(self, record: Record) -> Drawing | None:
        """A case's picture, with a line around its object; `None` if it is not here."""
        loaded = self._load(record)
        if loaded is None:
            return None
        words = f"Picture {record['image']}"
        if _truth(loaded, record["class_name"]) is not None:
            words += f", with a line around {record['class_name']}"
        return _drawn(outlined(loaded.picture, loaded, record), words)

    def map(self, record: Record) -> Drawing | None:
        """The map of a case over its picture; `None` if it is not here."""
        found = self._explained(record)
        return found and _drawn(found[1], found[2])

    def _load(self, record: Record) -> Loaded | None:
        sample = self._samples.get(record["image"])
        loaded = load_one(sample) if sample else None
        return loaded if isinstance(loaded, Loaded) else None

    def _explained(self, record: Record) -> tuple[Loaded, np.ndarray, str] | None:
        loaded, method = self._load(record), self._methods.get(record["method"])
        if loaded is None or method is None:
            return None
        explanation = self._explain(record, method)
        saliency = explanation.maps[0]
        title = style.method_title(record["method"])
        words = f"{title} for {explanation.names[0]} in {record['image']}: {_where(saliency)}."
        return loaded, outlined(overlay(loaded.picture, saliency), loaded, record), words

    def _explain(self, record: Record, method: Method) -> Explanation:
        # Of the file, because a network may take more of it than the picture that is shown.
        picture, class_id = self._samples[record["image"]].picture, int(record["target"])
        target = class_id if self._explainer.network.has_classes else region(class_id)
        if self._layers is None:
            return self._explainer.explain(picture, target, method)
        *_, fused = explain_layers(
            self._explainer, picture, self._layers, target, method, fusion=self._fusion
        )
        return fused


def _truth(loaded: Loaded, class_name: str) -> np.ndarray | None:
    """The pixels of a class's objects, bool `[H, W]`, or `None` where nothing says them."""
    labels = [label for label in loaded.labels if label.name == class_name]
    if class_name == "any" and loaded.labels:
        labels = [union(loaded.labels)]
    if not labels:
        return None
    if labels[0].mask is not None or labels[0].boxes is None:
        return labels[0].mask
    return box_mask(np.array(labels[0].boxes, float), loaded.picture.shape[:2])


def outlined(pixels: np.ndarray, loaded: Loaded, record: Record) -> np.ndarray:
    """Draw a white line in a black one around the class's objects."""
    truth = _truth(loaded, record["class_name"])
    if truth is None:
        return pixels
    pixels = np.ascontiguousarray(pixels)
    lines = cv2.findContours(truth.astype(np.uint8), cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)[0]
    width = math.ceil(max(pixels.shape[:2]) / CASE_PIXELS)
    for colour, thickness in ((BLACK, 3 * width), (WHITE, width)):
        pixels = cv2.drawContours(pixels.copy(), lines, -1, colour, thickness)
    return pixels


def _drawn(pixels: np.ndarray, words: str) -> Drawing:
    return drawing(Image.fromarray(pixels), CASE_PIXELS, words)


def _where(saliency: np.ndarray) -> str:
    if not saliency.any():
        return "the map is empty"
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    across, down = column / saliency.shape[1], row / saliency.shape[0]
    return f"its peak is {across:.0%} from the left and {down:.0%} from the top"
