"""A Keras callback that shows, epoch by epoch, where a network looks while it learns."""

from __future__ import annotations

import os
from collections.abc import Iterable
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import keras
import numpy as np
import tensorflow as tf
from PIL import Image

from guidedcam_tf.arrays import ONE_BATCH
from guidedcam_tf.data import to_grey
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.files import output_folder
from guidedcam_tf.files import writing
from guidedcam_tf.finite import as_array
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import check_layer
from guidedcam_tf.methods import get_method
from guidedcam_tf.overlay import overlay
from guidedcam_tf.targets import Targets
from guidedcam_tf.targets import resolve

BLOB_SEQUENCE = 3
"""TensorBoard's class of data for lists of pictures."""


class SaliencyCallback(keras.callbacks.Callback):
    """Writes the saliency maps of a few pictures at the end of epochs, as overlays.

    The folder gets `epoch_0001.png`, `epoch_0002.png`, ..., each with all pictures side by side;
    TensorBoard gets the same under `saliency`. The method is compiled once, at the first epoch that
    is shown, and sees the weights that the model has by then. Nothing of the model is changed.

    Args:
        images: What the model takes, `[N, H, W, C]`, in any usual range: 0..255, 0..1, -1..1; or
            RGB for a model of grey pictures.
        targets: As `class_ids` of `Explainer.maps`: one target for all pictures, or one for each;
            with `"topK"`, K overlays of each picture are shown.
        folder: Where the PNGs go; `None` for none.
        log_dir: TensorBoard's folder; `None` for none. TensorBoard need not be installed.
        every: Show each epoch whose number, counted from 1, is a multiple of this.
        epochs: The numbers of the epochs to show, counted from 1, in place of `every`.
        method: A name from `list_methods()`, or a method.
        colour_map: one of `guidedcam_tf.overlay.COLOUR_MAPS`.
        **options: Further arguments of `Explainer`, such as `layer` and `preprocess`.

    Raises:
        InputError: If an argument has another form; what depends on the model when training begins.
    """

    def __init__(
        self,
        images: np.ndarray,
        targets: Targets = "top1",
        *,
        folder: str | os.PathLike[str] | None = "saliency",
        log_dir: str | os.PathLike[str] | None = None,
        every: int = 1,
        epochs: Sequence[int] | None = None,
        method: str | Method = "guided",
        colour_map: str = "inferno",
        **options: Any,
    ) -> None:
        super().__init__()
        self.images = as_array(images, "images", f": {ONE_BATCH}")
        if self.images.dtype == object:
            kind = type(images).__name__
            raise InputError(
                f"images must be an array [N, H, W, 3]; received a {kind}: {ONE_BATCH}"
            )
        if self.images.ndim != 4 or not self.images.size or self.images.shape[-1] not in (1, 3):
            raise InputError(
                "images must be [N, H, W, 3] or [N, H, W, 1] with N at least 1; "
                f"received {self.images.shape}"
            )
        if not np.issubdtype(type(every), np.integer) or every < 1:
            raise InputError(f"every must be a whole number from 1; received {shown(every)}")
        numbers = np.asarray(list(epochs) if isinstance(epochs, Iterable) else epochs)
        is_numbers = numbers.ndim == 1 and numbers.dtype.kind in "iu" and numbers.size
        if epochs is not None and not (is_numbers and numbers.min() >= 1):
            raise InputError(f"epochs must be whole numbers from 1; received {shown(epochs)}")
        if folder is None and log_dir is None:
            raise InputError("give a folder, a log_dir, or both: nothing would be written")
        self.targets = targets
        self.every = every
        self.epochs = None if epochs is None else set(numbers.tolist())
        self.method = method
        self.colour_map = colour_map
        self._folder = None if folder is None else Path(folder)
        self._log_dir = log_dir
        self._options = {"preprocess": "none", **options}
        self._explainer: Explainer | None = None
        self._writer: tf.summary.SummaryWriter | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Open the model, if it is built by now, so that a wrong layer or target ends it here."""
        if self._folder is not None:
            output_folder(self._folder)
        if self._log_dir is not None:
            self._writer = tf.summary.create_file_writer(os.fspath(self._log_dir))
        if self.model.built:
            self._open()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Write the maps, if the epoch is one of those to show."""
        number = epoch + 1
        shown = number % self.every == 0 if self.epochs is None else number in self.epochs
        if not shown:
            return
        panels = self._overlays()
        if self._folder is not None:
            with writing(self._folder / f"epoch_{number:04d}.png") as temporary:
                Image.fromarray(np.hstack(panels)).save(temporary)
        if self._writer is not None:
            with self._writer.as_default():
                write_pictures("saliency", panels, step=number)
            self._writer.flush()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        """Close TensorBoard's file."""
        if self._writer is not None:
            self._writer.close()

    def _open(self) -> Explainer:
        """Open the model where it is new or changed; check method and targets against it."""
        explainer = self._explainer
        if (
            explainer is None
            or explainer.network.model is not self.model
            or explainer.network.structure.change()
        ):
            explainer = Explainer(self.model, **self._options)
            if explainer.pipeline.runtime.frozen:
                raise InputError(
                    f"runtime={explainer.pipeline.runtime.name!r} keeps a copy of the weights, and "
                    "training changes them; expected runtime='tensorflow'"
                )
            check_layer(get_method(self.method), explainer.pipeline.view)
            self._explainer = explainer
            resolve(self.targets, explainer.network, len(self.images))
        return explainer

    def _overlays(self) -> list[np.ndarray]:
        explainer = self._open()
        images = self.images
        if explainer.network.channels == 1 and images.shape[-1] == 3:
            images = _luminance(images)
        maps = explainer.maps(images, self.targets, self.method)
        return [
            overlay(picture, saliency, self.colour_map)
            for picture, of_picture in zip(_shown(self.images), maps, strict=True)
            for saliency in of_picture.reshape(-1, *of_picture.shape[-2:])
        ]


def _luminance(images: np.ndarray) -> np.ndarray:
    """RGB `[N, H, W, 3]` as grey (ITU-R 601-2) in its own range and dtype, `[N, H, W, 1]`."""
    if images.dtype == np.uint8:
        return np.stack([to_grey(image) for image in images])
    return (images @ np.array([0.299, 0.587, 0.114]))[..., None].astype(images.dtype)


def _shown(images: np.ndarray) -> np.ndarray:
    """Pictures of any usual range as uint8 RGB `[N, H, W, 3]`, all scaled alike."""
    if images.dtype != np.uint8:
        low, high = float(images.min()), float(images.max())
        if low >= 0:
            low, high = 0.0, 1.0 if high <= 1 else 255.0
        elif low >= -1 and high <= 1:
            low, high = -1.0, 1.0
        images = np.round(np.clip((images - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    return np.broadcast_to(images, (*images.shape[:3], 3))


def write_pictures(tag: str, pictures: Sequence[np.ndarray], step: int) -> None:
    """Write pictures, uint8 RGB `[H, W, 3]` of one size, to TensorBoard's default writer.

    As `tf.summary.image` does, which needs TensorBoard to be installed.
    """
    height, width = pictures[0].shape[:2]
    encoded = [cv2.imencode(".png", picture[..., ::-1])[1].tobytes() for picture in pictures]
    metadata = tf.compat.v1.SummaryMetadata(
        plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name="images"),
        data_class=BLOB_SEQUENCE,
    )
    values = tf.constant([str(width).encode(), str(height).encode(), *encoded])
    tf.summary.write(tag, values, step=step, metadata=metadata)
