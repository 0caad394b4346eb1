"""Why a network cannot be explained as asked."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Step


def gradient_stopper(graph: Graph, step: Step, input_shape: Sequence[int]) -> str:
    """The last layer between a step and the logits that lets no gradient through, by name."""
    later = graph.downstream(step)
    slots = [step.outputs[0], *(each.outputs[0] for each in later)]
    with tf.GradientTape() as tape:

        def watched(tensor: tf.Tensor) -> tf.Tensor:
            tape.watch(tensor)
            return tensor

        edits = dict.fromkeys(slots, watched)
        values = {graph.input: tf.zeros(input_shape)}
        *tensors, logits = graph.run(values, [*slots, graph.logits], edits)
    gradients = tape.gradient(logits, tensors)
    reached = {s: g is not None for s, g in zip(slots, gradients, strict=True)}
    reached[graph.logits] = True
    for each in reversed(later):
        if reached[each.outputs[0]] and not any(reached.get(slot) for slot in each.inputs):
            return f"layer {each.name!r} ({type(each.layer).__name__})"
    return "a layer"
