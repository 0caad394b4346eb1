"""Why a network cannot be explained as asked."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import input_error_behind
from guidedcam_tf.errors import reason_of
from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.graph import TARGET
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.picture_values import samples
from guidedcam_tf.networks.remembering import remembered

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


def refuse_too_small(network: Network, size: tuple[int, ...]) -> None:
    """Raise `InputError` for pictures of which a layer of a network of any size leaves nothing.

    Of no values TensorFlow makes numbers all the same where it compiles for any size. What a size
    fits, a larger one does.
    """
    fitting = _fitting(network)
    if None not in network.input_size or any(map(partial(_is_within, size), fitting)):
        return
    graph, pictures = network.graph, tf.zeros([1, *size, network.channels or 3])
    known: dict[Slot, tf.Tensor] = {graph.input: network.preprocess(pictures)}
    with inference(), WithValues(samples(graph.specs)):
        for step in graph.scoring_steps:
            if step.name == TARGET:
                break
            try:
                known.update(zip(step.outputs, step.run(known), strict=True))
                reason = "it leaves nothing of them"
            except Exception as error:  # What Keras and TensorFlow raise for it.
                known[step.outputs[0]], reason = tf.zeros([0]), reason_of(error)
            if 0 in known[step.outputs[0]].shape:
                raise InputError(
                    f"pictures of {' x '.join(map(str, size))} do not go through layer "
                    f"{step.name!r} of {network.name!r}, which takes any size: {reason}. They may "
                    "be too small"
                )
    fitting.append(size)


@remembered
def _fitting(network: Network) -> list[tuple[int, ...]]:
    """Sizes of pictures that go through a network."""
    return []


def _is_within(size: tuple[int, ...], smaller: tuple[int, ...]) -> bool:
    return all(one >= other for one, other in zip(size, smaller, strict=True))


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
            f"{network.name!r}, which takes any size: {reason_of(error)}. Its layers may not take "
            "that height or width"
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
