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
    result = explainer.kernel(methods)(tf.constant(images, tf.float32), ids)
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


def check_pictures_and_targets_are_apart(head, images, method):
    """A map is the same alone, in a batch, and among other targets; the kernel is traced once."""
    explainer = toy_explainer(head)
    ids = np.array([[0, 1], [2, 0], [1, 2]])
    batch = explainer.maps(images, ids, method, raw=True)
    assert batch.shape == (3, 2, 4, 4)
    assert batch.dtype == np.float32
    for image, targets, maps in zip(images, ids, batch, strict=True):
        alone = [explainer.maps(image[None], [t], method, raw=True)[0] for t in targets]
        np.testing.assert_allclose(maps, alone, rtol=1e-5, atol=1e-6 * batch.max())
    assert explainer.kernel(get_method(method)).experimental_get_tracing_count() == 1


def check_ranks_and_logits(head, images, method):
    """The kernel resolves ranks to classes, and hands back the logits."""
    explainer = toy_explainer(head)
    slow = ToyNumpy(explainer.network.model)
    expected = slow.logits(slow.activations(images))
    kernel = explainer.kernel(get_method(method))
    result = kernel(tf.constant(images), tf.constant([[-1, -2]] * len(images)))
    np.testing.assert_allclose(result["logits"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result["class_ids"], np.argsort(-expected)[:, :2])


def check_flat_pictures(head, method):
    """A black and a constant picture have finite maps of the right shape, at least 0."""
    explainer = toy_explainer(head)
    images = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 3)]).astype(np.float32)
    for raw in (True, False):
        maps = explainer.maps(images, [0, 1], method, raw=raw)
        assert maps.shape == ((2, 4, 4) if raw else (2, 8, 8))
        assert np.isfinite(maps).all()
        assert (maps >= 0).all()


def check_unsupported_target_is_empty(images, method):
    """A class that every channel speaks against has a map of zeros, also after normalising."""
    model = build_toy("gap")
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[:, 1] = -np.abs(kernel[:, 1])
    model.get_layer("scores").set_weights([kernel, bias])
    explainer = gcam.Explainer(model)
    for raw in (True, False):
        maps = explainer.maps(images, [1] * len(images), method, raw=raw)
        np.testing.assert_array_equal(maps, np.zeros_like(maps))


def runs_backwards(explainer, method):
    """Whether the compiled method holds an operation of a backward pass."""
    graph = explainer.kernel(get_method(method)).get_concrete_function().graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    return any("Backprop" in node.op or node.op.endswith("Grad") for node in nodes)
