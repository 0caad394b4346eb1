"""A classifier opened for explanation: its preprocessing, its classes, and its layers."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import keras
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.checking import comparison
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.networks.classes import class_names_for
from guidedcam_tf.networks.classes import names_of_output
from guidedcam_tf.networks.default_layer import Choice
from guidedcam_tf.networks.default_layer import default_layer as choose_layer
from guidedcam_tf.networks.default_layer import explainable_layers
from guidedcam_tf.networks.default_layer import reason_for
from guidedcam_tf.networks.failures import no_classes
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.keras_graph import Structure
from guidedcam_tf.networks.outputs import Meaning
from guidedcam_tf.networks.outputs import Scores
from guidedcam_tf.networks.outputs import meaning_of
from guidedcam_tf.networks.outputs import paired
from guidedcam_tf.networks.own_preprocessing import split_own_preprocessing
from guidedcam_tf.networks.own_preprocessing import with_moving
from guidedcam_tf.networks.preprocessing import SOME_SIZE
from guidedcam_tf.networks.preprocessing import Preprocess
from guidedcam_tf.networks.preprocessing import preprocessing
from guidedcam_tf.networks.preprocessing import seeded_pictures
from guidedcam_tf.networks.reading import read_graph
from guidedcam_tf.networks.target_functions import Question
from guidedcam_tf.networks.tokens import Tokens
from guidedcam_tf.networks.tokens import checked_grid
from guidedcam_tf.networks.view import LayerView
from guidedcam_tf.networks.view import view_at
from guidedcam_tf.networks.weights import WeightsSource
from guidedcam_tf.ops import resize

INPUTS = "pictures [N, H, W, C], signals [N, T, C] or volumes [N, D, H, W, C]"


class Network:
    """A Keras classifier with what is needed to explain it.

    What was read of the model is compared with the model itself on two pictures of noise. What it
    does to pictures before its first trained layer is preprocessing, as outside of the model.

    Args:
        model: A functional or sequential model, or a subclassed one that Keras can trace, with a
            picture input `[N, H, W, C]` (or `[N, C, H, W]`, which is turned) and an output, for
            classes `[N, classes]`. It is read, never changed.
        preprocess: What turns float32 RGB in 0..255, `[N, H, W, 3]`, into the model's input, in
            TensorFlow operations, or one of `preprocessing.MODES`; `None` or `"none"` if the model
            takes pictures as they are.
        class_names: Names in the order of the outputs; see `names_of_output`.
        default_layer: The layer that is explained unless another is asked for.
        weights: Where the weights came from.
        input: As in `read_graph`.
        output: As in `read_graph`.
        fixed_inputs: As in `read_graph`.
        scores: What the output is: `"logits"`, which a softmax turns into probabilities (of one
            unit, a sigmoid); `"sigmoid"`, logits of classes that are decided one by one;
            `"probabilities"`; or `"regression"`, numbers that are no probabilities. By default
            found out from the end of the network and its values.
        grid: The height and width of the grid that tokens `[N, T, C]` lie on, where it cannot be
            found out; the last `h * w` tokens are the places.
        deferred: Compare at the first use, for a model that is known to end in a softmax.

    Attributes:
        takes_pixels, scales_pixels: Whether preprocessing, or the model itself, expects 0..255.
        meaning: What the output means.
        model_inputs: Turns float32 RGB in 0..255, `[N, H, W, 3]`, into what the model takes.
        own_preprocessing: What the model itself does before `graph` begins.
        question: What is explained in the place of classes, if that is done; see `scored_by`.
        inputs: The inputs that have a value for each picture, by name.
        verify: Compares what was read with the model, once, and returns what it gave; `compare`.
        structure: Tells whether the model has changed since.

    Raises:
        InputError: If the model is not of this form, or computes something else than its layers.
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
        scores: Scores | None = None,
        grid: Sequence[int] | None = None,
        deferred: bool = False,
    ) -> None:
        self.model = model
        self.question: Question | None = None
        graph = read_graph(model, input=input, output=output, fixed_inputs=fixed_inputs)
        if len(graph.input_shape) not in (3, 4, 5):
            raise InputError(
                f"model {model.name!r} maps {graph.input_shape} to "
                f"{graph.output_shape}; expected {INPUTS} as its input"
            )
        self.input_size: tuple[int | None, ...] = graph.input_shape[1:-1]
        self.channels: int | None = graph.input_shape[-1]
        self.weights = weights or WeightsSource("the model passed in")
        self.inputs = dict(graph.specs)
        self.model_inputs = preprocessing(preprocess, graph.input_shape, graph.picture_dtype)
        self.takes_pixels = self.sees_pictures and preprocess not in (None, "none")
        self._default_layer = default_layer
        self._grid = checked_grid(grid)
        self.graph = graph
        self.verify = comparison(model, graph, lambda: self.model_inputs(self._noise()), output)
        outputs = None if deferred else self.verify()
        loss = getattr(model, "loss", None)
        graph, self.meaning = meaning_of(graph, outputs, scores, loss)
        moving = with_moving(graph, self.model_inputs) if callable(preprocess) else None
        self._prepared = tf.identity if moving else self.model_inputs
        self.own_preprocessing, self.graph = split_own_preprocessing(
            moving or graph, lambda: self._prepared(self._noise())
        )
        self.scales_pixels = self.sees_pictures and self.own_preprocessing.scales_pixels
        self.has_pair = self.graph.output_shape == (None, 1) and self.meaning.kind != "values"
        if self.has_pair:
            self.graph = paired(self.graph)
        self._given_names = class_names
        shape = self.graph.output_shape
        self._class_names = names_of_output(shape, class_names, has_pair=self.has_pair)
        self.structure = Structure(model, preprocess)

    def noise(self) -> tf.Tensor:
        """Two pictures of noise as `preprocess` returns them, the same each time."""
        return self.preprocess(self._noise())

    def _noise(self) -> tf.Tensor:
        shape, any_range = self.some_shape(2)[1:], not self.takes_pixels
        return tf.constant(seeded_pictures(shape, one_in_unit_range=any_range))

    def some_shape(self, count: int) -> list[int]:
        """The shape of a batch that the model takes."""
        return [count, *(side or SOME_SIZE for side in self.input_size), self.channels or 3]

    @property
    def sees_pictures(self) -> bool:
        """Whether it takes pictures `[N, H, W, C]`, and not signals or volumes."""
        return len(self.input_size) == 2

    def names_of(self, count: int) -> ClassNames:
        """The names of the classes of an output `[N, ..., classes]` with that many.

        Raises:
            InputError: If there are more or fewer names than classes.
        """
        return class_names_for(count, self._given_names)

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.name

    @property
    def quantity(self) -> str:
        """What a target has: a `"probability"`, or a `"value"` of a regression or a function."""
        return "value" if self.meaning.kind == "values" else "probability"

    @property
    def output_reason(self) -> str:
        """One line that says what the output means."""
        return f"model {self.name!r} {self.meaning.reason}"

    @property
    def output_doubt(self) -> str:
        """One line to warn by where it is not sure what the output means; else empty."""
        if self.meaning.sure:
            return ""
        return (
            f"{self.output_reason}; scores='logits', 'probabilities', 'sigmoid' or 'regression' "
            "settles it"
        )

    @property
    def has_classes(self) -> bool:
        """Whether the output is `[N, classes]`."""
        return self._class_names is not None

    @property
    def classes(self) -> ClassNames:
        """The names of the outputs.

        Raises:
            InputError: If the output is not `[N, classes]`.
        """
        if self._class_names is None:
            raise no_classes(self.graph, self.name)
        return self._class_names

    def scored_by(self, question: Question) -> Network:
        """Return the network with the answer to a question in the place of its classes."""
        twin = copy.copy(self)
        twin.question = question
        twin.graph = self.graph.scored_by(question)
        twin._class_names = ClassNames(question.names)
        twin.meaning = Meaning("values", "is asked for functions of its output")
        return twin

    def fit(self, images: tf.Tensor) -> tf.Tensor:
        """Squash pictures `[N, H, W, C]` of any dtype to the network's size, float32.

        Signals `[N, T, C]` and volumes `[N, D, H, W, C]` likewise. Bilinear with half-pixel
        centres. A network of any size takes them as they are.
        """
        sides = zip(self.input_size, images.shape[1:-1], strict=True)
        size = [given or actual for given, actual in sides]
        if list(images.shape[1:-1]) == size:
            return tf.cast(images, tf.float32)
        return resize(images, size)

    def preprocess(self, images: tf.Tensor) -> tf.Tensor:
        """Turn float32 RGB in 0..255, `[N, H, W, 3]`, into what `graph` begins with."""
        return self.own_preprocessing(self._prepared(images))

    def logits(self, images: tf.Tensor) -> tf.Tensor:
        """The scores before softmax, float32 `[N, classes]`, of pictures that `fit` returned."""
        return self.logits_of(self.preprocess(images))

    def logits_of(self, inputs: tf.Tensor) -> tf.Tensor:
        """The scores before softmax, float32 `[N, classes]`, of what `preprocess` returned.

        Of one unit with two classes they are `[-score, score]`.
        """
        (logits,) = self.graph.run({self.graph.input: inputs}, [self.graph.logits])
        return tf.cast(logits, tf.float32)

    def probabilities(self, logits: tf.Tensor) -> tf.Tensor:
        """Turn scores that `logits` returned into probabilities, float32 `[N, classes]`."""
        return self.meaning.probabilities(tf.convert_to_tensor(logits), has_pair=self.has_pair)

    def as_output(self, probabilities: tf.Tensor) -> tf.Tensor:
        """Return probabilities in the form of the model's output: of one unit, `[N, 1]`."""
        if self.graph.ends:
            raise no_classes(self.graph, self.name)
        return probabilities[:, 1:] if self.has_pair else probabilities

    @cached_property
    def tokens(self) -> Tokens:
        """What is known of the layers of tokens, `[N, T, C]`."""
        return Tokens(self, self._grid)

    @cached_property
    def layers(self) -> dict[str, Step]:
        """The layers that can be explained: maps `[N, h, w, K]`, and tokens with known places.

        Of signals `[N, T, C]` the maps are `[N, t, K]`, of volumes `[N, d, h, w, K]`.
        """
        return explainable_layers(self.graph, self.tokens)

    @cached_property
    def layer_choice(self) -> Choice:
        """The default layer, and what is to be said of it."""
        if self._default_layer is not None:
            return Choice(self._default_layer)
        return choose_layer(self.graph, self.name, self.tokens, self.noise)

    @property
    def default_layer(self) -> str:
        """The last feature map that all paths to the scores pass through, after its activation.

        Only what comes before the picture is pooled or flattened to `[N, values]` or to one
        position has extent.

        Raises:
            InputError: If the network has none.
        """
        if self.layer_choice.missing:
            raise InputError(self.layer_choice.missing)
        return self.layer_choice.name

    @property
    def default_layer_reason(self) -> str:
        """One line that names the default layer, and says why it is that one."""
        reason = reason_for(self.graph, self.layers, self.default_layer, self.tokens)
        return "; ".join(filter(None, [reason, self.layer_choice.doubt]))

    def view(self, layer: str | None = None) -> LayerView:
        """Open the network at a layer, by default at `default_layer`.

        A network that has none is opened without a layer.

        Raises:
            InputError: If there is no such layer, or its output has no places in the picture.
        """
        return view_at(self, layer or self.layer_choice.name)
