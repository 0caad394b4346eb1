"""Explainer: a network, a layer and the way to a finished saliency map."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from functools import cached_property
from functools import lru_cache
from pathlib import Path
from typing import Any
from typing import Literal

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.data import Picture
from guidedcam_tf.data import read_picture
from guidedcam_tf.data import to_grey
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import input_error_behind
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks import open_network
from guidedcam_tf.networks.scores import Score
from guidedcam_tf.ops import PRESETS
from guidedcam_tf.ops import Postprocessing
from guidedcam_tf.targets import Target
from guidedcam_tf.targets import class_ids_for
from guidedcam_tf.targets import class_targets
from guidedcam_tf.targets import scores_among

Fit = Literal["squash", "crop"]

KEPT_SCORES = 16
"""How many sets of functions as targets have their kernels kept."""


@dataclass
class _Opened:
    """A network opened at a layer, for classes or for functions of the output, and its kernels."""

    view: LayerView
    kernels: dict[Method, Kernel] = field(default_factory=dict)


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
        postprocessing: `"default"` (no smoothing), `"paper"` (3 x 3 Gaussian, sigma 0.8), or a
            `guidedcam_tf.ops.Postprocessing`.
        fit: How a picture comes to the network's shape: `"squash"`, or `"crop"` for the largest
            centred part of that shape; outside of it the map is zero.
        input: For a model with several inputs, the name of the one that takes the picture.
        output: For a model with several outputs, the name of the one that is explained.
        fixed_inputs: For a model with several inputs, what the others get, by name, the same for
            all pictures: arrays without the batch axis.

    Raises:
        InputError: If the model, its weights or the layer cannot be had.
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
    ) -> None:
        self.network = open_network(
            model,
            weights=weights,
            preprocess=preprocess,
            class_names=class_names,
            input=input,
            output=output,
            fixed_inputs=fixed_inputs,
        )
        self.view = self.network.view(layer)
        self.postprocessing = _postprocessing(postprocessing)
        if fit not in ("squash", "crop"):
            raise InputError(f"fit must be 'squash' or 'crop'; received {fit!r}")
        self._fit = fit
        self._for_classes = _Opened(self.view)
        self._for_scores = lru_cache(KEPT_SCORES)(self._open)
        self._told = False

    @property
    def layer(self) -> str:
        """The name of the layer that is explained."""
        return self.view.layer

    @property
    def fit(self) -> Fit:
        """How a picture comes to the network's shape."""
        return self._fit

    def explain(
        self,
        picture: Picture,
        targets: Sequence[Target] | Target | Sequence[Score] | Score = "top1",
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
        chosen = get_method(method, **options)
        scores = scores_among(targets)
        ids = list(range(len(scores))) or self.check_targets(targets)
        pixels = read_picture(picture)
        network = self._opened(scores).view.network
        result = self._run(chosen, self._as_input(pixels)[None], np.array([ids], np.int32), scores)
        maps = {name: array[0] for name, array in result.items()}
        class_ids = maps["class_ids"].astype(int)
        classes = network.classes
        return Explanation(
            picture=pixels,
            maps=self.finish(maps["saliency"], pixels.shape[:2]),
            raw=maps["saliency"],
            intermediates={name: maps[name] for name in chosen.outputs[1:]},
            targets=class_ids,
            names=[classes.names[index] for index in class_ids],
            wnids=[classes.wnids[index] for index in class_ids] if classes.wnids else [],
            probabilities=network.probabilities(maps["logits"][None]).numpy()[0, class_ids],
            model=self.network.name,
            layer=self.layer,
            method=chosen.name,
            weights=self.network.weights.source,
            stem=Path(picture).stem if isinstance(picture, (str, os.PathLike)) else "picture",
        )

    def maps(
        self,
        images: np.ndarray,
        class_ids: Sequence[int] | np.ndarray | Score | Sequence[Score] | None = None,
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
            class_ids: Class indices `[N]`, or `[N, T]` for T targets of each picture; `None` for
                each picture's best class; or a function of the output, or T of them in a list, as
                in `explain`.
            method: A name from `list_methods()`, or a method.
            raw: Return the method's own map, before smoothing, normalising and resizing.
            batch_size: How many pictures go through the network at a time.
            **options: The method's options.

        Returns:
            Float32 `[N, H, W]` in `[0, 1]`, or `[N, h, w]` with `raw`; with `class_ids` of shape
            `[N, T]` or a list of T functions, `[N, T, ...]`.

        Raises:
            InputError: If an argument has another form, or a class is out of range.
        """
        chosen = get_method(method, **options)
        images = self._check_images(images)
        scores = scores_among(class_ids)
        if scores:
            places = np.arange(len(scores), dtype=np.int32)
            ids = np.tile(places, (len(images), 1))[:, slice(None) if scores != (class_ids,) else 0]
        else:
            ids = class_ids_for(self.network.classes, class_ids, len(images))
        parts = []
        for part in _batches(len(images), batch_size):
            one_part = ids[part].reshape(-1, ids[0].size)
            saliency = self._run(chosen, images[part], one_part, scores)["saliency"]
            if not raw:
                flat = saliency.reshape(-1, *saliency.shape[2:])
                flat = self.finish(flat, images.shape[1:3])
                saliency = flat.reshape(*saliency.shape[:2], *flat.shape[1:])
            parts.append(saliency)
        maps = np.concatenate(parts)
        return maps if ids.ndim == 2 else maps[:, 0]

    def predict(self, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
        """Return the probabilities, float32 `[N, classes]`, of pictures `[N, H, W, 3]`.

        They are sigmoid's where the model ends in a sigmoid, or in one unit without activation, and
        else softmax's. An output that is not `[N, classes]` is returned as the model gives it.

        Raises:
            InputError: If the pictures have another form.
        """
        images = self._check_images(images)
        logits = [
            self.forward(self.fitted(images[part])) for part in _batches(len(images), batch_size)
        ]
        return self.network.probabilities(np.concatenate(logits)).numpy()

    @cached_property
    def forward(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """The plain compiled forward pass: pictures at the network's size to logits."""
        network = self.network
        shape = [None, *network.input_size, network.channels]
        return tf.function(network.logits, input_signature=[tf.TensorSpec(shape, tf.float32)])

    @cached_property
    def probabilities_of(self) -> Callable[[tf.Tensor], tf.Tensor]:
        """Compiled likewise: preprocessed pictures, such as masked ones, to probabilities."""
        network = self.network
        shape = [None, *network.input_size, network.channels]
        return tf.function(
            lambda inputs: network.probabilities(network.logits_of(inputs)),
            input_signature=[tf.TensorSpec(shape, tf.float32)],
        )

    def kernel(self, method: Method, scores: tuple[Score, ...] = ()) -> Kernel:
        """The method compiled for this network and layer; made once.

        Args:
            method: The method.
            scores: Functions of the output that take the classes' place; the kernel's `class_ids`
                then count them.
        """
        opened = self._opened(scores)
        if method not in opened.kernels:
            opened.kernels[method] = method.compile(opened.view)
        return opened.kernels[method]

    def _opened(self, scores: tuple[Score, ...]) -> _Opened:
        return self._for_scores(scores) if scores else self._for_classes

    def _open(self, scores: tuple[Score, ...]) -> _Opened:
        return _Opened(self.network.scored_by(scores).view(self.layer))

    def _as_input(self, pixels: np.ndarray) -> np.ndarray:
        if self.network.channels in (None, 3):
            return pixels
        if self.network.channels == 1:
            return to_grey(pixels)
        raise InputError(
            f"{self.network.name} takes {self.network.channels} channels, a picture has 3; "
            "use maps(images) with arrays of that form"
        )

    def _run(
        self, method: Method, images: np.ndarray, ids: np.ndarray, scores: tuple[Score, ...]
    ) -> dict[str, np.ndarray]:
        self._tell(method)
        try:
            result = self.kernel(method, scores)(self.fitted(images), tf.constant(ids))
        except Exception as error:  # TensorFlow wraps what is raised while it compiles.
            if (behind := input_error_behind(error)) is None:
                raise
            raise behind from None
        if result["saliency"].shape[2:] == (1, 1):
            raise InputError(
                f"layer {self.layer!r} has one position only for pictures of "
                f"{images.shape[1]} x {images.shape[2]}, so its map would point nowhere; give "
                "larger pictures, or an earlier layer"
            )
        return {name: tensor.numpy() for name, tensor in result.items()}

    def _tell(self, method: Method) -> None:
        """Say once that methods of one gradient coincide at this layer."""
        one_gradient = isinstance(method, GradientMethod)
        if one_gradient and self.view.pools_globally and not self._told:
            self._told = True
            warnings.warn(
                f"{self.network.name} pools globally after {self.layer}, so the gradient there is "
                "constant in space: gradcam, xgradcam and hirescam agree, and guided is gradcam "
                "squared. An earlier layer tells them apart.",
                stacklevel=4,
            )

    def fitted(self, images: np.ndarray) -> tf.Tensor:
        """Bring pictures `[N, H, W, C]` to the network's size, float32 in their own range."""
        top, left, height, width = self._part(*images.shape[1:3])
        part = images[:, top : top + height, left : left + width]
        return self.network.fit(tf.convert_to_tensor(part))

    def _part(self, height: int, width: int) -> tuple[int, int, int, int]:
        """What of a picture the network sees: top, left, height, width."""
        rows, columns = self.network.input_size
        if self._fit == "squash" or rows is None or columns is None:
            return 0, 0, height, width
        scale = min(height / rows, width / columns)
        inner_height = max(1, min(height, round(rows * scale)))
        inner_width = max(1, min(width, round(columns * scale)))
        return (height - inner_height) // 2, (width - inner_width) // 2, inner_height, inner_width

    def finish(self, raw: np.ndarray, size: tuple[int, int]) -> np.ndarray:
        """Smooth, normalise and resize raw maps `[M, h, w]` to a picture's own geometry.

        Args:
            raw: Float32 `[M, h, w]`, as `maps(..., raw=True)` returns them.
            size: The picture's height and width.

        Returns:
            Float32 `[M, *size]` in `[0, 1]`.
        """
        top, left, height, width = self._part(*size)
        part = self.postprocess(tf.constant(raw), tf.constant([height, width])).numpy()
        if (height, width) == tuple(size):
            return part
        maps = np.zeros((len(raw), *size), np.float32)
        maps[:, top : top + height, left : left + width] = part
        return maps

    @cached_property
    def postprocess(self) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
        """The compiled post-processing: raw maps `[M, h, w]` and a size to maps `[M, *size]`."""
        signature = [tf.TensorSpec([None] * 3, tf.float32), tf.TensorSpec([2], tf.int32)]
        return tf.function(self.postprocessing.__call__, input_signature=signature)

    def check_targets(self, targets: Any) -> list[int]:
        """Return targets as class indices, and the k-th best class of a picture as -k.

        Raises:
            InputError: If a target is unknown, ambiguous or out of range.
        """
        return class_targets(self.network.classes, targets)

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
        return array


def guided_cam(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Sequence[int] | np.ndarray | Score | None = None,
    layer: str | None = None,
) -> np.ndarray:
    """Return the proposed saliency maps of a Keras classifier in one line.

    The model's compiled kernel is kept for the next call with the same model and layer.

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
    return _explainer_of(model, layer).maps(images, class_ids)


@lru_cache(maxsize=2)
def _explainer_of(model: keras.Model, layer: str | None) -> Explainer:
    return Explainer(model, layer=layer, preprocess="none")


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
