"""Layers of names that TensorFlow compiles or saves no scope of."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError

layers = keras.layers


def named(name):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((12, 12, 3))
    inner = keras.Sequential(
        [keras.Input((12, 12, 3)), layers.Conv2D(4, 3, activation="relu", name=name)],
        name=f"{name}*",
    )
    return keras.Model(inputs, layers.Dense(3, name=f"{name}!")(layers.Flatten()(inner(inputs))))


@pytest.mark.parametrize("name", ["_x", "-x", "conv 1", "a,b:0", "卷积", "é"])
def test_maps_are_a_plain_tape_s(name, compiled, rng):
    model, pictures = named(name), rng.uniform(0, 1, [2, 12, 12, 3]).astype(np.float32)
    explainer = gcam.Explainer(model, scores="logits")
    conv, end = model.layers[1].layers[0], model.layers[-1]
    with tf.GradientTape() as tape:
        activations = conv(pictures)
        tape.watch(activations)
        scores = end(tf.reshape(activations, [2, -1]))[:, 1]
    product = tape.gradient(scores, activations) * activations
    expected = tf.nn.relu(tf.reduce_sum(product, axis=-1))
    raw = explainer.maps(pictures, 1, "hirescam", raw=True)
    assert explainer.layer == f"{name}*/{name}"
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


def test_an_export_says_that_tensorflow_saves_none(tmp_path):
    explainer = gcam.Explainer(named("conv 1"), scores="logits")
    with pytest.raises(InputError, match=r"has a weight '.*conv 1/kernel', and TensorFlow saves"):
        gcam.export(explainer, tmp_path / "1")
