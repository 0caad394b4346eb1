"""The flat graph: it computes what the model computes, and finds what lies between."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

from guidedcam_tf.networks import Network
from guidedcam_tf.networks.reading import read_graph


def run(graph, images, slot):
    return graph.run({graph.input: tf.constant(images)}, [slot])[0].numpy()


def test_runs_what_the_model_runs(toy, toy_images):
    graph = read_graph(toy)
    np.testing.assert_allclose(run(graph, toy_images, graph.output), toy(toy_images), atol=1e-7)


def test_logits_are_before_the_softmax(toy, toy_images):
    graph = read_graph(toy)
    logits = run(graph, toy_images, graph.logits)
    np.testing.assert_allclose(tf.nn.softmax(logits), toy(toy_images), atol=1e-6)
    assert np.abs(logits.sum(axis=1) - 1).min() > 1e-3


def test_a_layer_with_an_activation_is_two_steps(toy, toy_images):
    graph = read_graph(toy)
    linear, activation = (step for step in graph.steps if step.name == "conv2")
    before = run(graph, toy_images, linear.outputs[0])
    after = run(graph, toy_images, activation.outputs[0])
    assert before.min() < 0
    np.testing.assert_allclose(after, np.maximum(before, 0))
    assert activation.is_activation
    assert linear.is_linear_part
    assert toy.get_layer("conv2").activation is keras.activations.relu


def test_an_edit_is_seen_downstream(toy, toy_images):
    graph = read_graph(toy)
    _, activation = (step for step in graph.steps if step.name == "conv2")
    (slot,) = activation.outputs
    values = {graph.input: tf.constant(toy_images)}
    (zeroed,) = graph.run(values, [graph.logits], edits={slot: tf.zeros_like})
    np.testing.assert_allclose(zeroed[0], zeroed[1])
    assert np.abs(zeroed.numpy() - run(graph, toy_images, graph.logits)).max() > 1e-3


def test_dropout_and_batch_normalization_are_in_inference_mode(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3)(inputs)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Dropout(0.9)(x)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    graph = read_graph(model)
    expected = model.predict(toy_images, verbose=0)
    np.testing.assert_allclose(run(graph, toy_images, graph.logits), expected, atol=1e-6)


def nested(depth, base):
    model = base
    for level in range(depth):
        inputs = keras.Input((8, 8, 3))
        model = keras.Model(inputs, model(inputs), name=f"level{level}")
    return model


@pytest.mark.parametrize("depth", [1, 2])
def test_nested_models_are_read_through(toy, toy_images, depth):
    graph = read_graph(nested(depth, toy))
    np.testing.assert_allclose(run(graph, toy_images, graph.output), toy(toy_images), atol=1e-7)
    prefix = "level0/" * (depth - 1) + toy.name
    assert f"{prefix}/conv2" in [step.name for step in graph.steps]


def test_a_sequential_is_read_through(toy_images):
    base = build_toy("gap")
    features = keras.Model(base.input, base.get_layer("conv2").output, name="features")
    flatten = keras.layers.Flatten()
    model = keras.Sequential([keras.Input((8, 8, 3)), features, flatten, keras.layers.Dense(2)])
    graph = read_graph(model)
    expected = model.predict(toy_images, verbose=0)
    np.testing.assert_allclose(run(graph, toy_images, graph.logits), expected, atol=1e-6)
    assert Network(model).default_layer == "features/conv2"


def test_a_shared_layer_keeps_its_calls_apart(toy_images):
    inputs = keras.Input((8, 8, 3))
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
    x = shared(shared(inputs))
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    graph = read_graph(model)
    expected = model.predict(toy_images, verbose=0)
    np.testing.assert_allclose(run(graph, toy_images, graph.logits), expected, atol=1e-6)


def test_operations_on_tensors_are_steps(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs / 2.0)
    x = keras.ops.concatenate([x, -x], axis=-1)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    graph = read_graph(model)
    expected = model.predict(toy_images, verbose=0)
    np.testing.assert_allclose(run(graph, toy_images, graph.logits), expected, atol=1e-6)


def test_default_layer(resnet50):
    resnet = resnet50.network
    assert resnet.default_layer == "conv5_block3_out"
    assert "conv5_block3_3_conv" in resnet.layers
    assert resnet.layers["conv4_block6_out"].shape == (None, 14, 14, 1024)
    assert "avg_pool" not in resnet.layers


def test_pools_globally(resnet50, resnet50_at, vgg16_model):
    assert resnet50.pipeline.view.pools_globally
    assert not resnet50_at("conv5_block3_3_conv").pipeline.view.pools_globally
    assert not Network(vgg16_model).view().pools_globally


def test_the_comparison_runs_where_a_function_is_traced():
    """An export traces the first use of a network."""
    network = Network(build_toy(), deferred=True)
    found = tf.function(lambda: tf.constant(network.verify()))()
    np.testing.assert_allclose(found, network.model(network.noise()), rtol=1e-5)
