"""Which layers can be explained, and which one is explained unless another is asked for."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from dataclasses import dataclass

import keras
import tensorflow as tf

from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.token_layer import last_token_layer
from guidedcam_tf.networks.tokens import RANK as TOKENS
from guidedcam_tf.networks.tokens import Tokens
from guidedcam_tf.networks.traits import Trait

NORMALIZATIONS = (
    keras.layers.BatchNormalization,
    keras.layers.GroupNormalization,
    keras.layers.LayerNormalization,
)
POSITIONWISE = {*NORMALIZATIONS, keras.layers.Dense, keras.layers.EinsumDense, keras.layers.PReLU}
"""Layers with weights that treat each token by itself."""


def explainable_layers(graph: Graph, tokens: Tokens) -> dict[str, Step]:
    """The layers that can be explained: maps of more than one position, and tokens on a grid.

    The maps of a network of signals or volumes have as many axes as its input.
    """
    return {
        step.name: step
        for step in graph.picture_steps
        if step in tokens.grids or (_is_map(graph, step) and tokens.of_pictures(step))
    }


def _is_map(graph: Graph, step: Step) -> bool:
    has_axes = len(step.shape) == len(graph.input_shape)
    is_layer = step.layer is not None and not step.is_linear_part
    return has_axes and is_layer and set(step.shape[1:-1]) != {1}


def expected_shape(graph: Graph) -> str:
    """In words, the outputs that can be explained."""
    axes = {3: "t", 4: "h, w", 5: "d, h, w"}[len(graph.input_shape)]
    shape = f"[N, {axes}, K] with {axes.replace(', ', ' or ')} above 1"
    is_picture = len(graph.input_shape) == 4
    return f"{shape}, or tokens [N, T, K] with known places" if is_picture else shape


@dataclass(frozen=True)
class Choice:
    """The layer that is explained unless another is asked for.

    Attributes:
        name: Its name; empty where there is none.
        doubt: One line that says what a map of it does not show; empty for nothing.
        missing: One line that says why there is none; empty where there is one.
    """

    name: str = ""
    doubt: str = ""
    missing: str = ""


def default_layer(
    graph: Graph, model: str, tokens: Tokens, noise: Callable[[], tf.Tensor]
) -> Choice:
    """Choose the last feature map that all paths from the picture to the scores pass through.

    A feature map is learned, has more than one channel, and is not the output itself. Where tokens
    are mixed after it, such as by attention, the last layer whose tokens reach the scores is
    chosen. Where no feature map has all paths, the last one is chosen, and the doubt says what else
    there is.

    Args:
        graph: The network.
        model: Its name.
        tokens: What is known of its tokens.
        noise: Gives preprocessed pictures to test it on.
    """
    features = [step for step in _features(graph) if tokens.of_pictures(step)]
    if not features or _of_tokens(graph, features[-1]):
        chosen = last_token_layer(graph, noise(), tokens.grids)
        if chosen is not None:
            return Choice(chosen.name)
    if not features:
        return Choice(
            missing=f"model {model!r} has no layer with spatial extent: expected an output "
            f"{expected_shape(graph)}; {_candidates(explainable_layers(graph, tokens))}"
            f"{_of_other_rank(graph)}"
        )
    wide = [step for step in features if step.shape[-1] != 1] or features
    cuts = set(graph.cuts)
    chosen = next((step for step in reversed(wide) if step in cuts), None)
    if chosen is not None:
        return Choice(chosen.name, _of_tokens(graph, chosen))
    ends = [step for step in wide if not set(graph.downstream(step)) & set(wide)]
    return Choice(
        wide[-1].name,
        f"no layer of model {model!r} has all paths to the scores: the map of {wide[-1].name!r} "
        f"shows one of them; {_candidates(step.name for step in ends)}",
    )


def _of_other_rank(graph: Graph) -> str:
    """What to do where pictures come without an axis for their channels."""
    if len(graph.input_shape) != 3 or not any(len(step.shape) == 4 for step in graph.steps):
        return ""
    sides = ", ".join(map(str, graph.input_shape[1:]))
    return (
        f". Its pictures {graph.input_shape} have no axis for channels: put "
        f"keras.Input(({sides}, 1)) and keras.layers.Reshape(({sides})) before it"
    )


def _candidates(names: Iterable[str]) -> str:
    return f"layers that can be named: {', '.join(names) or 'none'}"


def _features(graph: Graph) -> list[Step]:
    """The learned feature maps, in the order in which they run."""
    learned, found = {graph.input: False}, []
    ends = _output_layers(graph)
    for step in graph.picture_steps:
        is_learned = step.is_trained or any(learned.get(slot, False) for slot in step.inputs)
        learned.update(dict.fromkeys(step.outputs, is_learned))
        if _is_map(graph, step) and is_learned and _is_feature(graph, step) and step not in ends:
            found.append(step)
    return found


def _output_layers(graph: Graph) -> set[Step]:
    """The layers whose map is the output, or turns into it by what has no weights.

    Of an output `[N, classes]` there are none but that output.
    """
    found: set[Step] = set()
    slots = [graph.output, graph.logits]
    while slots:
        step = graph.source(slots.pop())
        if step is None or step in found or (found and len(graph.output_shape) == 2):
            continue
        found.add(step)
        weights = getattr(step.layer, "weights", None) and not step.is_activation
        if not weights or isinstance(step.layer, NORMALIZATIONS):
            slots.extend(step.inputs)
    return found


def reason_for(graph: Graph, layers: Mapping[str, Step], name: str, tokens: Tokens) -> str:
    """One line that says why a network's default layer is the layer of that name.

    Args:
        graph: The network.
        layers: What `explainable_layers` returned.
        name: The default layer.
        tokens: What is known of the network's tokens.
    """
    step, later = layers[name], graph.downstream(layers[name])
    others = f"{len(layers) - 1} other layers can be named"
    if step in tokens.grids:
        return (
            f"{name!r} ({type(step.layer).__name__}, {tokens.grids[step]}) is the last layer whose "
            f"tokens of places reach the scores; {others}"
        )
    extent = " x ".join("?" if side is None else str(side) for side in step.shape[1:-1])
    before = f", before {later[0].name!r}" if later else ""
    return (
        f"{name!r} ({type(step.layer).__name__}, {extent}) is the last feature map with spatial "
        f"extent{before}; {others}"
    )


def _shape(graph: Graph, step: Step) -> tuple[int | None, ...]:
    source = graph.source(step.inputs[0])
    return graph.input_shape if source is None else source.shape


def _is_feature(graph: Graph, step: Step) -> bool:
    if Trait.PREPARES in step.traits:
        return False
    if type(step.layer) is keras.layers.Reshape:
        before = _shape(graph, step)
        return len(before) == TOKENS and before[-1] == step.shape[-1]
    return Trait.REARRANGES not in step.traits


def _of_tokens(graph: Graph, chosen: Step) -> str:
    """One line that says which layers mix tokens after the chosen one; empty where none does."""
    if len(graph.input_shape) == TOKENS:
        return ""
    later = [step for step in graph.downstream(chosen) if _mixes_tokens(graph, step)]
    if not later:
        return ""
    return (
        f"{chosen.name!r} stands before {len(later)} layers that mix tokens, which are no feature "
        f"map [N, h, w, K] (such as attention; the first is {later[0].name!r}): its map does not "
        "show what they do"
    )


def _mixes_tokens(graph: Graph, step: Step) -> bool:
    if not step.inputs or len(_shape(graph, step)) != TOKENS or type(step.layer) in POSITIONWISE:
        return False
    return bool(getattr(step.layer, "weights", None)) or type(step.layer) is keras.layers.Permute
