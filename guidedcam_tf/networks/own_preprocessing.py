"""Where preprocessing ends and a network begins.

What scales and shifts the values of each pixel by itself is preprocessing, whether a model does it
before its first trained layer or a function outside of it. What moves pixels, such as a crop or a
flip, is part of the network, wherever it is done, so that maps lie over pictures as they came.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from functools import partial
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.preprocessing import SOME_SIZE
from guidedcam_tf.networks.preprocessing import Preprocess
from guidedcam_tf.networks.shown import box_around
from guidedcam_tf.networks.shown import lines_shown

SCALED = (0.5, 12.0)
"""How far from black to white what a network was trained on is, if it is no longer 0..255: 1 or 2,
or 255 over a standard deviation."""

TOLERANCE = 1e-2
"""How far a step in half precision may be from an affine function, in parts of the largest."""


@dataclass(frozen=True, eq=False)
class OwnPreprocessing:
    """What a model does to pictures before `graph` of its network begins.

    Attributes:
        graph: The graph as it was read, from what the model takes.
        steps: Those that it is made of; none where the model prepares nothing.
    """

    graph: Graph
    steps: tuple[Step, ...] = ()

    def __call__(self, inputs: tf.Tensor) -> tf.Tensor:
        """Turn what the model takes, `[N, H, W, C]`, into what comes after these steps, float32."""
        if not self.steps:
            return inputs
        end = self.steps[-1].outputs[0]
        (prepared,) = self.graph.run({self.graph.input: inputs}, [end])
        return tf.cast(prepared, tf.float32)

    @property
    def scales_pixels(self) -> bool:
        """Whether it scales pictures in 0..255, so that those in 0..1 would be nearly black."""
        if not self.steps:
            return False
        shape = [1, *(side or SOME_SIZE for side in self.graph.input_shape[1:])]
        with tf.init_scope():
            black, white = (self(tf.fill(shape, value)) for value in (0.0, 255.0))
        low, high = SCALED
        return low <= float(tf.reduce_max(tf.abs(white - black))) <= high


def split_own_preprocessing(
    graph: Graph, noise: Callable[[], tf.Tensor]
) -> tuple[OwnPreprocessing, Graph]:
    """Split a graph at the end of the model's own preprocessing.

    That is what scales and shifts the values of each pixel by itself, such as `Rescaling`,
    `Normalization` or arithmetic, before the first trained layer. It is found out by trying.

    Args:
        graph: The graph.
        noise: Pictures as the model takes them, to try it on, `[N, H, W, C]`.

    Returns:
        What prepares pictures, and the graph from there on.
    """
    for last in reversed(_candidates(graph)):
        found = OwnPreprocessing(graph, tuple(graph.needed(last.outputs[0])))
        if _is_affine_by_pixel(found, noise().numpy()):
            return found, _from(graph, found.steps)
    return OwnPreprocessing(graph), graph


def with_moving(graph: Graph, preprocess: Preprocess) -> Graph | None:
    """Return the graph with preprocessing as its first step, if that moves pixels; else `None`.

    Raises:
        InputError: If it puts rows or columns in another order.
    """
    size = tuple(side or SOME_SIZE for side in graph.input_shape[1:-1])
    shown = lines_shown(preprocess, size, graph.input_shape[-1] or 3)
    if shown is None:
        return None
    lines = [line for line in shown if line is not None]
    if len(lines) < len(shown):
        raise InputError(
            "preprocess puts rows or columns of pictures in another order, as a transposition or a "
            "roll does, so maps would lie beside what they are about; do that to pictures first"
        )
    if box_around(lines) is None:
        return None
    start, shape = graph.new_slot(), graph.input_shape
    first = Step("preprocess", None, preprocess, (start,), {}, (graph.input,), shape)
    return replace(graph, steps=(first, *graph.steps), input=start)


def _from(graph: Graph, prepared: Sequence[Step]) -> Graph:
    """The graph without its first steps."""
    start = prepared[-1].outputs[0]

    def moved(arguments: Any) -> Any:
        # What else comes with pictures reads the picture to know how many there are.
        return keras.tree.map_structure(
            lambda leaf: start if isinstance(leaf, Slot) and leaf == graph.input else leaf,
            arguments,
        )

    steps = tuple(
        replace(step, args=moved(step.args), kwargs=moved(dict(step.kwargs)))
        if graph.input in step.inputs
        else step
        for step in graph.steps
        if step not in prepared
    )
    return replace(graph, steps=steps, input=start)


def _candidates(graph: Graph) -> list[Step]:
    """The cuts before the first trained layer that make of the picture alone one of its shape."""
    cuts, found = set(graph.cuts), []
    for step in graph.picture_steps:
        if step.is_trained or (step in cuts and step.shape != graph.input_shape):
            break
        needed = graph.needed(step.outputs[0])
        if step in cuts and not any(each.role is Role.FIXED for each in needed):
            found.append(step)
    return found


def _is_affine_by_pixel(run: OwnPreprocessing, inputs: np.ndarray) -> bool:
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
    if one.shape != inputs.shape or not np.isfinite([zero, one, two]).all():
        return False
    close = partial(np.allclose, rtol=TOLERANCE, atol=TOLERANCE * np.abs(two - zero).max())
    is_affine = close(two - zero, 2 * (one - zero)) and close(elsewhere, moved(one))
    return is_affine and not np.allclose(one, inputs)
