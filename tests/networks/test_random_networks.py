"""Networks drawn at random: each is explained as Keras computes it, or refused by name."""

import os
import warnings

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st

import guidedcam_tf as gcam

layers, ops = keras.layers, keras.ops

FEW = 50
EXAMPLES = int(os.environ.get("GUIDEDCAM_EXAMPLES", FEW))
PICTURES = np.random.default_rng(5).normal(0, 1, (2, 6, 6, 3)).astype(np.float32)


class GoesOn(layers.Conv2D):
    """A convolution that goes on after its activation."""

    def call(self, inputs):
        return super().call(inputs) * 1.5 - 0.1


class Block(layers.Layer):
    """A convolution inside a layer that stores an activation."""

    def __init__(self, **options):
        super().__init__(**options)
        self.activation = keras.activations.tanh
        self.conv, self.noise = layers.Conv2D(2, 1), layers.GaussianNoise(1.0)

    def build(self, shape):
        self.conv.build(shape)

    def call(self, inputs):
        return self.noise(self.activation(self.conv(inputs)))


ACTIVATIONS = st.sampled_from(
    [
        None,
        "relu",
        "tanh",
        keras.activations.gelu,
        tf.nn.leaky_relu,
        lambda x: ops.sigmoid(x) * x,
        lambda x: tf.math.sin(x),
    ]
) | st.builds(layers.LeakyReLU, st.just(0.3))


def shared(draw, x):
    conv = layers.Conv2D(x.shape[-1], 1, activation=draw(ACTIVATIONS))
    return layers.Add()([conv(x), conv(ops.flip(x, 2))])


def nested(draw, x):
    inner = [keras.Input(x.shape[1:]), layers.Conv2D(2, 1, activation=draw(ACTIVATIONS))]
    model = keras.Sequential([*inner, layers.BatchNormalization()])
    return (
        model(x) if draw(st.booleans()) else keras.Model(model.inputs, model.outputs[0])(inputs=x)
    )


def gated(draw, x):
    gate = layers.Dense(x.shape[-1], activation="sigmoid")
    return x * gate(layers.GlobalAveragePooling2D(keepdims=True)(x))


def branches(draw, x):
    other = layers.Conv2D(1, 3, padding="same", activation=draw(ACTIVATIONS))(x)
    return layers.Concatenate()([x, other])


TRUNK = [
    lambda draw, x: layers.Conv2D(3, 2, activation=draw(ACTIVATIONS))(x),
    lambda draw, x: layers.SeparableConv2D(2, 2, padding="same", activation=draw(ACTIVATIONS))(x),
    lambda draw, x: layers.DepthwiseConv2D(2, padding="same", activation=draw(ACTIVATIONS))(x),
    lambda draw, x: layers.Dense(2, activation=draw(ACTIVATIONS))(x),
    lambda draw, x: GoesOn(2, 1, activation=draw(ACTIVATIONS))(x),
    lambda draw, x: Block()(x),
    lambda draw, x: layers.LayerNormalization()(x),
    lambda draw, x: layers.Dropout(0.5)(layers.PReLU(alpha_initializer="ones")(x)),
    lambda draw, x: layers.ZeroPadding2D(1)(layers.AveragePooling2D(2, padding="same")(x)),
    lambda draw, x: ops.tanh(x) + 0.5 * x,
    lambda draw, x: layers.Lambda(lambda tensor: tf.nn.relu(tensor) - 0.1)(x),
    shared,
    nested,
    gated,
    branches,
]


def sequence(draw, x):
    steps = layers.Reshape((-1, x.shape[-1]))(x)
    recurrent = draw(st.sampled_from([layers.LSTM, layers.GRU, layers.SimpleRNN]))
    layer = recurrent(3, unroll=True, return_sequences=draw(st.booleans()))
    return layers.Flatten()(layer(steps[:, :3]) if draw(st.booleans()) else steps)


HEADS = [
    lambda draw, x: layers.Flatten()(x),
    lambda draw, x: layers.GlobalAveragePooling2D()(x),
    lambda draw, x: layers.Dense(4, activation=draw(ACTIVATIONS))(layers.GlobalMaxPooling2D()(x)),
    lambda draw, x: ops.mean(x, axis=(1, 2)),
    sequence,
]
ENDS = {
    "none": lambda x: x,
    "layer": layers.Softmax(),
    "operation": ops.softmax,
    "activation": layers.Activation("softmax"),
    "lambda": layers.Lambda(lambda x: tf.nn.softmax(x)),
    "sigmoid": layers.Activation("sigmoid"),
    "function": layers.Activation(tf.nn.softmax),
}


@st.composite
def networks(draw):
    """A model, and the two functions that it is made of: to its `"map"`, and on to its logits."""
    inputs = keras.Input((6, 6, 3))
    x = inputs
    for make in draw(st.lists(st.sampled_from(TRUNK), min_size=1, max_size=3)):
        x = make(draw, x)
    x = layers.Conv2D(3, 1, activation=draw(ACTIVATIONS), name="map")(x)
    scores = layers.Dense(3)(draw(st.sampled_from(HEADS))(draw, x))
    end = draw(st.sampled_from(sorted(ENDS)))
    model = keras.Model(inputs, ENDS[end](scores))
    return model, keras.Model(inputs, x), keras.Model(x, scores), end


@settings(max_examples=EXAMPLES, deadline=None, derandomize=EXAMPLES == FEW, database=None)
@given(networks())
def test_a_network_is_explained_as_keras_computes_it(drawn):
    model, to_map, to_scores, end = drawn
    before = [variable.numpy() for variable in model.variables]
    expected = model(PICTURES, training=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        explainer = gcam.Explainer(model, layer="map", preprocess="none")
        found = explainer.predict(PICTURES)
        raw = explainer.maps(PICTURES, [0, 2], "gradcam", raw=True)
    expected = tf.nn.softmax(expected) if end == "none" else expected
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    with tf.GradientTape() as tape:
        activations = to_map(PICTURES, training=False)
        tape.watch(activations)
        scores = to_scores(activations, training=False)
        targets = tf.gather(scores, [0, 2], batch_dims=1)
    gradients = tape.gradient(targets, activations)
    weights = tf.reduce_mean(gradients, axis=[1, 2], keepdims=True)
    cam = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))
    np.testing.assert_allclose(raw, cam, rtol=1e-3, atol=1e-5)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)
