"""Explainer: the user's face of the pipeline; NumPy, pictures and names in, maps out."""

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from warnings import warn

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.arrays import as_input
from guidedcam_tf.arrays import batches
from guidedcam_tf.arrays import check_batch
from guidedcam_tf.arrays import check_values
from guidedcam_tf.arrays import refuse_in_functions
from guidedcam_tf.arrays import split_values
from guidedcam_tf.data import Picture
from guidedcam_tf.data.pictures import read
from guidedcam_tf.explanation import Explanation
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks import Network
from guidedcam_tf.networks import open_network
from guidedcam_tf.networks.failures import said_clearly
from guidedcam_tf.networks.outputs import Scores
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.picture_values import cut
from guidedcam_tf.networks.view import one_layer
from guidedcam_tf.ops import Postprocessing
from guidedcam_tf.ops.postprocessing import postprocessing_of
from guidedcam_tf.origin import Asked
from guidedcam_tf.origin import in_words
from guidedcam_tf.origin import setting_of
from guidedcam_tf.pipeline import Fit
from guidedcam_tf.pipeline import Pipeline
from guidedcam_tf.runtimes import open_runtime
from guidedcam_tf.targets import Targets
from guidedcam_tf.targets import resolve

NOT_OF_THE_NETWORK = ("layer", "postprocessing", "fit", "runtime", "precision")
"""The explainer's arguments that do not say which network is opened, and how it is read."""


