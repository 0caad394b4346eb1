"""What explaining one picture gives back, and how it is kept."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from PIL import Image

from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.overlay import overlay


@dataclass(frozen=True)
class Explanation:
    """The saliency maps of one picture, one for each of T targets.

    Attributes:
        picture: The picture, uint8 RGB `[H, W, 3]`.
        maps: Float32 `[T, H, W]` in `[0, 1]`, at the picture's own size.
        raw: Float32 `[T, h, w]`, the method's map before smoothing, normalising and resizing.
        intermediates: Further maps of the method, float32 `[T, h, w]` by name. The proposed method
            has `"guidance"` (G_M, eq. 5), `"unguided"` (eq. 4) and `"activation_sum"` (eq. 1).
        targets: The class indices, int64 `[T]`.
        names: The classes' names.
        wnids: The classes' WordNet identifiers, empty where they are not ImageNet's.
        probabilities: The classes' probabilities, float32 `[T]`: softmax's, or sigmoid's where the
            network ends in one. For a target that is a function, its value.
        model: The network's name.
        layer: The layer that was explained.
        method: The method's name.
        weights: Where the network's weights came from.
        stem: What the files that `save` writes begin with.
    """

    picture: np.ndarray
    maps: np.ndarray
    raw: np.ndarray
    intermediates: dict[str, np.ndarray]
    targets: np.ndarray
    names: list[str]
    wnids: list[str]
    probabilities: np.ndarray
    model: str
    layer: str
    method: str
    weights: str
    stem: str

    @property
    def guidance(self) -> np.ndarray | None:
        """G_M (eq. 5), float32 `[T, h, w]`, for the proposed method; `None` for others."""
        return self.intermediates.get("guidance")

    @property
    def empty(self) -> np.ndarray:
        """Which targets have a map that is zero everywhere: nothing supports them. Bool `[T]`."""
        return np.logical_not(self.maps.any(axis=(1, 2)))

    def file(self, folder: Path, index: int) -> Path:
        """The overlay that `save` writes for the target at that place in `targets`."""
        name = re.sub(r"[^A-Za-z0-9]+", "-", self.names[index]).strip("-")[:40]
        return folder / f"{self.stem}_{self.method}_{self.targets[index]}-{name}.png"

    def save(self, folder: str | os.PathLike[str], colour_map: str = "inferno") -> list[Path]:
        """Write an overlay for each target (PNG), all maps (NPZ) and the rest (JSON).

        Args:
            folder: Where to; it is made if it is not there.
            colour_map: one of `guidedcam_tf.overlay.COLOUR_MAPS`.

        Returns:
            The files: the overlays in the order of the targets, the NPZ, the JSON.

        Raises:
            InputError: If the folder cannot be written to.
        """
        path = output_folder(folder)
        overlays = [self.file(path, index) for index in range(len(self.targets))]
        for file, saliency in zip(overlays, self.maps, strict=True):
            with writing(file) as temporary:
                Image.fromarray(overlay(self.picture, saliency, colour_map)).save(temporary)
        arrays, record = (path / f"{self.stem}_{self.method}{end}" for end in (".npz", ".json"))
        with writing(arrays) as temporary:
            arrays_by_name = {"maps": self.maps, "raw": self.raw, **self.intermediates}
            np.savez_compressed(temporary, allow_pickle=False, **arrays_by_name)
        with writing(record) as temporary:
            temporary.write_text(json.dumps(self._record(overlays), indent=2) + "\n", "utf-8")
        return [*overlays, arrays, record]

    def _record(self, overlays: list[Path]) -> dict[str, object]:
        height, width = self.picture.shape[:2]
        peaks = [np.unravel_index(saliency.argmax(), saliency.shape) for saliency in self.maps]
        targets = [
            {
                "index": int(self.targets[i]),
                "name": self.names[i],
                "wnid": self.wnids[i] if self.wnids else None,
                "probability": float(self.probabilities[i]),
                "peak_xy": None if self.empty[i] else [int(peaks[i][1]), int(peaks[i][0])],
                "empty": bool(self.empty[i]),
                "overlay": overlays[i].name,
            }
            for i in range(len(self.targets))
        ]
        return {
            "picture": {"stem": self.stem, "height": height, "width": width},
            "model": self.model,
            "weights": self.weights,
            "layer": self.layer,
            "method": self.method,
            "targets": targets,
            "versions": {
                name: version(name) for name in ("guidedcam-tf", "keras", "tensorflow", "numpy")
            },
        }
