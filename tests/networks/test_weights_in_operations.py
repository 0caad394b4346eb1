"""Weights that a subclassed model's `call` computes with outside of layers are seen to change."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam

layers, ops = keras.layers, keras.ops


class Scaled(keras.Model):
    """Its features are scaled and shifted by what operations make of its own weights."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.conv = layers.Conv2D(6, 3, activation="relu", name="conv")
        self.head = layers.Dense(3)
        self.scale = self.add_weight(shape=(1, 6), initializer="zeros", name="scale")
        self.steps = self.add_weight(shape=(6,), initializer="zeros", trainable=False)

    def call(self, inputs):
        features = self.conv(inputs / 255.0) * ops.exp(ops.reshape(self.scale, (6,)))
        features = features + ops.cumsum(self.steps) * ops.arange(6, dtype="float32")
        return self.head(ops.mean(features, axis=(1, 2)))


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (3, 16, 16, 3)).astype(np.float32)


def changed(model, seed):
    random = np.random.default_rng(seed)
    for variable in (model.scale, model.steps):
        variable.assign(random.normal(size=variable.shape))


def by_tape(model, pictures, targets):
    with tf.GradientTape() as tape:
        activations = model.conv(pictures / 255.0)
        tape.watch(activations)
        features = activations * tf.exp(model.scale.value[0])
        features += tf.cumsum(model.steps.value) * tf.range(6.0)
        scores = tf.gather(model.head(tf.reduce_mean(features, [1, 2])), targets, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(scores, activations), axis=[1, 2], keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("nested", [False, True])
def test_maps_follow_the_weights(pictures, nested):
    inner = Scaled(name="inner")
    inner(pictures)
    inputs = keras.Input((16, 16, 3))
    model = keras.Model(inputs, inner(inputs)) if nested else inner
    explainer = gcam.Explainer(model, layer="inner/conv" if nested else "conv", scores="logits")
    targets = [0, 1, 2]
    for seed in range(2):
        changed(inner, seed)
        expected = tf.nn.softmax(model(pictures))
        np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-6)
        raw = explainer.maps(pictures, targets, "gradcam", raw=True)
        np.testing.assert_allclose(raw, by_tape(inner, pictures, targets), rtol=1e-4, atol=1e-6)
        assert raw.any()


def test_reading_leaves_no_trace(pictures):
    model = Scaled()
    model(pictures)
    nodes = [len(layer._inbound_nodes) for layer in model._flatten_layers()]
    explainer = gcam.Explainer(model, layer="conv")
    explainer.predict(pictures)
    assert [len(layer._inbound_nodes) for layer in model._flatten_layers()] == nodes
    assert "weights" not in explainer.network.layers


def test_a_copy_of_the_weights_is_refused_after_they_changed(pictures):
    pytest.importorskip("openvino")
    model = Scaled()
    model(pictures)
    live = gcam.Explainer(model, layer="conv", scores="logits")
    frozen = gcam.Explainer(model, layer="conv", scores="logits", runtime="openvino")
    changed(model, 0)
    with pytest.raises(gcam.InputError, match="have changed"):
        frozen.maps(pictures)
    frozen = gcam.Explainer(model, layer="conv", scores="logits", runtime="openvino")
    np.testing.assert_allclose(frozen.predict(pictures), live.predict(pictures), atol=1e-5)
