"""The layer that is explained by default: spatial, wide enough, and on all paths to the scores."""

import warnings

import keras
import numpy as np
import pytest

import guidedcam_tf as gcam
from guidedcam_tf.networks import Network

layers, ops = keras.layers, keras.ops


def conv(channels, name, strides=1, **options):
    options = {"padding": "same", "activation": "relu", **options}
    return layers.Conv2D(channels, 3, strides=strides, name=name, **options)


def network(end):
    inputs = keras.Input((32, 32, 3))
    body = conv(16, "body", 4)(layers.Rescaling(1 / 255)(inputs))
    return keras.Model(inputs, end(body))


def classes(x):
    return layers.Dense(3, activation="softmax")(x)


def tokens(x):
    return layers.Reshape((64, 16))(x)


def pooled_by_attention(x):
    attention = layers.Softmax(axis=[1, 2])(layers.Conv2D(1, 1, name="attention")(x))
    return classes(layers.Dot(1)([tokens(x), layers.Reshape((64, 1))(attention)])[..., 0])


def two_levels(x):
    deeper = conv(16, "deeper", 2)(x)
    heads = [layers.Conv2D(6, 3, padding="same")(level) for level in (x, deeper)]
    return layers.Concatenate(axis=1)([layers.Reshape((-1, 3))(head) for head in heads])


CHOSEN = {
    "attention map of one channel": (pooled_by_attention, "body"),
    "heads of two levels": (two_levels, "body"),
    "scores that are enlarged": (
        lambda x: layers.Softmax()(layers.UpSampling2D(4)(layers.Conv2D(3, 1, name="head")(x))),
        "body",
    ),
    "normalised scores that are resized": (
        lambda x: layers.Resizing(32, 32)(
            layers.BatchNormalization(name="norm")(layers.Conv2D(3, 1, name="head")(x))
        ),
        "body",
    ),
    "scores by position": (
        lambda x: layers.Softmax()(layers.Reshape((-1, 3))(layers.Conv2D(3, 1, name="head")(x))),
        "body",
    ),
    "squeeze and excitation": (
        lambda x: classes(
            layers.GlobalMaxPooling2D()(
                layers.Multiply(name="excited")(
                    [x, layers.Dense(16)(layers.GlobalAveragePooling2D(keepdims=True)(x))]
                )
            )
        ),
        "excited",
    ),
    "supervised at two depths": (
        lambda x: layers.Softmax()(
            layers.Add()(
                [layers.Dense(3)(layers.Flatten()(y)) for y in (x, conv(8, "deeper", 2)(x))]
            )
        ),
        "body",
    ),
    "a class map that is averaged": (
        lambda x: layers.Softmax()(
            layers.GlobalAveragePooling2D()(layers.Conv2D(3, 1, name="class_map")(x))
        ),
        "class_map",
    ),
}


@pytest.mark.parametrize("kind", CHOSEN)
def test_the_last_map_on_all_paths_is_chosen(kind):
    end, expected = CHOSEN[kind]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer = gcam.Explainer(network(end))
    assert explainer.layer == expected
    assert not explainer.network.layer_choice.doubt


def test_a_cut_carries_the_whole_score(rng):
    """Every score can be computed from the chosen layer's output alone."""
    pictures = rng.integers(0, 256, (2, 32, 32, 3)).astype(np.float32)
    for kind in ("attention map of one channel", "squeeze and excitation", "heads of two levels"):
        model = network(CHOSEN[kind][0])
        view = Network(model).view()
        activations, _ = view.forward(view.network.preprocess(pictures))
        (output,) = view.network.graph.run(
            {view.step.outputs[0]: activations}, [view.network.graph.output]
        )
        np.testing.assert_allclose(output, model.predict(pictures, verbose=0), atol=1e-5)


def test_two_branches_that_no_layer_joins_are_said():
    inputs = keras.Input((32, 32, 3))
    ends = [
        layers.GlobalAveragePooling2D()(conv(8, name, strides)(inputs))
        for name, strides in (("fine", 2), ("coarse", 4))
    ]
    model = keras.Model(inputs, classes(layers.Concatenate()(ends)))
    with pytest.warns(UserWarning, match="has all paths to the scores.*can be named: .*") as told:
        explainer = gcam.Explainer(model)
    message = str(told[0].message)
    assert "fine" in message
    assert "coarse" in message
    assert explainer.network.layer_choice.doubt in explainer.network.default_layer_reason
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert gcam.Explainer(model, layer="coarse").layer == "coarse"


class Encoder(layers.Layer):
    """Attention inside a layer of one's own."""

    def build(self, shape):
        self.attention = layers.MultiHeadAttention(2, 8)
        self.attention.build(shape, shape)

    def call(self, inputs):
        return inputs + self.attention(inputs, inputs)


MIXERS = {
    "attention": lambda x: layers.MultiHeadAttention(2, 8)(x, x),
    "attention inside a layer": lambda x: Encoder()(x),
    "a mixer's dense layer": lambda x: layers.Permute((2, 1))(
        layers.Dense(64)(layers.Permute((2, 1))(x))
    ),
    "a recurrent layer": layers.LSTM(16, return_sequences=True),
}


@pytest.mark.parametrize("kind", MIXERS)
def test_the_last_layer_of_tokens_after_what_mixes_them_is_chosen(kind):
    model = network(
        lambda x: classes(
            layers.GlobalMaxPooling1D()(
                layers.LayerNormalization(name="norm")(MIXERS[kind](tokens(x)))
            )
        )
    )
    explainer = gcam.Explainer(model)
    assert explainer.layer == "norm"
    assert "norm' (LayerNormalization, 8 x 8 tokens) is the last" in (
        explainer.network.default_layer_reason
    )


def test_what_mixes_tokens_without_places_after_the_patches_is_said():
    """Steps in time: the columns of a picture, one after another."""

    def end(x):
        columns = layers.Reshape((8, 8 * 16))(layers.Permute((2, 1, 3))(x))
        return classes(layers.LSTM(9)(layers.LSTM(16, return_sequences=True)(columns)))

    with pytest.warns(UserWarning, match="'body' stands before 2 layers that mix tokens"):
        assert gcam.Explainer(network(end)).layer == "body"


def test_a_grid_made_of_tokens_is_chosen():
    def end(x):
        grid = layers.Reshape((8, 8, 16), name="grid")(MIXERS["attention"](tokens(x)))
        return classes(layers.GlobalMaxPooling2D()(grid))

    assert gcam.Explainer(network(end)).layer == "grid"
