"""Small networks and places that the tests share."""

import os
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.networks.applications import APPLICATIONS
from guidedcam_tf.networks.weights import cached_file
from guidedcam_tf.networks.weights import keras_file

REPOSITORY = Path(__file__).resolve().parent.parent
DATA = Path(os.environ.get("GUIDEDCAM_TEST_DATA", REPOSITORY.parent / "shared" / "data"))


def build_toy(
    head="gap", *, bias=True, size=8, classes=3, dtype=None, activation="softmax", channels=3
):
    """A network of two convolutions, seeded, whose maps are 4 x 4 at layer `conv2`."""
    keras.utils.set_random_seed(3)
    layers = keras.layers
    inputs = keras.Input((size, size, channels))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1", dtype=dtype)(inputs)
    x = layers.MaxPooling2D(2, name="pool1", dtype=dtype)(x)
    x = layers.Conv2D(5, 3, padding="same", activation="relu", name="conv2", dtype=dtype)(x)
    if head == "gap":
        x = layers.GlobalAveragePooling2D(name="gap", dtype=dtype)(x)
    else:
        x = layers.Flatten(name="flatten", dtype=dtype)(x)
        x = layers.Dense(6, activation="relu", name="fc", dtype=dtype)(x)
    outputs = layers.Dense(classes, activation=activation, name="scores", dtype=dtype)(x)
    model = keras.Model(inputs, outputs, name=f"toy_{head}")
    if bias:
        generator = np.random.default_rng(5)
        for variable in model.weights:
            if variable.name == "bias":
                variable.assign(0.1 * generator.normal(size=variable.shape))
    return model


class Sort(keras.layers.Layer):
    """Sorts each picture's numbers, by an operation that OpenVINO has not."""

    def call(self, numbers):
        return tf.linalg.eigvalsh(tf.linalg.diag(numbers))


def build_sorting():
    """A network that OpenVINO cannot convert; its message names `SelfAdjointEigV2`."""
    toy = build_toy("gap")
    outputs = Sort(name="sort")(toy.get_layer("gap").output)
    return keras.Model(toy.input, keras.layers.Dense(3)(outputs), name="sorting")


@contextmanager
def eager():
    """Compile nothing meanwhile, which takes ten times as long as small networks do."""
    tf.config.run_functions_eagerly(True)
    try:
        yield
    finally:
        tf.config.run_functions_eagerly(False)


def has_resnet50():
    """Whether ResNet50's ImageNet weights are here."""
    application = APPLICATIONS["resnet50"]
    return cached_file(application).exists() or keras_file(application).exists()
