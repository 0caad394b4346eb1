"""Explainer: the user's face of the pipeline; NumPy, pictures and names in, maps out."""

from __future__ import annotations

import copy
import hashlib
import os
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import asdict
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any
from warnings import warn

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.data import Picture
from guidedcam_tf.data import read_picture
from guidedcam_tf.data import to_grey
from guidedcam_tf.errors import InputError
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks import Network
from guidedcam_tf.networks import open_network
from guidedcam_tf.networks.keras_graph import Structure
from guidedcam_tf.networks.outputs import Scores
from guidedcam_tf.ops import PRESETS
from guidedcam_tf.ops import Postprocessing
from guidedcam_tf.pipeline import Fit
from guidedcam_tf.pipeline import Pipeline
from guidedcam_tf.targets import Resolved
from guidedcam_tf.targets import Targets
from guidedcam_tf.targets import resolve

ROUNDING = 0.5
"""How far resampling may leave 0..255."""


class Explainer:
    """Explains what a network sees in pictures.

    Args:
        model: A network of Keras Applications by name (`"resnet50"`, `"efficientnetv2-b0"`, ...), a
            `.keras` or `.h5` file, or a `keras.Model`: functional, sequential, or subclassed where
            Keras can trace it; models inside it are read through, their layers named by path
            (`"resnet50/conv5_block3_out"`). The model is read, never changed.
        layer: The layer to explain. By default the last convolutional block's output after its
            activation: ResNet50 `"conv5_block3_out"`, VGG16 `"block5_conv3"`.
        preprocess: For a model of one's own: what turns float32 RGB in 0..255, `[N, H, W, 3]`,
            into its input, in TensorFlow operations; or `"caffe"`, `"tf"`, `"torch"`, the modes of
            Keras Applications. `None` feeds pictures as they are, and hints where the model has the
            name of a Keras Application; `"none"` feeds them so without a hint.
        class_names: One name an output. By default ImageNet's where there are 1000.
        weights: For a network by name: `"imagenet"`, a file, or `None` for random ones.
        postprocessing: `"default"` (no smoothing), `"paper"` (3 x 3 Gaussian, sigma 0.8),
            `"smooth"` (bicubic enlarging), or a `guidedcam_tf.ops.Postprocessing`.
        fit: How a picture gets the network's shape: `"squash"`, or `"crop"` for the largest centred
            part of that shape; outside of it the map is zero.
        input: For a model with several inputs, the name of the one that takes the picture.
        output: For a model with several outputs, the name of the one that is explained.
        fixed_inputs: For a model with several inputs, what the others get, by name, the same for
            all pictures: arrays without the batch axis.
        scores: What the output is: `"logits"`, which a softmax turns into probabilities (of one
            unit, a sigmoid); `"sigmoid"`, logits of classes that are decided one by one;
            `"probabilities"`; or `"regression"`, numbers that are no probabilities. By default
            found out from the end of the network and its values, with a warning where that leaves
            a doubt.
        custom_objects: Your own classes and functions by name, for a model file.
        unsafe_lambda: Load `Lambda` layers of a model file, which run Python code that it holds.

    Attributes:
        network: The network.
        pipeline: What explains tensors.
        said: What the network was opened with, in words; `None` if objects of Python are among it.

    Raises:
        InputError: If the model, its weights or the layer cannot be used.

    Example:
        >>> explainer = Explainer("mobilenetv2", weights=None)
        >>> explainer.maps(np.zeros([2, 50, 60, 3], np.uint8), [7, 8]).shape
        (2, 50, 60)
    """

    def __init__(
        self,
        model: keras.Model | str | os.PathLike[str] = "resnet50",
        *,
        layer: str | None = None,
        preprocess: Callable[[tf.Tensor], tf.Tensor] | str | None = None,
        class_names: Sequence[str] | None = None,
        weights: str | os.PathLike[str] | None = "imagenet",
        postprocessing: str | Postprocessing = "default",
        fit: Fit = "squash",
        input: str | None = None,
        output: str | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
        scores: Scores | None = None,
        custom_objects: Mapping[str, Any] | None = None,
        unsafe_lambda: bool = False,
    ) -> None:
        network = open_network(
            model,
            weights=weights,
            preprocess=preprocess,
            class_names=class_names,
            input=input,
            output=output,
            fixed_inputs=fixed_inputs,
            scores=scores,
            custom_objects=custom_objects,
            unsafe_lambda=unsafe_lambda,
        )
        self.pipeline = Pipeline(network, layer, fit, _postprocessing(postprocessing))
        self._warned = False
        self.said = _in_words(
            model=model,
            weights=weights,
            preprocess=preprocess,
            class_names=class_names,
            scores=scores,
            input=input,
            output=output,
            fixed_inputs=fixed_inputs,
            custom_objects=custom_objects,
            unsafe_lambda=unsafe_lambda,
        )

    @property
    def network(self) -> Network:
        """The network that is explained."""
        return self.pipeline.network

    @property
    def layer(self) -> str:
        """The name of the layer that is explained."""
        return self.pipeline.layer

    def at(self, layer: str) -> Explainer:
        """Return an explainer of the same network, weights and options at another layer.

        Raises:
            InputError: If the network has no such layer.
        """
        twin = copy.copy(self)
        twin.pipeline = self.pipeline.at(layer)
        return twin

    def explain(
        self,
        picture: Picture,
        targets: Targets = "top1",
        method: str | Method = "guided",
        **options: Any,
    ) -> Explanation:
        """Explain one picture for one or several targets, with one pass through the trunk.

        Args:
            picture: A path, a PIL picture, or RGB `[H, W, 3]`, uint8 or float in 0..255.
            targets: Class indices, class names, wnids, `"top1"` or `"topK"` for the K best classes;
                or functions of the output, each giving one number a picture: what they get is
                float32 `[N, ...]`, before a final softmax or sigmoid, and they return `[N]`, in
                TensorFlow operations. A function is compiled once: pass the same one again.
            method: A name from `list_methods()`, or a method.
            **options: The method's options.

        Returns:
            The maps, at the picture's own size, with everything around them.

        Raises:
            InputError: If the picture cannot be read, or a target, method or option is unknown.
        """
        return self.explain_with(picture, targets, [get_method(method, **options)])[0]

    def explain_with(
        self, picture: Picture, targets: Targets, methods: Sequence[Method]
    ) -> list[Explanation]:
        """Explain one picture by several methods; those of one pass share that pass.

        Args:
            picture: As in `explain`.
            targets: As in `explain`.
            methods: The methods.

        Returns:
            One explanation for each of the methods.

        Raises:
            InputError: As `explain`.
        """
        resolved = resolve(targets, self.network)
        if not resolved.functions:
            self._warn_of_doubt()
        pixels = read_picture(picture)
        pipeline = self._for(resolved)
        fitted = pipeline.fitted(self._as_input(pixels)[None])
        stem = Path(picture).stem if isinstance(picture, (str, os.PathLike)) else "picture"
        found = []
        for method in methods:
            maps = pipeline.explain(method, fitted, tf.constant(resolved.class_ids))
            finished = pipeline.finish(maps["saliency"][0], pixels.shape[:2]).numpy()
            arrays = {name: tensor[0].numpy() for name, tensor in maps.items()}
            class_ids = arrays["class_ids"].astype(int)
            network, classes = pipeline.network, pipeline.network.classes
            probabilities = network.probabilities(maps["logits"]).numpy()[0, class_ids]
            found.append(
                Explanation(
                    picture=pixels,
                    maps=finished,
                    raw=arrays["saliency"],
                    intermediates={name: arrays[name] for name in method.outputs[1:]},
                    targets=class_ids,
                    names=[classes.names[index] for index in class_ids],
                    wnids=[classes.wnids[index] for index in class_ids] if classes.wnids else [],
                    probabilities=probabilities,
                    model=network.name,
                    layer=self.layer,
                    method=method.name,
                    weights=network.weights.source,
                    stem=stem,
                    origin=self._origin(picture, pixels, method, resolved, class_ids),
                )
            )
        return found

    def _origin(
        self,
        picture: Picture,
        pixels: np.ndarray,
        method: Method,
        resolved: Resolved,
        class_ids: np.ndarray,
    ) -> dict[str, Any]:
        """What the maps of a picture are made of and with, in JSON's types."""
        file = Path(picture).absolute() if isinstance(picture, (str, os.PathLike)) else None
        content = pixels.tobytes() if file is None else file.read_bytes()
        return {
            "picture": {
                "path": None if file is None else str(file),
                "sha256": hashlib.sha256(content).hexdigest(),
            },
            "network": self.said,
            "weights_sha256": self.network.weights.sha256,
            "layer": self.layer,
            "method": method.name,
            "options": {each.name: getattr(method, each.name) for each in fields(method)},
            "targets": None if resolved.functions else class_ids.tolist(),
            "postprocessing": asdict(self.pipeline.postprocessing),
            "fit": self.pipeline.fit,
        }

    def maps(
        self,
        images: np.ndarray,
        class_ids: Targets = None,
        method: str | Method = "guided",
        *,
        raw: bool = False,
        batch_size: int = 32,
        **options: Any,
    ) -> np.ndarray:
        """Compute the saliency maps of a batch of pictures of one size.

        Args:
            images: RGB in 0..255, uint8 or float, `[N, H, W, 3]`. (A model without `preprocess`
                gets them as they are, whatever their range.)
            class_ids: Targets as in `explain`: one for all pictures, a list of one for each, or
                `[N, T]` for T targets of each; `None` for each picture's best class; or T functions
                of the output in a list.
            method: A name from `list_methods()`, or a method.
            raw: Return the method's own map, before smoothing, normalising and resizing.
            batch_size: How many pictures go through the network at a time.
            **options: The method's options.

        Returns:
            Float32 `[N, H, W]` in `[0, 1]`, or `[N, h, w]` with `raw`; with T targets of each
            picture, `[N, T, ...]`.

        Raises:
            InputError: If an argument has another form, or a target is unknown.
        """
        chosen = get_method(method, **options)
        images = self._check_images(images)
        resolved = resolve(class_ids, self.network, len(images), "class_ids")
        pipeline = self._for(resolved)
        parts = []
        for part in _batches(len(images), batch_size):
            fitted = pipeline.fitted(images[part])
            targets = tf.constant(resolved.class_ids[part])
            saliency = pipeline.explain(chosen, fitted, targets)["saliency"]
            if not raw:
                flat = tf.reshape(saliency, [-1, *saliency.shape[2:]])
                flat = pipeline.finish(flat, images.shape[1:3])
                saliency = tf.reshape(flat, [*saliency.shape[:2], *flat.shape[1:]])
            parts.append(saliency.numpy())
        maps = np.concatenate(parts)
        return maps[:, 0] if resolved.single else maps

    def predict(self, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
        """Return the probabilities, float32 `[N, classes]`, of pictures `[N, H, W, 3]`.

        They are sigmoid's where the model ends in a sigmoid, or in one unit without activation, and
        else softmax's. An output that is not `[N, classes]` is returned as the model gives it.

        Raises:
            InputError: If the pictures have another form.
        """
        images = self._check_images(images)
        self._warn_of_doubt()
        logits = [
            self.pipeline.logits(self.pipeline.fitted(images[part])).numpy()
            for part in _batches(len(images), batch_size)
        ]
        network = self.network
        return network.as_output(network.probabilities(np.concatenate(logits))).numpy()

    def forward(self, fitted: np.ndarray) -> tf.Tensor:
        """Return the scores of pictures at the network's size, float32 `[N, classes]`.

        Those are what the model gives before a final softmax or sigmoid; see `Pipeline.logits`.
        """
        return self.pipeline.logits(fitted)

    def _warn_of_doubt(self) -> None:
        """Say once that outputs are softmaxed that may be no logits."""
        doubt = self.network.output_doubt
        if doubt and self.network.meaning.kind == "softmax" and not self._warned:
            self._warned = True
            warn(doubt, stacklevel=3)

    def _for(self, resolved: Resolved) -> Pipeline:
        if not resolved.functions:
            return self.pipeline
        return self.pipeline.scored_by(resolved.functions)

    def _as_input(self, pixels: np.ndarray) -> np.ndarray:
        if self.network.channels in (None, 3):
            return pixels
        if self.network.channels == 1:
            return to_grey(pixels)
        raise InputError(
            f"{self.network.name} takes {self.network.channels} channels, a picture has 3; "
            "use maps(images) with arrays of that form"
        )

    def _check_images(self, images: np.ndarray) -> np.ndarray:
        array = np.asarray(images)
        if array.ndim != 4 or array.shape[-1] != self.network.channels or not array.size:
            raise InputError(
                f"images must have shape [N, H, W, {self.network.channels}] with N at least 1; "
                f"received {array.shape}"
            )
        if not np.issubdtype(array.dtype, np.number) or np.iscomplexobj(array):
            raise InputError(f"images must be uint8 or float; received {array.dtype}")
        if min(array.shape[1:3]) < 2:
            raise InputError(f"images must be at least 2 x 2 pixels; received {array.shape}")
        if np.issubdtype(array.dtype, np.floating) and not np.isfinite(array).all():
            raise InputError("images must be finite; received NaN or infinity")
        if self.network.takes_pixels and array.dtype != np.uint8:
            _check_pixels(array)
        return array


def _check_pixels(images: np.ndarray) -> None:
    """Refuse what was scaled already: preprocessing would make another picture of it."""
    low, high = images.min(), images.max()
    if low < -ROUNDING or high > 255 + ROUNDING:
        raise InputError(
            f"images must be RGB in 0..255 for the network's preprocessing; received {low:g} to "
            f"{high:g}: clip them, or give preprocess='none' if they are preprocessed already"
        )
    if 0 < high <= 1:
        raise InputError(
            "images must be RGB in 0..255 for the network's preprocessing; received "
            f"{low:g} to {high:g}: multiply them by 255, or give preprocess='none' if they are "
            "preprocessed already"
        )


def guided_cam(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Targets = None,
    layer: str | None = None,
) -> np.ndarray:
    """Return the proposed saliency maps of a Keras classifier in one line.

    The model's compiled kernel is kept for the next call with the same model and layer, until a
    layer or an activation of the model is exchanged.

    Args:
        model: A model with one picture input and one output, as in `Explainer`; it is not changed.
        images: What `model.predict` takes, `[N, H, W, C]`: preprocessed if the model needs it.
        class_ids: One class index for each picture; `None` for each picture's best class; or a
            function of the output, as in `Explainer.explain`.
        layer: The layer to explain; by default the last one with a spatial feature map.

    Returns:
        Float32 `[N, H, W]` in `[0, 1]`.

    Raises:
        InputError: If the model or an argument has another form.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model must be a keras.Model; received {type(model).__name__}")
    return _explainer_of(model, Structure(model), layer).maps(images, class_ids)


@lru_cache(maxsize=2)
def _explainer_of(model: keras.Model, structure: Structure, layer: str | None) -> Explainer:
    """Return an explainer; a model whose `structure` changed since gets another."""
    return Explainer(model, layer=layer, preprocess="none")


def _in_words(**arguments: Any) -> dict[str, Any] | None:
    """What was given, in JSON's types; `None` if an object of Python is among it."""
    given = {name: value for name, value in arguments.items() if value not in (None, False)}
    if not all(isinstance(value, (str, os.PathLike, bool)) for value in given.values()):
        return None
    words = {name: value if value is True else os.fspath(value) for name, value in given.items()}
    for name in words.keys() & {"model", "weights"}:
        if (file := Path(str(words[name]))).is_file():
            words[name] = str(file.absolute())
    return words


def _postprocessing(choice: str | Postprocessing) -> Postprocessing:
    if isinstance(choice, Postprocessing):
        return choice
    if choice not in PRESETS:
        raise InputError(f"postprocessing {choice!r} is not known; expected {', '.join(PRESETS)}")
    return PRESETS[choice]


def _batches(count: int, batch_size: int) -> Iterator[slice]:
    if batch_size < 1:
        raise InputError(f"batch_size must be at least 1; received {batch_size}")
    return (slice(start, start + batch_size) for start in range(0, count, batch_size))
