"""The attention of a network: how much of each token goes into each other one, block by block."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.network import Network
from guidedcam_tf.networks.tokens import FromTokens
from guidedcam_tf.networks.tokens import TokenGrid
from guidedcam_tf.networks.tokens import ToTokens
from guidedcam_tf.networks.traits import Trait

KINDS = (
    *(keras.layers.MultiHeadAttention, keras.layers.GroupQueryAttention),
    *(keras.layers.Attention, keras.layers.AdditiveAttention),
)
"""Keras's layers of attention, of which only the first can be read."""

TOLERANCE = 1e-4
"""How far the scores may differ, in parts of the largest, if attention is a step of its own."""


@dataclass(frozen=True, eq=False)
class Attention:
    """A network whose attention are steps of their own.

    Attributes:
        graph: The network.
        weights: Where the attention of each block is, `[N, heads, T, T]`, from queries to keys;
            each row adds up to 1.
        ends: Where the tokens after each block are, as far as the blocks are alike; else empty.
        grid: The places of the T tokens.
        read: Which of the last block's tokens the scores are made of, bool `[T]`: the class token,
            or all patches.
    """

    graph: Graph
    weights: tuple[Slot, ...]
    ends: tuple[Slot, ...]
    grid: TokenGrid
    read: np.ndarray

    def placed(self, tokens: tf.Tensor) -> tf.Tensor:
        """Lay one number for each token, `[N, T]`, on the grid, `[N, h, w]`."""
        return FromTokens(self.grid)(tokens[..., None])[..., 0]


def read_attention(network: Network, method: str) -> Attention:
    """Read the attention of all blocks.

    Args:
        network: A network with layers `keras.layers.MultiHeadAttention`, each over the same tokens.
        method: What asks, for errors.

    Raises:
        InputError: If there is no such layer, if there are others beside them, or the tokens have
            no known places.
    """
    steps = [step for step in network.graph.picture_steps if _is_self_attention(step)]
    grids = {step.name: grid for step, grid in network.tokens.grids.items()}
    placed = [step for step in steps if step.name in grids]
    if not placed:
        found = repr(steps[0].name) + ", whose tokens have no known places" if steps else "none"
        raise InputError(
            f"{method} reads the attention of keras.layers.MultiHeadAttention from all tokens to "
            f"all tokens, on a grid that is found or said with grid=(h, w); {network.name!r} has "
            f"{found}; choose gradcam or another method of gradients"
        )
    grid = grids[placed[-1].name]
    blocks = [step for step in placed if grids[step.name] == grid]
    read_layers = [step.layer for step in blocks]
    if left_out := [each for each in _attentions(network.graph) if each not in read_layers]:
        raise InputError(
            f"{method} reads the attention of all blocks of {network.name!r}, and cannot read that "
            f"of {left_out[0].name!r}: it has other tokens than {blocks[-1].name!r}, or is no "
            "keras.layers.MultiHeadAttention; choose gradcam or another method of gradients"
        )
    graph, weights = network.graph, []
    for step in blocks:
        graph, slot = _split(graph, step)
        weights.append(slot)
    _check(network, graph, method)
    read = _read(network, blocks[-1].outputs[0])
    return Attention(graph, tuple(weights), _ends(network.graph, blocks), grid, read)


def _attentions(graph: Graph) -> list[Any]:
    """The layers of attention that a picture goes through, those inside other layers too."""
    through = [step.layer for step in graph.picture_steps if isinstance(step.layer, keras.Layer)]
    inner = [each for layer in through for each in layer._flatten_layers()]
    return [layer for layer in inner if isinstance(layer, KINDS)]


def _is_self_attention(step: Step) -> bool:
    layer = step.layer
    whole = isinstance(layer, keras.layers.MultiHeadAttention) and (
        type(layer).call is keras.layers.MultiHeadAttention.call
    )
    return whole and len(set(step.inputs)) == 1 and len(step.shape) == 3


def _split(graph: Graph, step: Step) -> tuple[Graph, Slot]:
    """Make a layer of attention two steps: the attention, and what it makes of the tokens."""
    layer: Any = step.layer
    slot, tokens = graph.new_slot(), step.inputs[0]

    def weights(inputs: tf.Tensor) -> tf.Tensor:
        return layer(inputs, inputs, return_attention_scores=True, training=False)[1]

    def outputs(inputs: tf.Tensor, attention: tf.Tensor) -> tuple[tf.Tensor, ...]:
        values = layer._value_dense(inputs)
        mixed = layer._output_dense(tf.einsum(layer._combine_equation, attention, values))
        return (mixed, attention)[: len(step.outputs)]

    shape = (None, layer.num_heads, step.shape[1], step.shape[1])
    one = Step(step.name, layer, weights, (tokens,), {}, (slot,), shape)
    two = replace(step, call=outputs, args=(tokens, slot), kwargs={})
    steps = [[one, two] if each is step else [each] for each in graph.steps]
    return replace(graph, steps=tuple(each for some in steps for each in some)), slot


def _check(network: Network, graph: Graph, method: str) -> None:
    """Hold the scores of the graph with attention of its own against the network's."""
    with tf.init_scope():
        noise = network.noise()
        expected, found = (
            tf.cast(each.run({each.input: noise}, [each.logits])[0], tf.float32)
            for each in (network.graph, graph)
        )
        difference = float(tf.reduce_max(tf.abs(found - expected)))
        largest = float(tf.reduce_max(tf.abs(expected)))
    if not difference <= TOLERANCE * max(largest, 1.0):
        raise InputError(
            f"{method} cannot read the attention of {network.name!r}: with it the scores differ by "
            f"{difference:.3g}; choose gradcam or another method of gradients"
        )


def _read(network: Network, tokens: Slot) -> np.ndarray:
    """Which tokens the scores are made of, bool `[T]`, found by their gradient on noise."""
    graph = network.graph

    @tf.function
    def gradient(inputs: tf.Tensor) -> tf.Tensor:
        values, logits = graph.tried({graph.input: inputs}, [tokens, graph.logits])
        mixture = tf.random.stateless_normal(tf.shape(logits), (0, 1), dtype=logits.dtype)
        # Tapes do not record where a function that is being compiled is left.
        return tf.gradients(logits, values, mixture, unconnected_gradients="zero")[0]

    with tf.init_scope():
        noise = network.noise()
        given = gradient.get_concrete_function(noise)(noise)
        found = tf.reduce_any(given != 0, axis=[0, 2]).numpy()
    return found if found.any() else np.ones_like(found)


def _ends(graph: Graph, blocks: list[Step]) -> tuple[Slot, ...]:
    """The last cut of each block, counted from its attention; empty where blocks are not alike."""
    order = {step: place for place, step in enumerate(graph.steps)}
    cuts = [cut for cut in graph.cuts if not _hands_on(cut)]
    places = [order[block] for block in blocks]
    within = [
        [cut for cut in cuts if start < order[cut] < stop]
        for start, stop in zip(places, [*places[1:], len(order)], strict=True)
    ]
    count = max((len(each) for each in within[:-1]), default=1)
    within[-1] = within[-1][:count]
    if any(len(each) != count for each in within) or not count:
        return ()
    ends = [each[-1] for each in within]
    kinds = {(type(end.layer), end.shape) for end in ends}
    return tuple(end.outputs[0] for end in ends) if len(kinds) == 1 else ()


def _hands_on(step: Step) -> bool:
    """Whether a step computes nothing, as dropout when a network is used."""
    return isinstance(step.layer, (FromTokens, ToTokens)) or Trait.SAME_VALUES in step.traits
