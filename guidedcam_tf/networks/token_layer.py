"""The last layer whose tokens still reach the scores."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence

import tensorflow as tf

from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.tokens import TokenGrid
from guidedcam_tf.networks.traits import Trait


def last_token_layer(
    graph: Graph, inputs: tf.Tensor, grids: Mapping[Step, TokenGrid]
) -> Step | None:
    """Choose the last layer that all that the tokens say of the picture passes through.

    With a class token's head, the last block's tokens of places are computed and thrown away: what
    they hold reaches the scores through the block's first normalisation. That is found by testing:
    their gradient is not zero, and with the gradient stopped there, none is left before.

    Args:
        graph: The network.
        inputs: Preprocessed pictures to test it on.
        grids: The layers whose tokens have known places.

    Returns:
        The layer; `None` where none has a gradient, or none has all paths.
    """
    steps = [step for step in grids if _is_feature(step)]
    reached = _gradients(graph, {graph.input: inputs}, steps)
    live = [step for step in steps if _reaches(reached[step], grids[step])]
    cuts = set(graph.cuts)
    base = next((step for step in reversed(live) if step in cuts), None)
    if base is None:
        return None
    crossing = [base.outputs[0], *graph.frontier(base)]
    known = dict(zip(crossing, graph.tried({graph.input: inputs}, crossing), strict=True))
    for step in reversed(live[live.index(base) + 1 :]):
        around = _gradients(graph, known, [base], stopped=step.outputs[0])
        if not _reaches(around[base], grids[base]):
            return step
    return base


def _is_feature(step: Step) -> bool:
    return not step.traits & (Trait.REARRANGES | Trait.PREPARES)


def _gradients(
    graph: Graph,
    known: Mapping[Slot, tf.Tensor],
    steps: Sequence[Step],
    stopped: Slot | None = None,
) -> dict[Step, tf.Tensor | None]:
    """The gradients of a mixture of the scores at some steps."""
    slots = [step.outputs[0] for step in steps]
    with tf.GradientTape() as tape:

        def watched(tensor: tf.Tensor) -> tf.Tensor:
            tape.watch(tensor)
            return tensor

        edits = dict.fromkeys(slots, watched)
        if stopped is not None:
            edits[stopped] = tf.stop_gradient
        given = {
            slot: watched(tensor) if slot in slots else tensor for slot, tensor in known.items()
        }
        *tensors, logits = graph.tried(given, [*slots, graph.logits], edits)
        scores = tf.cast(logits, tf.float32)
        weights = tf.random.stateless_normal(tf.shape(scores), [0, 1])
        mixture = tf.reduce_sum(scores * weights)
    return dict(zip(steps, tape.gradient(mixture, tensors), strict=True))


def _reaches(gradient: tf.Tensor | None, grid: TokenGrid) -> bool:
    if gradient is None:
        return False
    gradient = tf.convert_to_tensor(gradient)
    places = gradient[:, grid.before : grid.count - grid.after]
    return bool(tf.reduce_any(tf.abs(places) > 0))
