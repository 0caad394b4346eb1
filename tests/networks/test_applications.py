"""The table of Keras Applications: names, files, sizes, layers and preprocessing.

One network of each family is built; the others of a family differ in depth or width alone.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.utils import file_utils

import guidedcam_tf as gcam
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.applications import APPLICATIONS
from guidedcam_tf.networks.applications import find_application
from guidedcam_tf.networks.applications import needs_preprocessing
from guidedcam_tf.networks.traits import Trait

pytestmark = pytest.mark.usefixtures("compiled")

FAMILIES = [
    "resnet50v2",
    "inceptionv3",
    "xception",
    "mobilenet",
    "mobilenetv2",
    "mobilenetv3-small",
    "densenet121",
    "efficientnetb0",
    "efficientnetv2-b0",
    "convnext-tiny",
]
OFTEN = ("resnet50v2", "mobilenetv3-small", "efficientnetb0")
"""The families that each run of the tests tries; `-m slow` tries all."""


def some(names):
    slow = pytest.mark.slow
    return [pytest.param(name, marks=() if name in OFTEN else slow) for name in names]


@pytest.fixture
def asked_for(monkeypatch):
    """The files that Keras would fetch; nothing is, and the weights stay random."""
    names = []
    monkeypatch.setattr(file_utils, "get_file", lambda name, *_, **__: names.append(name) or name)
    monkeypatch.setattr(keras.Model, "load_weights", lambda *_, **__: None)
    return names


@pytest.mark.parametrize("name", some(FAMILIES))
def test_the_table_is_what_keras_has(name, asked_for):
    application = APPLICATIONS[name]
    keras.utils.set_random_seed(1)
    model = application.build(weights="imagenet")
    assert asked_for == [application.keras_file]
    network = Network(model, preprocess=application.preprocessing)
    assert network.input_size == (application.input_size, application.input_size)
    assert application.default_layer in ("", network.default_layer)
    step = network.view().step
    assert min(step.shape[1:3]) > 1
    assert not isinstance(step.layer, keras.layers.Conv2D)
    assert not step.traits & (Trait.REARRANGES | Trait.PREPARES)
    pooling = network.graph.downstream(step)[0].layer
    assert isinstance(pooling, keras.layers.GlobalAveragePooling2D)
    assert needs_preprocessing(model.name) == (application.preprocessing != "none")


@pytest.mark.parametrize("name", some(["mobilenetv2", "mobilenetv3-small"]))
def test_a_network_by_name_is_explained(name):
    keras.utils.set_random_seed(1)
    picture = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
    explanation = gcam.Explainer(name, weights=None).explain(picture)
    assert explanation.maps.shape == (1, 60, 80)
    assert np.isfinite(explanation.raw).all()
    assert explanation.raw.any()


def test_an_efficientnet_from_a_file_scales_as_keras_s_own(asked_for, tmp_path):
    application = APPLICATIONS["efficientnetb0"]
    keras.utils.set_random_seed(1)
    own = application.build(weights="imagenet")
    own.save_weights(tmp_path / "weights.weights.h5")
    images = tf.random.stateless_uniform((1, 224, 224, 3), (1, 2), 0, 255)
    values = keras.Model(own.input, own.layers[3].output)
    assert isinstance(own.layers[3], keras.layers.Rescaling)
    twin = application.build(weights=None)
    scaled = next(
        keras.Model(twin.input, layer.output)
        for layer in twin.layers[2:]
        if isinstance(layer, keras.layers.Rescaling)
    )
    np.testing.assert_allclose(scaled(images), values(images), rtol=1e-6)
    assert [tuple(w.shape) for w in twin.weights] == [tuple(w.shape) for w in own.weights]


def test_names_are_found_whatever_their_case_and_hyphens():
    for name in ("efficientnetv2-b0", "EfficientNetV2B0", "efficientnetv2_b0"):
        assert find_application(name).name == "efficientnetv2-b0"
    with pytest.raises(gcam.InputError, match="'vgg61' is not known; expected vgg1"):
        find_application("vgg61")


def test_every_convolutional_network_of_keras_is_there():
    constructors = {name for name in dir(keras.applications) if name[0].isupper()}
    assert {find_application(name).name for name in constructors} == set(APPLICATIONS)
    assert len(constructors) == len(APPLICATIONS)
