"""The score is the logit, however a model ends."""

import keras
import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam


def then(*steps):
    """Make an ending of layers or functions, one after the other."""

    def end(x):
        for step in steps:
            x = step(x)
        return x

    return end


ENDINGS = {
    "none": lambda: then(),
    "layer": lambda: then(keras.layers.Softmax()),
    "activation": lambda: then(keras.layers.Activation("softmax", dtype="float32")),
    "operation": lambda: then(keras.ops.softmax),
    "identity after it": lambda: then(keras.layers.Softmax(), keras.layers.Identity()),
    "linear after it": lambda: then(
        keras.layers.Softmax(), keras.layers.Activation("linear", dtype="float32")
    ),
    "dropout after it": lambda: then(keras.layers.Softmax(), keras.layers.Dropout(0.5)),
    "cast after it": lambda: then(keras.layers.Softmax(), lambda x: keras.ops.cast(x, "float16")),
    # As files of MobileNet from before Keras 3 have it.
    "reshape after it": lambda: then(
        keras.layers.Reshape((1, 1, 3)), keras.layers.Softmax(), keras.layers.Reshape((3,))
    ),
}


@pytest.fixture(scope="module")
def explainer():
    return gcam.Explainer(build_toy("flatten"))


@pytest.mark.parametrize("how", ENDINGS)
def test_the_score_is_the_logit_however_the_model_ends(explainer, toy_images, how):
    model, expected = explainer.network.model, explainer.maps(toy_images, raw=True)
    bare = build_toy("flatten", activation=None)
    bare.set_weights(model.get_weights())
    bare = keras.Model(bare.input, ENDINGS[how]()(bare.output))
    ended = gcam.Explainer(bare)
    np.testing.assert_allclose(ended.maps(toy_images, raw=True), expected, rtol=1e-5)
    probabilities = model.predict(toy_images, verbose=0)
    np.testing.assert_allclose(ended.predict(toy_images), probabilities, atol=1e-6)


def test_a_reshape_that_mixes_places_and_classes_is_left_alone(toy_images):
    """The softmax is over each place's classes, so the numbers after it are what there is."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Reshape((8 * 8 * 3,))(keras.layers.Softmax()(x)))
    logits = gcam.Explainer(model).pipeline.logits(toy_images)
    np.testing.assert_allclose(logits, model(toy_images), atol=1e-6)
