"""A classifier opened for explanation: its preprocessing, its classes, and its layers."""

from __future__ import annotations

import copy
import difflib
import os
import warnings
from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf
from keras.src.layers.preprocessing.data_layer import DataLayer

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.applications import Application
from guidedcam_tf.networks.applications import find_application
from guidedcam_tf.networks.applications import needs_preprocessing
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.networks.classes import class_names_for
from guidedcam_tf.networks.graph import LINEAR_PART
from guidedcam_tf.networks.graph import NO_SAVED_MODEL
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.scores import Score
from guidedcam_tf.networks.scores import score_name
from guidedcam_tf.networks.weights import WeightsSource
from guidedcam_tf.networks.weights import load_application
from guidedcam_tf.networks.weights import load_file

Preprocess = Callable[[tf.Tensor], tf.Tensor]
MODES = ("caffe", "tf", "torch", "none")

NOT_FEATURES = (
    keras.layers.AveragePooling2D,
    keras.layers.MaxPooling2D,
    keras.layers.ZeroPadding2D,
    keras.layers.Cropping2D,
    keras.layers.UpSampling2D,
    keras.layers.Dropout,
    keras.layers.SpatialDropout2D,
    keras.layers.Reshape,
    keras.layers.Permute,
    keras.layers.GaussianNoise,
    DataLayer,
)
"""Layers that only rearrange a feature map or prepare a picture: never chosen by default."""

LINEAR = (
    keras.layers.Dense,
    keras.layers.Dropout,
    keras.layers.Flatten,
    keras.layers.Reshape,
    keras.layers.BatchNormalization,
)
"""Layers whose gradient does not depend on where in the picture it is taken, once pooled."""


