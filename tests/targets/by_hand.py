"""A segmentation, a detector and a network of two inputs, and their maps by a plain tape."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import guidedcam_tf as gcam

GENERATOR = np.random.default_rng(5)
PICTURES = GENERATOR.integers(0, 256, (3, 16, 16, 3)).astype(np.uint8)
NAMES = ["sky", "road", "car"]


def build_segmenter(activation="softmax", classes=3):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="conv")(inputs / 64)
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="deep")(x)
    x = layers.Conv2D(classes, 1, activation=activation, name="out")(x)
    return keras.Model(inputs, x, name="segmenter")


def build_detector(objectness=True):
    keras.utils.set_random_seed(6)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=4, padding="same", activation="relu", name="conv")(inputs / 64)
    outputs = {
        "boxes": layers.Reshape((-1, 4))(layers.Conv2D(8, 1)(x)),
        "classes": layers.Softmax()(layers.Reshape((-1, 3))(layers.Conv2D(6, 1, name="c")(x))),
    }
    if objectness:
        flat = layers.Reshape((-1,))(layers.Conv2D(2, 1, name="o")(x))
        outputs["objectness"] = layers.Activation("sigmoid")(flat)
    return keras.Model(inputs, outputs, name="detector")


def build_two_inputs():
    keras.utils.set_random_seed(7)
    inputs, table = keras.Input((16, 16, 3), name="image"), keras.Input((2,), name="table")
    x = layers.Conv2D(6, 3, strides=4, activation="relu", name="conv")(inputs / 64)
    scale = layers.Dense(6, activation="relu")(table)
    x = layers.GlobalAveragePooling2D()(x * layers.Reshape((1, 1, 6))(scale))
    return keras.Model([inputs, table], layers.Dense(3, activation="softmax", name="scores")(x))


def refused(call):
    with pytest.raises(gcam.InputError) as error:
        call()
    return str(error.value)


def hirescam(features, score_of):
    """Feature maps times the gradients of a score, by a plain tape."""
    features = tf.convert_to_tensor(features)
    with tf.GradientTape() as tape:
        tape.watch(features)
        score = score_of(features)
    maps = tf.nn.relu(tf.reduce_sum(features * tape.gradient(score, features), axis=-1))
    assert maps.numpy().any()
    return maps.numpy(), score.numpy()


def segmenter_by_hand(model, pictures, score_of_logits):
    conv, deep, out = (model.get_layer(name) for name in ("conv", "deep", "out"))
    features = conv(tf.cast(pictures, tf.float32) / 64)
    return hirescam(
        features,
        lambda m: score_of_logits(tf.nn.conv2d(deep(m), out.kernel, 1, "SAME") + out.bias),
    )


def detector_by_hand(model, pictures, score_of):
    features = model.get_layer("conv")(tf.cast(pictures, tf.float32) / 64)

    def score(m):
        classes = tf.reshape(model.get_layer("c")(m), [len(pictures), -1, 3])
        return score_of(classes, tf.reshape(model.get_layer("o")(m), [len(pictures), -1]))

    return hirescam(features, score)
