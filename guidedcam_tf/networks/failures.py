"""Why a network cannot be explained as asked."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import input_error_behind
from guidedcam_tf.errors import reason_of
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Step

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network


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
        *tensors, logits = graph.tried(values, [*slots, graph.logits], edits)
    gradients = tape.gradient(logits, tensors)
    reached = {s: g is not None for s, g in zip(slots, gradients, strict=True)}
    reached[graph.logits] = True
    for each in reversed(later):
        if reached[each.outputs[0]] and not any(reached.get(slot) for slot in each.inputs):
            return f"layer {each.name!r} ({type(each.layer).__name__})"
    return "a layer"


def no_classes(graph: Graph, model: str) -> InputError:
    """What to raise where classes are asked for, of outputs that have none."""
    names = ", ".join(graph.ends)
    found = f"has {len(graph.ends)} outputs ({names})" if names else f"gives {graph.output_shape}"
    ways = "output= with the name of one that is, or " if names else ""
    return InputError(
        f"model {model!r} {found}, not [N, classes]; expected {ways}a target that is no class: "
        "gcam.targets.region of a segmentation ('class 7', 'class 7 in mask.png' or 'class 7 in "
        "10,20,110,220'), gcam.targets.box of a detector ('box 3'), or a function of the output "
        "with one number per picture"
    )


@contextmanager
def said_clearly(network: Network, fitted: tf.Tensor) -> Iterator[None]:
    """Raise what TensorFlow raises for pictures as an `InputError`, where that is its cause."""
    try:
        yield
    except Exception as error:  # TensorFlow wraps what is raised while it compiles.
        if (behind := input_error_behind(error)) is not None:
            raise behind from None
        if not isinstance(error, tf.errors.InvalidArgumentError):
            raise
        if network.question:
            raise _no_batch(network.question.names, len(fitted), error) from error
        if network.inputs:
            raise InputError(
                f"pictures with values of {', '.join(network.inputs)} do not go through "
                f"{network.name!r}: {reason_of(error)}. Those may not be what the network takes"
            ) from error
        if None not in network.input_size:
            raise
        raise InputError(
            f"pictures of {fitted.shape[1]} x {fitted.shape[2]} do not go through "
            f"{network.name!r}, which takes any size: {reason_of(error)}. They may be too "
            "small"
        ) from error


def _no_batch(asked: Sequence[str], count: int, error: Exception) -> InputError:
    """What to raise where functions of the output cannot be computed for a batch."""
    names = ", ".join(map(repr, asked))
    return InputError(
        f"target {names} cannot be computed for a batch of {count} pictures: {reason_of(error)}. "
        "A function gets the outputs of batch_size pictures at a time, fewer in the last batch: "
        "what it holds of each picture is to be an argument, "
        "gcam.targets.function(name, argument=values), which is cut as the pictures are"
    )
