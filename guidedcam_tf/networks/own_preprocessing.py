"""What a model does to pictures before its first trained layer: preprocessing like any other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.traits import Trait

TOLERANCE = 1e-2
"""How far a step in half precision may be from an affine function, in parts of the largest."""

Prepare = Callable[[tf.Tensor], tf.Tensor]


def without_own_preprocessing(
    graph: Graph, noise: Callable[[], tf.Tensor]
) -> tuple[Graph, Prepare | None]:
    """Split a graph at the end of the model's own preprocessing.

    That is what scales and shifts the values of each pixel by itself, such as `Rescaling`,
    `Normalization` or arithmetic, before the first trained layer. It is found out by trying.

    Args:
        graph: The graph.
        noise: Pictures as the model takes them, to try it on, `[N, H, W, C]`.

    Returns:
        The graph from there on, and what makes its input, float32 `[N, H, W, C]`, of the model's;
        the graph as it is and `None` where the model prepares nothing.
    """
    for last in reversed(_candidates(graph)):
        run = partial(_run, graph, last)
        if _is_affine_by_pixel(run, noise().numpy()):
            before = set(graph.needed(last.outputs[0]))
            steps = tuple(step for step in graph.steps if step not in before)
            return replace(graph, steps=steps, input=last.outputs[0]), run
    return graph, None


def _candidates(graph: Graph) -> list[Step]:
    """The cuts before the first trained layer that make of the picture alone one of its shape."""
    cuts, found = set(graph.cuts), []
    for step in graph.picture_steps:
        trained = getattr(step.layer, "weights", None) and Trait.PREPARES not in step.traits
        if trained or (step in cuts and step.shape != graph.input_shape):
            break
        needed = graph.needed(step.outputs[0])
        if step in cuts and not any(each.role is Role.FIXED for each in needed):
            found.append(step)
    return found


def _run(graph: Graph, last: Step, inputs: tf.Tensor) -> tf.Tensor:
    (prepared,) = graph.run({graph.input: inputs}, [last.outputs[0]])
    return tf.cast(prepared, tf.float32)


def _is_affine_by_pixel(run: Prepare, inputs: np.ndarray) -> bool:
    """Whether something is an affine function of each pixel by itself, and not the identity."""
    pixels = inputs.reshape(len(inputs), -1, inputs.shape[-1])
    order = np.random.default_rng(0).permutation(pixels.shape[1])

    def moved(values: np.ndarray) -> np.ndarray:
        return values.reshape(pixels.shape)[:, order].reshape(values.shape)

    try:
        with tf.init_scope():
            tried = (0 * inputs, inputs, 2 * inputs, moved(inputs))
            zero, one, two, elsewhere = (run(tf.constant(each)).numpy() for each in tried)
    except Exception:  # What a user's layer raises on values that it does not expect.
        return False
    close = partial(np.allclose, rtol=TOLERANCE, atol=TOLERANCE * np.abs(two - zero).max())
    is_affine = close(two - zero, 2 * (one - zero)) and close(elsewhere, moved(one))
    return is_affine and not np.allclose(one, inputs)