@dataclass(frozen=True)
class LayerView:
    """A network that exposes one layer.

    Attributes:
        network: The network.
        step: The layer's place in the network's graph.
    """

    network: Network
    step: Step

    @property
    def layer(self) -> str:
        """The layer's name."""
        return self.step.name

    def forward(self, inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Run preprocessed pictures through the network once, in inference mode.

        Both results are float32 whatever the model's policy, and a tape sees the logits depend on
        the activations.

        Args:
            inputs: Float32 `[N, H, W, 3]`, as `Network.preprocess` returns them.

        Returns:
            The layer's output `[N, h, w, K]`, and the logits `[N, classes]`.
        """
        graph, slot = self.network.graph, self.step.outputs[0]
        activations, logits = graph.run(
            {graph.input: inputs},
            [slot, graph.logits],
            edits={slot: lambda tensor: tf.cast(tensor, tf.float32)},
        )
        return activations, tf.cast(logits, tf.float32)

    def gradient_stopper(self) -> str:
        """The last layer between this one and the logits that lets no gradient through, by name."""
        network, later = self.network, self.network.graph.downstream(self.step)
        graph, size = network.graph, [side or 32 for side in network.input_size]
        slots = [self.step.outputs[0], *(step.outputs[0] for step in later)]
        with tf.GradientTape() as tape:

            def watched(tensor: tf.Tensor) -> tf.Tensor:
                tape.watch(tensor)
                return tensor

            inputs = tf.zeros([1, *size, network.channels or 3])
            edits = dict.fromkeys(slots, watched)
            tensors = graph.run({graph.input: inputs}, [*slots, graph.logits], edits)
        gradients = tape.gradient(tensors[-1], tensors[:-1])
        reached = {s: g is not None for s, g in zip(slots, gradients, strict=True)}
        reached[graph.logits] = True
        for step in reversed(later):
            if reached[step.outputs[0]] and not any(reached.get(slot) for slot in step.inputs):
                return (
                    f"layer {step.name.removesuffix(LINEAR_PART)!r} ({type(step.layer).__name__})"
                )
        return "a layer"

    @cached_property
    def pools_globally(self) -> bool:
        """Whether only global average pooling and linear layers follow this layer.

        Then the gradient of a logit is the same at every position of the layer.
        """
        later = self.network.graph.downstream(self.step)
        return (
            bool(later)
            and isinstance(later[0].layer, keras.layers.GlobalAveragePooling2D)
            and all(isinstance(step.layer, LINEAR) and not step.is_activation for step in later[1:])
        )


class Network:
    """A Keras classifier with what is needed to explain it.

    Args:
        model: A functional or sequential model, or a subclassed one that Keras can trace, with a
            picture input `[N, H, W, C]` (or `[N, C, H, W]`, which is turned) and an output, for
            classes `[N, classes]`. It is read, never changed.
        preprocess: What turns float32 RGB in 0..255, `[N, H, W, 3]`, into the model's input, in
            TensorFlow operations; `"caffe"`, `"tf"` or `"torch"` for the modes of Keras
            Applications; `None` or `"none"` if the model takes pictures as they are.
        class_names: Names in the order of the outputs; see `class_names_for`.
        default_layer: The layer that is explained unless another is asked for.
        weights: Where the weights came from.
        input: As in `Graph`.
        output: As in `Graph`.
        fixed_inputs: As in `Graph`.

    Attributes:
        takes_pixels: Whether pictures must be in 0..255, as preprocessing expects them.

    Raises:
        InputError: If the model is not of this form.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        preprocess: Preprocess | str | None = None,
        class_names: Sequence[str] | None = None,
        default_layer: str | None = None,
        weights: WeightsSource | None = None,
        input: str | None = None,
        output: str | None = None,
        fixed_inputs: Mapping[str, Any] | None = None,
    ) -> None:
        self.model = model
        self.graph = Graph(model, input=input, output=output, fixed_inputs=fixed_inputs)
        if len(self.graph.input_shape) != 4:
            raise InputError(
                f"model {model.name!r} maps {self.graph.input_shape} to "
                f"{self.graph.output_shape}; expected pictures [N, H, W, C] as its input"
            )
        self.input_size: tuple[int | None, int | None] = self.graph.input_shape[1:3]
        self.channels: int | None = self.graph.input_shape[3]
        self._class_names = self._named_classes(class_names)
        self.weights = weights or WeightsSource("the model passed in")
        self._preprocess = _preprocessing(preprocess)
        self.takes_pixels = preprocess is not None and preprocess != "none"
        self._default_layer = default_layer
        self._scores_are_numbers = False

    def _named_classes(self, given: Sequence[str] | None) -> ClassNames | None:
        shape = self.graph.output_shape
        if len(shape) == 2 and shape[1] is not None:
            return class_names_for(shape[1], given)
        if given is not None:
            raise InputError(f"class_names goes with an output [N, classes]; this one is {shape}")
        return None

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def classes(self) -> ClassNames:
        """The names of the outputs.

        Raises:
            InputError: If the output is not `[N, classes]`.
        """
        if self._class_names is None:
            raise InputError(
                f"the output of {self.name!r} is {self.graph.output_shape}, not [N, classes]: "
                "expected a target that is a function of the output with one number per picture"
            )
        return self._class_names

    def scored_by(self, scores: Sequence[Score]) -> Network:
        """Return the network with functions of its output in the place of its classes.

        Args:
            scores: Functions that turn the output before a final softmax or sigmoid, float32
                `[N, ...]`, into one number for each picture, `[N]`, in TensorFlow operations.
        """
        twin = copy.copy(self)
        for name in ("layers", "default_layer"):
            twin.__dict__.pop(name, None)
        twin.graph = self.graph.scored_by(scores)
        twin._class_names = ClassNames(tuple(map(score_name, scores)))
        twin._scores_are_numbers = True
        return twin

    def fit(self, images: tf.Tensor) -> tf.Tensor:
        """Squash pictures `[N, H, W, C]` of any dtype to the network's size, float32.

        Bilinear with half-pixel centres. A network of any size takes them as they are.
        """
        size = [
            given or actual
            for given, actual in zip(self.input_size, images.shape[1:3], strict=True)
        ]
        if list(images.shape[1:3]) == size:
            return tf.cast(images, tf.float32)
        return tf.image.resize(images, size)

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        """Turn float32 RGB in 0..255, `[N, H, W, 3]`, into what the model takes."""
        # As a tensor, because Keras's own preprocessing writes into NumPy arrays.
        return self._preprocess(tf.convert_to_tensor(images))

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """The scores before softmax, float32 `[N, classes]`, of pictures that `fit` returned."""
        return self.logits_of(self.preprocess(images))

    def logits_of(self, inputs: tf.Tensor) -> tf.Tensor:
        """The scores before softmax, float32 `[N, classes]`, of what `preprocess` returned."""
        (logits,) = self.graph.run({self.graph.input: inputs}, [self.graph.logits])
        return tf.cast(logits, tf.float32)

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Turn scores that `logits` returned into probabilities, float32 `[N, classes]`.

        By sigmoid where the model ends in one, and where its one output has no activation; by
        softmax elsewhere. An output that is not `[N, classes]`, and the numbers of `scored_by`,
        stay as they are, unless the model itself ends in a softmax or sigmoid.
        """
        activation, logits = self.graph.score_activation, tf.convert_to_tensor(logits)
        if self._scores_are_numbers:
            return logits
        if not activation and len(self.graph.output_shape) == 2:
            activation = "sigmoid" if self.graph.output_shape[1] == 1 else "softmax"
        if activation == "softmax":
            return tf.nn.softmax(logits)
        return tf.sigmoid(logits) if activation == "sigmoid" else logits

    @cached_property
    def layers(self) -> dict[str, Step]:
        """The layers that can be explained: outputs `[N, h, w, K]` with more than one position."""
        return {
            step.name: step
            for step in self.graph.picture_steps
            if _is_spatial(step) and not step.is_linear_part
        }

    @cached_property
    def default_layer(self) -> str:
        """The last layer with spatial extent whose output is a feature map, after its activation.

        Only what comes before the picture is pooled or flattened to `[N, values]` or to one
        position has extent.

        Raises:
            InputError: If the network has none.
        """
        if self._default_layer is not None:
            return self._default_layer
        features = [
            name for name, step in self.layers.items() if not isinstance(step.layer, NOT_FEATURES)
        ]
        if not features:
            raise InputError(
                f"model {self.name!r} has no layer with spatial extent: expected an output "
                "[N, h, w, K] with h or w above 1"
            )
        return features[-1]

    @property
    def default_layer_reason(self) -> str:
        """One line that names the default layer, and says why it is that one."""
        name = self.default_layer
        step, later = self.layers[name], self.graph.downstream(self.layers[name])
        extent = " x ".join("?" if side is None else str(side) for side in step.shape[1:3])
        before = f", before {later[0].name.removesuffix(LINEAR_PART)!r}" if later else ""
        kind = type(step.layer).__name__
        return (
            f"{name!r} ({kind}, {extent}) is the last feature map with spatial extent{before}; "
            f"{len(self.layers) - 1} other layers can be named"
        )

    def view(self, layer: str | None = None) -> LayerView:
        """Open the network at a layer, by default at `default_layer`.

        Raises:
            InputError: If there is no such layer, or if it has no spatial extent.
        """
        name = layer or self.default_layer
        if name in self.layers:
            return LayerView(self, self.layers[name])
        everything = {step.name: step for step in self.graph.steps}
        if name in everything:
            raise InputError(
                f"layer {name!r} has no spatial extent before the scores: its output is "
                f"{everything[name].shape}, expected [N, h, w, K] with h or w above 1; "
                f"the default is {self.default_layer!r}"
            )
        nearest = difflib.get_close_matches(name, self.layers, n=3, cutoff=0.0)
        raise InputError(
            f"layer {name!r} is not in {self.name!r}; nearest: {', '.join(nearest)}; "
            f"the default is {self.default_layer!r}"
        )


def open_network(
    model: keras.Model | str | os.PathLike[str],
    *,
    weights: str | os.PathLike[str] | None = "imagenet",
    preprocess: Preprocess | str | None = None,
    class_names: Sequence[str] | None = None,
    input: str | None = None,
    output: str | None = None,
    fixed_inputs: Mapping[str, Any] | None = None,
) -> Network:
    """Open a network by name, from a file, or as it stands.

    A model passed in that has the name of a network of Keras Applications, and comes without
    `preprocess`, is warned about: pictures go into it as they are.

    Args:
        model: A network of Keras Applications by name, such as `"resnet50"`, a `.keras` or `.h5`
            file of a whole model, or a `keras.Model`.
        weights: For a network by name: `"imagenet"` for the chain of sources in
            `networks/weights.py`, a file, or `None` for random ones. A file also goes with a model
            file. A model passed in keeps its own.
        preprocess: As in `Network`; a network by name has its own.
        class_names: As in `Network`.
        input: As in `Graph`, for a model that is passed in or read from a file.
        output: As `input`.
        fixed_inputs: As `input`.

    Raises:
        InputError: If the model or its weights cannot be had.
    """
    parts: dict[str, Any] = {"input": input, "output": output, "fixed_inputs": fixed_inputs}
    if isinstance(model, keras.layers.TFSMLayer):
        raise InputError(f"model is a TFSMLayer. {NO_SAVED_MODEL}")
    if isinstance(model, keras.Model):
        if weights not in ("imagenet", None):
            raise InputError("weights goes with a network by name; load them into the model itself")
        if preprocess is None and needs_preprocessing(model.name):
            warnings.warn(
                f"model {model.name!r} gets pictures as they are: its Keras Application expects "
                "preprocessed ones. Give preprocess='caffe', 'tf' or 'torch', or 'none' if they "
                "are preprocessed already.",
                stacklevel=3,
            )
        return Network(model, preprocess=preprocess, class_names=class_names, **parts)
    name = os.fspath(model) if isinstance(model, (str, os.PathLike)) else repr(model)
    if name.endswith((".keras", ".h5")):
        loaded = _load_model(Path(name))
        source = WeightsSource("file", Path(name))
        if weights not in ("imagenet", None):
            source = load_file(loaded, weights)
        return Network(
            loaded, preprocess=preprocess, class_names=class_names, weights=source, **parts
        )
    if Path(name, "saved_model.pb").is_file():
        raise InputError(f"model {name} cannot be explained. {NO_SAVED_MODEL}")
    application = find_application(name)
    built, source = _build(application, weights)
    network = Network(
        built,
        preprocess=preprocess or application.preprocessing,
        class_names=class_names,
        default_layer=application.default_layer or None,
        weights=source,
    )
    network.takes_pixels = preprocess != "none"
    return network


def _build(
    application: Application, weights: str | os.PathLike[str] | None
) -> tuple[keras.Model, WeightsSource]:
    if weights == "imagenet":
        return load_application(application)
    model = application.build(weights=None)
    if weights is None:
        return model, WeightsSource("random")
    return model, load_file(model, weights)


def _load_model(path: Path) -> keras.Model:
    if not path.is_file():
        raise InputError(f"model file {path} does not exist")
    try:
        return keras.models.load_model(path, compile=False)
    except Exception as error:  # Keras, zipfile and h5py each raise kinds of their own.
        first = str(error).strip().splitlines() or [type(error).__name__]
        raise InputError(f"model file {path} cannot be read: {first[0]}") from error


def _preprocessing(preprocess: Preprocess | str | None) -> Preprocess:
    if preprocess is None or preprocess == "none":
        return lambda images: images
    if callable(preprocess):
        return preprocess
    if preprocess not in MODES:
        raise InputError(
            f"preprocess {preprocess!r} is not known; expected a callable, None, or one of "
            f"{', '.join(MODES)}"
        )
    return lambda images: keras.applications.imagenet_utils.preprocess_input(
        images, data_format="channels_last", mode=preprocess
    )


def _is_spatial(step: Step) -> bool:
    return len(step.shape) == 4 and step.shape[1:3] != (1, 1)