class Explainer:
    """Explains what a network sees in pictures.

    Args:
        model: A network of Keras Applications by name (`"resnet50"`, `"efficientnetv2-b0"`, ...), a
            `.keras` or `.h5` file, `"hub:"` and a preset of KerasHub, or a `keras.Model`:
            functional, sequential, or subclassed where Keras can trace it. It is never changed;
            models inside are read through, their layers named by path (`"resnet50/conv1_relu"`).
        layer: The layer to explain. By default the last convolutional block's output after its
            activation: ResNet50 `"conv5_block3_out"`, VGG16 `"block5_conv3"`. For several and
            their fusion, `explain_layers`.
        preprocess: For a model of one's own: what turns float32 RGB in 0..255, `[N, H, W, 3]`,
            into its input, in TensorFlow operations; `"unit"` (x / 255) or `"signed"`
            (x / 127.5 - 1); or `"caffe"`, `"tf"`, `"torch"`, the modes of Keras Applications.
            `None` feeds pictures as they are, and hints where the model has the name of a Keras
            Application; `"none"` feeds them so without a hint.
        class_names: One name an output. By default ImageNet's where there are 1000.
        weights: For a network by name: `"imagenet"`, a file, or `None` for random ones. A file also
            goes with a model file.
        postprocessing: `"default"` (no smoothing), `"paper"` (3 x 3 Gaussian, sigma 0.8),
            `"smooth"` (bicubic enlarging), or a `guidedcam_tf.ops.Postprocessing`.
        fit: How a picture gets the network's shape: `"squash"`, or `"crop"` for the largest centred
            part of that shape; outside of it the map is zero.
        input: For a model with several inputs, the name of the one that takes the picture.
        output: Of several outputs, the one to explain; by default all, for targets made of several.
        fixed_inputs: For a model with several inputs, what others get, by name, the same for all
            pictures: arrays without the batch axis. The rest comes with each picture.
        scores: What the output is: `"logits"`, which a softmax turns into probabilities (of one
            unit, a sigmoid); `"sigmoid"`, logits of classes that are decided one by one;
            `"probabilities"`; or `"regression"`, numbers that are no probabilities. By default
            found out from the end of the network and its values, with a warning where that leaves
            a doubt.
        grid: For a layer of tokens, `[N, T, C]`, the height and width of the patches' grid, such
            as `(14, 14)`, where it cannot be found out; class and register tokens come first.
        custom_objects: Your own classes and functions by name, for a model file.
        unsafe_lambda: Load `Lambda` layers of a model file, which run Python code that it holds.
        runtime: `"tensorflow"`, or `"openvino"` (the extra of that name), which is faster on a
            processor, keeps a copy of the weights, and refuses to answer once they have changed.
        precision: `"float32"`, or, with `"openvino"`, `"bfloat16"`: faster still, at three digits.

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
        grid: Sequence[int] | None = None,
        custom_objects: Mapping[str, Any] | None = None,
        unsafe_lambda: bool = False,
        runtime: str = "tensorflow",
        precision: str = "float32",
    ) -> None:
        given = {name: value for name, value in locals().items() if name != "self"}
        refuse_in_functions()
        runs = open_runtime(runtime, precision)
        said = {name: value for name, value in given.items() if name not in NOT_OF_THE_NETWORK}
        network = open_network(**said)
        self.pipeline = Pipeline(network, layer, fit, postprocessing_of(postprocessing), runs)
        self._given, self._warned = given, False
        if layer is None and network.layer_choice.doubt:
            warn(network.layer_choice.doubt, stacklevel=2)
        self.said = in_words(
            **said,
            runtime=None if runtime == "tensorflow" else runtime,
            precision=None if precision == "float32" else precision,
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
        one_layer(layer)
        twin = object.__new__(Explainer)
        vars(twin).update(vars(self), pipeline=self.pipeline.at(layer))
        return twin

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what it was made of, and the weights that it opened; a model holds its own."""
        given, model = {**self._given, "layer": self.layer}, self.network.model
        return _opened, (given, [] if given["model"] is model else model.get_weights())

    def explain(
        self,
        picture: Picture,
        targets: Targets = "top1",
        method: str | Method = "guided",
        **options: Any,
    ) -> Explanation:
        """Explain one picture for one or several targets, with one pass through the trunk.

        Args:
            picture: A path, a PIL picture, or RGB `[H, W, 3]`, uint8 or float in 0..255. Or, for a
                network of other channels or without preprocessing, an array `[H, W]` or
                `[H, W, C]` of any range, or an NPY file of one: it gets the values as they are,
                and `guidedcam_tf.data.shown_as_picture` makes what is shown.
                For a model with several inputs, a dict of them by name: one of these, and what
                the others get, `[1, ...]`.
            targets: Class indices, class names, wnids, `"top1"` or `"topK"` for the K best classes;
                or what `guidedcam_tf.targets` has for outputs that are no classes: regions, boxes,
                and functions of the output (each is compiled once: pass the same one again).
            method: A name from `list_methods()`, or a method.
            **options: The method's options.

        Returns:
            The maps, at the picture's own size, with everything around them.

        Raises:
            InputError: If the picture cannot be read, or a target, method or option is unknown.
        """
        refuse_in_functions()
        resolved, chosen = resolve(targets, self.network), get_method(method, **options)
        if not resolved.asked:
            self.warn_of_doubt()
        picture, given = split_values(picture, self.network)
        values = check_values(given, self.network, 1)
        content = read(picture, len(self.network.input_size))
        size, pipeline = content.shown.shape[:-1], resolved.pipeline(self.pipeline)
        fitted = pipeline.fitted(as_input(content, self.network)[None])
        settled = resolved.settle(self.pipeline, fitted, size, slice(0, 1), values)
        maps = pipeline.explain(chosen, fitted, resolved.class_ids, settled.values)
        arrays = {name: tensor[0].numpy() for name, tensor in maps.items()}
        asked = Asked(
            resolved.words if resolved.asked else arrays["class_ids"].tolist(),
            None if settled.numbers is None else settled.numbers[0],
            settled.names[0] if settled.names else None,
            resolved.files,
            of_picture_only=not values,
        )
        arrays |= {
            "maps": pipeline.finish(maps["saliency"][0], size).numpy(),
            "probabilities": pipeline.network.probabilities(maps["logits"]).numpy()[0],
        }
        setting = setting_of(pipeline, chosen, self.said)
        return setting.explanation(picture, content, arrays, asked)

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
                gets them as they are, whatever their range.) For a model with several inputs, a
                dict of them by name, with a value of each picture, `[N, ...]`.
            class_ids: Targets as in `explain`: one for all pictures, a list of one for each, or
                `[N, T]` for T targets of each; `None` for each picture's best class; or T targets
                in a list that are no classes, for all pictures.
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
        images, values = check_batch(images, self.network)
        resolved = resolve(class_ids, self.network, len(images), "class_ids")
        pipeline = resolved.pipeline(self.pipeline)
        parts = []
        for part in batches(len(images), batch_size):
            fitted = pipeline.fitted(images[part])
            size, ids = images.shape[1:-1], resolved.class_ids[part]
            settled = resolved.settle(self.pipeline, fitted, size, part, cut(values, part))
            saliency = pipeline.explain(chosen, fitted, ids, settled.values)["saliency"]
            if not raw:
                flat = tf.reshape(saliency, [-1, *saliency.shape[2:]])
                flat = pipeline.finish(flat, images.shape[1:-1])
                saliency = tf.reshape(flat, [*saliency.shape[:2], *flat.shape[1:]])
            parts.append(saliency.numpy())
        maps = np.concatenate(parts)
        return maps[:, 0] if resolved.single else maps

    def predict(self, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
        """Return the probabilities, float32 `[N, classes]`, of pictures `[N, H, W, 3]`.

        They are sigmoid's or softmax's, as the model ends or `scores` says; of one unit class 1's,
        `[N, 1]`. Probabilities, and values such as one unit without activation, stay as they are.

        Raises:
            InputError: If the pictures have another form.
        """
        images, values = check_batch(images, self.network)
        self.warn_of_doubt()
        logits = []
        for part in batches(len(images), batch_size):
            with WithValues(cut(values, part)), said_clearly(self.network, images):
                logits.append(self.pipeline.logits(self.pipeline.fitted(images[part])).numpy())
        return self.network.as_output(self.network.probabilities(np.concatenate(logits))).numpy()

    def forward(self, fitted: np.ndarray) -> tf.Tensor:
        """Return the scores, float32 `[N, ...]`, of fitted pictures; see `Pipeline.logits`."""
        return self.pipeline.logits(fitted)

    def warn_of_doubt(self) -> None:
        """Say once that outputs are softmaxed that may be no logits."""
        doubt = self.network.output_doubt
        if doubt and self.network.meaning.kind == "softmax" and not self._warned:
            self._warned = True
            warn(doubt, stacklevel=3)


def _opened(given: dict[str, Any], weights: list[np.ndarray]) -> Explainer:
    explainer = Explainer(**given)
    if weights:
        explainer.network.model.set_weights(weights)
    return explainer
