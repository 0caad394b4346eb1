"""A network opened at one layer."""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING
from typing import Any

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.calls import traced
from guidedcam_tf.networks.default_layer import expected_shape
from guidedcam_tf.networks.failures import gradient_stopper
from guidedcam_tf.networks.geometry import box_of
from guidedcam_tf.networks.geometry import lay
from guidedcam_tf.networks.geometry import out_of_order
from guidedcam_tf.networks.geometry import some_size
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.shown import Box
from guidedcam_tf.networks.tokens import RANK
from guidedcam_tf.networks.tokens import FromTokens
from guidedcam_tf.networks.tokens import ToTokens
from guidedcam_tf.networks.tokens import on_grid
from guidedcam_tf.networks.traits import GLOBAL_AVERAGES
from guidedcam_tf.networks.traits import Trait
from guidedcam_tf.ops import resize_maps

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network


Enlarger = Callable[[tf.Tensor, Any], tf.Tensor]
"""From maps `[M, h, w]` and a size `[H, W]` to maps of that size."""

Compiler = Callable[[Callable[..., Any], Sequence[Any]], Callable[..., Any]]
"""What compiles a function of tensors for its signature."""


@dataclass(frozen=True)
class LayerView:
    """A network that exposes one layer.

    Attributes:
        network: The network.
        opened: The layer's place in the network's graph; `None` where the network has no feature
            map, which leaves what explains the picture alone.
        compiler: What compiles functions that run the network.
    """

    network: Network
    opened: Step | None
    compiler: Compiler = traced

    def compiled(self, signature: Sequence[Any]) -> Callable[[Callable[..., Any]], Any]:
        """Decorate a function that runs the network: it is compiled once, for a signature.

        All in it runs as in `inference`.

        Args:
            signature: As `input_signature` of `tf.function`.
        """
        return lambda function: self.compiler(inference()(function), signature)

    @property
    def step(self) -> Step:
        """The layer's place in the network's graph.

        Raises:
            InputError: If the network is opened without a layer.
        """
        if self.opened is None:
            raise InputError(self.network.layer_choice.missing)
        return self.opened

    @property
    def layer(self) -> str:
        """The layer's name; empty where the network is opened without one."""
        return self.opened.name if self.opened else ""

    def refuse_tokens(self, method: str) -> None:
        """Raise `InputError` for a method of convolutional networks at a layer of tokens."""
        if isinstance(self.step.layer, FromTokens):
            raise InputError(
                f"{method} cannot explain layer {self.layer!r}, whose output is tokens: it has "
                "rules for what follows a feature map of a convolutional network only; choose "
                "gradcam, hirescam or another method of gradients, or scorecam"
            )

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
        activations.set_shape([None] * len(self.step.shape))
        return activations, tf.cast(logits, tf.float32)

    @cached_property
    def outputs(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        """The plain compiled forward pass, to the outputs before a final softmax or sigmoid.

        From pictures that `Network.fit` returned to float32 `[N, ...]` by name; the one output of a
        model that has one is called `""`.
        """
        network, graph = self.network, self.network.graph
        network.verify()
        ends = graph.ends or {"": graph.logits}

        @self.compiled([tf.TensorSpec([None, *network.input_size, network.channels])])
        def outputs(images: tf.Tensor) -> dict[str, tf.Tensor]:
            found = graph.run({graph.input: network.preprocess(images)}, list(ends.values()))
            scores = [tf.cast(tensor, tf.float32) for tensor in found]
            return dict(zip(ends, scores, strict=True))

        return outputs

    def gradient_stopper(self) -> str:
        """The last layer between this one and the logits that lets no gradient through, by name."""
        return gradient_stopper(self.network.graph, self.step, self.network.some_shape(1))

    def box(self, extent: tuple[int | None, ...], size: Sequence[Any]) -> Box | None:
        """Which part of a picture a map of some extent covers; see `box_of`.

        Args:
            extent: The map's height and width. One of the network's input covers all of it.
            size: The picture's height and width.
        """
        sides = zip(self.network.input_size, size, strict=True)
        fitted = tuple(given or side for given, side in sides)
        return None if extent == fitted else box_of(self.network, self.step, fitted)

    @property
    def covered(self) -> Box | None:
        """Which part of a picture the layer covers, of some size where the network takes any."""
        return box_of(self.network, self.step, some_size(self.network))

    def enlarger(self, resize: Enlarger = resize_maps, step: Step | None = None) -> Enlarger:
        """Return what brings maps `[M, h, w]` of a layer to the size `[H, W]` of the pictures.

        They lie over the part of the pictures that the layer covers, and are zero elsewhere.

        Args:
            resize: What resizes maps to a size.
            step: The layer's place; by default this layer's.

        Raises:
            InputError: If the network takes any size, so that the part depends on it.
        """
        network, step = self.network, step or self.step
        size = some_size(network)
        box = box_of(network, step, size)
        if box is None:
            return resize
        if None in network.input_size:
            raise InputError(
                f"what layer {step.name!r} covers of a picture depends on the picture's size, as "
                f"{network.name!r} takes any and crops or pads it; give the model's input a height "
                "and a width, or choose a method that needs no map at the picture's size, such as "
                "gradcam"
            )
        return lambda maps, _: lay(lambda part: resize(maps, part), box, size)

    @cached_property
    def pools_globally(self) -> bool:
        """Whether only global average pooling and linear layers follow this layer.

        Then the gradient of a logit is the same at every position of the layer.
        """
        downstream = self.network.graph.downstream(self.opened) if self.opened else []
        later = [step for step in downstream if not isinstance(step.layer, ToTokens)]
        return (
            bool(later)
            and isinstance(later[0].layer, GLOBAL_AVERAGES)
            and all(Trait.LINEAR in step.traits for step in later[1:])
        )


def view_at(network: Network, name: str) -> LayerView:
    """Open a network at a layer, or without one where the name is empty.

    Tokens are given as maps, `[N, h, w, K]`.

    Raises:
        InputError: If there is no such layer, or its output has no places in the picture.
    """
    if not name:
        return LayerView(network, None)
    one_layer(name)
    if name in network.layers:
        step = network.layers[name]
        if step not in network.tokens.grids:
            if mover := out_of_order(network, step):
                raise InputError(
                    f"layer {name!r} cannot be explained: {mover!r} puts its positions in another "
                    "order than the picture's; choose a layer before that one, or one where they "
                    "are in order again"
                )
            return LayerView(network, step)
        twin = copy.copy(network)
        tokens, channels = network.tokens, network.tokens.shapes[step][2]
        twin.graph, as_map = on_grid(network.graph, step, tokens.grids[step], channels)
        return LayerView(twin, as_map)
    if any(step.name == name for step in network.own_preprocessing.steps):
        raise InputError(
            f"layer {name!r} cannot be explained: it prepares the picture, as preprocessing "
            f"outside of the model does{_instead(network)}"
        )
    steps = {step.name: step for step in network.graph.steps}
    if name in steps:
        raise InputError(
            f"layer {name!r} cannot be explained: {_why_not(network, steps[name])}"
            f"{_instead(network)}"
        )
    if re.search(r"[*?,]", name):
        raise _is_several(name)
    nearest = difflib.get_close_matches(name, network.layers, n=3, cutoff=0.0)
    raise InputError(
        f"layer {shown(name)} is not in {network.name!r}; nearest: {', '.join(nearest) or 'none'}"
        f"{_instead(network)}"
    )


def one_layer(layer: Any) -> str | None:
    """Return what names a layer; raise `InputError` where it is a list of several."""
    if layer is None or isinstance(layer, str):
        return layer
    raise _is_several(layer)


def _is_several(layer: Any) -> InputError:
    if isinstance(name := getattr(layer, "name", None), str):
        return InputError(f"layer must be the name of a layer, as {name!r}; received {layer!r}")
    return InputError(
        f"layer must be the name of one layer here; received {shown(layer)}: "
        "gcam.explain_layers and `guidedcam explain --layer` give the maps of several, and "
        "`guidedcam evaluate` with the key fusion measures them as one"
    )


def _why_not(network: Network, step: Step) -> str:
    is_tokens = network.sees_pictures and len(step.shape) == RANK and step.shape[1] != 1
    if is_tokens and step in network.graph.picture_steps:
        return network.tokens.why_not(step)
    return (
        f"it has no spatial extent before the scores: its output is {step.shape}, expected "
        f"{expected_shape(network.graph)}"
    )


def _instead(network: Network) -> str:
    return "" if network.layer_choice.missing else f"; the default is {network.default_layer!r}"
