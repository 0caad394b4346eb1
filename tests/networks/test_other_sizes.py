"""Networks that are built for pictures of one size, run at others."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.networks.reading import read_graph

ANY_SIZE = [tf.TensorSpec([None, None, None, 3], tf.float32)]


def compiled(graph):
    """The logits of a graph, traced without knowing the pictures' size."""
    return tf.function(
        lambda images: graph.run({graph.input: images}, [graph.logits])[0],
        input_signature=ANY_SIZE,
    )


def pooled(maps):
    """A map of 6 x 6, averaged over 4 x 4 overlapping cells: 0-1, 1-2, 3-4, 4-5 in each axis."""
    starts = [0, 1, 3, 4]
    cells = [[maps[:, i : i + 2, j : j + 2].mean(axis=(1, 2)) for j in starts] for i in starts]
    return np.array(cells).transpose(2, 0, 1, 3)


@pytest.mark.parametrize("nested", [False, True])
def test_a_flatten_pools_what_it_was_not_built_for(rng, nested):
    toy = build_toy("flatten", activation=None)
    slow = ToyNumpy(toy)
    images = rng.normal(size=(2, 12, 12, 3)).astype(np.float32)
    expected = slow.logits(pooled(slow.activations(images)))
    if nested:
        inputs = keras.Input((8, 8, 3))
        toy = keras.Model(inputs, toy(inputs))
    graph = read_graph(toy)
    (eager,) = graph.run({graph.input: tf.constant(images)}, [graph.logits])
    np.testing.assert_allclose(eager, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(compiled(graph)(images), expected, rtol=1e-4, atol=1e-5)


def test_at_the_own_size_nothing_changes(toy, toy_images):
    graph = read_graph(toy)
    (exact,) = graph.run({graph.input: tf.constant(toy_images)}, [graph.output])
    np.testing.assert_array_equal(exact, toy(toy_images))
    own = tf.function(lambda images: graph.run({graph.input: images}, [graph.logits])[0])
    np.testing.assert_allclose(compiled(graph)(toy_images), own(toy_images), rtol=1e-6, atol=1e-7)


def test_vgg16_runs_at_224_and_at_324(vgg16_model, photographs):
    graph = gcam.Explainer(vgg16_model, preprocess="caffe").network.graph
    run = compiled(graph)
    images = tf.constant(photographs[:1], tf.float32) - 110
    np.testing.assert_allclose(
        run(images), graph.run({graph.input: images}, [graph.logits])[0], rtol=1e-5, atol=1e-6
    )
    larger = tf.image.resize(images, (324, 324))
    flatten = next(step for step in graph.steps if step.name == "flatten")
    maps, flat = graph.run({graph.input: larger}, [flatten.inputs[0], flatten.outputs[0]])
    assert maps.shape == (1, 10, 10, 512)
    cells = flat.numpy().reshape(7, 7, 512)
    # 10 positions over 7 cells: the first averages 0 and 1, the fourth, in the middle, 4 and 5.
    np.testing.assert_allclose(cells[0, 0], maps[0, :2, :2].numpy().mean(axis=(0, 1)), rtol=1e-5)
    np.testing.assert_allclose(cells[3, 3], maps[0, 4:6, 4:6].numpy().mean(axis=(0, 1)), rtol=1e-5)
    assert np.isfinite(run(larger)).all()
