"""What explaining one picture gives back, and how it is kept."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field
from dataclasses import fields
from html import escape
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import numpy as np
from PIL import Image

from guidedcam_tf.colour_maps import OPACITY
from guidedcam_tf.drawing import data_uri
from guidedcam_tf.drawing import drawn
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_WIDTH = 224
"""Of a picture in a notebook, in pixels of the page."""

PACKAGES = ("guidedcam-tf", "keras", "tensorflow", "numpy")


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """The saliency maps of one picture, one for each of T targets.

    Two are equal if all that they hold is.

    Attributes:
        picture: The picture, uint8 RGB `[H, W, 3]`; of a volume or a clip `[D, H, W, 3]`; of a
            signal its numbers, float32 `[T, C]`.
        maps: Float32 `[T, H, W]` in `[0, 1]`, at the picture's own size; of signals and volumes
            with as many spatial axes as these have.
        raw: Float32 `[T, h, w]`, the method's map before smoothing, normalising and resizing.
        intermediates: Further maps of the method, float32 `[T, h, w]` by name. The proposed method
            has `"guidance"` (G_M, eq. 5), `"unguided"` (eq. 4) and `"activation_sum"` (eq. 1).
        targets: The class indices, int64 `[T]`; of boxes and functions their numbers.
        names: The classes' names.
        wnids: The classes' WordNet identifiers, empty where they are not ImageNet's.
        probabilities: The classes' probabilities, float32 `[T]`: softmax's, or sigmoid's where the
            network ends in one. Of a regression, and for a target that is a function, its value.
        model: The network's name.
        layer: The layer that was explained.
        method: The method's name.
        weights: Where the network's weights came from.
        stem: What the files that `save` writes begin with.
        quantity: What `probabilities` are: `"probability"`, or `"value"`.
        origin: What the maps were made of and with, in JSON's types: the picture, the network, the
            layer, the method with its options, the targets and the finishing.
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
    quantity: str = "probability"
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __repr__(self) -> str:
        classes = ", ".join(f"{name} {self.number(i)}" for i, name in enumerate(self.names))
        return f"<Explanation of {self.stem!r} by {self._where()}: {classes}>"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Explanation):
            return NotImplemented
        return all(_alike(getattr(self, f.name), getattr(other, f.name)) for f in fields(self))

    def __hash__(self) -> int:
        return hash((self.model, self.layer, self.method, self.raw.tobytes()))

    @property
    def height(self) -> int:
        """The picture's height in pixels, or that of a volume's slices; 1 of a signal."""
        return int((1, *self.maps.shape[1:])[-2])

    @property
    def width(self) -> int:
        """The picture's width in pixels, or that of a volume's slices; of a signal its length."""
        return int(self.maps.shape[-1])

    @property
    def shown(self) -> np.ndarray:
        """The picture as a person sees it, uint8 RGB: itself, a signal's curve, or slices."""
        return drawn(self.picture)

    def number(self, index: int) -> str:
        """The probability or value of the target at that place, as it is shown."""
        return f"{self.probabilities[index]:{'.4g' if self.quantity == 'value' else '.2g'}}"

    @property
    def guidance(self) -> np.ndarray | None:
        """G_M (eq. 5), float32 `[T, h, w]`, for the proposed method; `None` for others."""
        return self.intermediates.get("guidance")

    @property
    def empty(self) -> np.ndarray:
        """Which targets have a map that is zero everywhere: nothing supports them. Bool `[T]`."""
        return np.logical_not(self.maps.reshape(len(self.maps), -1).any(axis=1))

    def overlay(
        self, target: int = 0, colour_map: str = "inferno", opacity: float = OPACITY
    ) -> np.ndarray:
        """Lay a map over the picture, uint8 RGB `[H, W, 3]`; see `guidedcam_tf.overlay.overlay`.

        Of a signal it is the curve, and of a volume a sheet of slices: `guidedcam_tf.drawing`.

        Args:
            target: The place in `targets`.
            colour_map: One of `guidedcam_tf.overlay.COLOUR_MAPS`.
            opacity: How much of it is the map's colour where the map is 1.

        Raises:
            InputError: If there is no such place, or as `guidedcam_tf.overlay.overlay`.
        """
        if type(target) in (bool, float) or target not in range(-len(self.names), len(self.names)):
            places = ", ".join(f"{place} {name}" for place, name in enumerate(self.names))
            raise InputError(f"target is a place of {places}; received {shown(target)}")
        return drawn(self.picture, self.maps[target], colour_map, opacity)

    def plot(
        self, colour_map: str = "inferno", opacity: float = OPACITY, columns: int = 4
    ) -> Figure:
        """Draw the picture and an overlay for each target as a Matplotlib figure.

        Args:
            colour_map: As in `overlay`.
            opacity: As in `overlay`.
            columns: How many panels a row has at most.

        Raises:
            InputError: As `overlay`; or if `columns` is no number from 1.
        """
        if not isinstance(columns, (int, np.integer)) or columns < 1:
            raise InputError(f"columns must be a number of at least 1; received {shown(columns)}")
        from guidedcam_tf.plotting import plot_pictures

        pictures, titles = zip(*self._panels(colour_map, opacity), strict=True)
        return plot_pictures(
            pictures, titles, heading=self._where(), colour_map=colour_map, columns=columns
        )

    def _panels(
        self, colour_map: str = "inferno", opacity: float = OPACITY
    ) -> list[tuple[np.ndarray, str]]:
        """The picture and its overlays, with what they show."""
        extent = " x ".join(map(str, reversed(self.maps.shape[1:])))
        shown = [(self.shown, f"{self.stem}, {extent}")]
        for i, name in enumerate(self.names):
            note = " (empty map)" if self.empty[i] else ""
            words = f"{name}: {self.number(i)}{note}"
            shown.append((self.overlay(i, colour_map, opacity), words))
        return shown

    def _where(self) -> str:
        return f"{self.method}{self.layer and f' at {self.layer}'} of {self.model}"

    def _repr_html_(self) -> str:
        """The picture and its overlays in a notebook, with what they show."""
        figures = "".join(
            f'<figure style="margin:0"><img src="{data_uri(pixels, 2 * SHOWN_WIDTH)}" '
            f'alt="{escape(words)}" '
            f'style="width:{SHOWN_WIDTH}px"><figcaption>{escape(words)}</figcaption></figure>'
            for pixels, words in self._panels()
        )
        where = escape(self._where())
        return f'<div><div style="display:flex;flex-wrap:wrap;gap:8px">{figures}</div>{where}</div>'

    @property
    def file_stem(self) -> str:
        """What the files begin with: of `stem` 120 bytes, so that 255 take what follows too."""
        return self.stem.encode()[:120].decode(errors="ignore")

    def save(
        self,
        folder: str | os.PathLike[str],
        colour_map: str = "inferno",
        opacity: float = OPACITY,
    ) -> list[Path]:
        """Write an overlay for each target (PNG), all maps (NPZ) and the rest (JSON).

        The names end in a short digest of `origin`: the same explanation replaces its own files,
        and no other's.

        Args:
            folder: Where to; it is made if it is not there.
            colour_map: As in `overlay`.
            opacity: As in `overlay`.

        Returns:
            The files: the overlays in the order of the targets, the NPZ, the JSON.

        Raises:
            InputError: If the folder cannot be written to.
        """
        path, begin = output_folder(folder), f"{self.file_stem}_{self.method}"
        digest = self.digest(colour_map, opacity)
        called = [f"{n}-{_plain(name)}" for n, name in zip(self.targets, self.names, strict=True)]
        overlays = [
            path / f"{begin}_{name}{_again(called, i)}_{digest}.png"
            for i, name in enumerate(called)
        ]
        for i, file in enumerate(overlays):
            with writing(file) as temporary:
                Image.fromarray(self.overlay(i, colour_map, opacity)).save(temporary)
        arrays, record = (path / f"{begin}_{digest}{end}" for end in (".npz", ".json"))
        with writing(arrays) as temporary:
            arrays_by_name = {"maps": self.maps, "raw": self.raw, **self.intermediates}
            np.savez_compressed(temporary, allow_pickle=False, **arrays_by_name)
        text = json.dumps(self._record(overlays), indent=2, allow_nan=False) + "\n"
        with writing(record) as temporary:
            temporary.write_text(text, "utf-8")
        return [*overlays, arrays, record]

    def digest(self, colour_map: str = "inferno", opacity: float = OPACITY) -> str:
        """Eight hexadecimal digits for `origin` and the overlay's look.

        A network that lives in this process only is told apart by the maps that it gives.
        """
        seen = "" if self.origin.get("network") else hashlib.sha256(self.raw.tobytes()).hexdigest()
        text = json.dumps([self.model, self.origin, seen, colour_map, opacity], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    def _record(self, overlays: list[Path]) -> dict[str, object]:
        targets = [
            {
                "index": int(self.targets[i]),
                "name": self.names[i],
                "wnid": self.wnids[i] if self.wnids else None,
                self.quantity: float(p) if np.isfinite(p) else None,  # JSON has no NaN.
                "peak_xy": None if self.empty[i] else _peak(self.maps[i]),
                "empty": bool(self.empty[i]),
                "overlay": overlays[i].name,
            }
            for i, p in enumerate(self.probabilities)
        ]
        return {
            "picture": {
                **self.origin.get("picture", {}),
                "stem": self.stem,
                "height": self.height,
                "width": self.width,
                **({"depth": self.maps.shape[1]} if self.maps.ndim == 4 else {}),
            },
            "model": self.model,
            "weights": self.weights,
            "layer": self.layer,
            "method": self.method,
            "targets": targets,
            "origin": self.origin,
            "versions": {name: version(name) for name in PACKAGES},
        }


def _again(names: list[str], place: int) -> str:
    """What tells a name from the same one before it: such as two masks of one name."""
    before = names[:place].count(names[place])
    return f"-{before + 1}" if before else ""


def _peak(saliency: np.ndarray) -> list[int]:
    """Where a map is highest: x, y; of a volume x, y and the slice; of a signal the time."""
    place = np.unravel_index(saliency.argmax(), saliency.shape)
    return [int(each) for each in reversed(place)]


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")[:40]


def _alike(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return np.array_equal(one, other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    return bool(one == other)
