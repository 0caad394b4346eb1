"""What every method with one forward pass must obey, and several of them behind one trace."""

from functools import cache

import numpy as np
import tensorflow as tf
from common import build_toy
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.base import GradientMethod
from guidedcam_tf.methods.together import Together

HEADS = ("gap", "flatten")
FORMULAS = tuple(name for name, kind in METHODS.items() if issubclass(kind, GradientMethod))


@cache
def toy_explainer(head):
    """An explainer of `build_toy(head)`, shared, so that a method is traced once for all tests."""
    return gcam.Explainer(build_toy(head))


def together(explainer, images, class_ids):
    """Raw maps `[N, h, w]` of every one of `FORMULAS`, by name, with one trace of the network."""
    methods = Together(tuple(get_method(name) for name in FORMULAS))
    ids = tf.constant(np.reshape(class_ids, [-1, 1]), tf.int32)
    result = explainer.pipeline.kernel(methods)(tf.constant(images, tf.float32), ids)
    return {
        name: result[place].numpy()[:, 0]
        for place, name in zip(methods.outputs, FORMULAS, strict=True)
    }


def apply(method, activations, gradients, **options):
    """A method's formula on one picture: nested lists `[h][w][K]` to a map `[h, w]`."""
    arguments = (tf.constant([array], tf.float32) for array in (activations, gradients))
    return get_method(method, **options).maps(*arguments)["saliency"].numpy()[0]


def check_against_loops(head, images, method, reference, **options):
    """Compare with a function of one picture's activations and gradients, in float64."""
    explainer = toy_explainer(head)
    slow = ToyNumpy(explainer.network.model)
    activations = slow.activations(images)
    for target in range(3):
        gradients = slow.gradients(activations, np.full(len(images), target))
        expected = [reference(a, g) for a, g in zip(activations, gradients, strict=True)]
        raw = explainer.maps(images, [target] * len(images), method, raw=True, **options)
        assert np.max(expected) > 0
        np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6 * np.max(expected))


def runs_backwards(explainer, method):
    """Whether the compiled method holds an operation of a backward pass."""
    graph = (
        explainer.pipeline.kernel(get_method(method)).get_concrete_function().graph.as_graph_def()
    )
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return any("Backprop" in node.op or node.op.endswith("Grad") for node in nodes)
