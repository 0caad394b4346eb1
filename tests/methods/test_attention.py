"""LeGrad and attention rollout, against the same written out with the layers' weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from networks.test_tokens import pictures
from networks.test_tokens import vit

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import METHODS

READING = [name for name, method in METHODS.items() if method.reads_attention]


@pytest.fixture(scope="module")
def model():
    return vit()


@pytest.fixture(scope="module")
def explainer(model):
    return gcam.Explainer(model, scores="logits")


def between(model, start, end):
    return keras.Model(model.get_layer(start).output, model.get_layer(end).output)


def tokens_at(model, layer, images):
    return keras.Model(model.input, model.get_layer(layer).output)(images)


def attention(model, block, images):
    normed = tokens_at(model, f"{block}_norm1", images)
    layer = model.get_layer(f"{block}_attention")
    return normed, layer, layer(normed, normed, return_attention_scores=True)[1]


def test_rollout_is_the_product_of_all_blocks(model, explainer):
    images = pictures()
    total = np.eye(17)
    for block in ("first", "last"):
        mean = attention(model, block, images)[2].numpy().mean(1)
        total = (mean + np.eye(17)) / 2 @ total
    found = explainer.maps(images, 1, "attention_rollout", raw=True)
    np.testing.assert_allclose(found, total[:, 0, 1:].reshape(2, 4, 4), rtol=1e-4)


def test_legrad_sums_the_positive_gradients_of_all_blocks(model, explainer):
    images, total = pictures(), 0
    for block, before in (("first", "embedded"), ("last", "first_out")):
        normed, layer, weights = attention(model, block, images)
        value, output = layer.value_dense, layer.output_dense
        with tf.GradientTape() as tape:
            tape.watch(weights)
            values = tf.einsum("btc,chd->bthd", normed, value.kernel) + value.bias
            mixed = tf.einsum("bhij,bjhd->bihd", weights, values)
            mixed = tf.einsum("bihd,hdc->bic", mixed, output.kernel) + output.bias
            tokens = tokens_at(model, before, images) + mixed
            tokens = between(model, f"{block}_add1", f"{block}_out")(tokens)
            score = keras.Model(model.get_layer("last_out").output, model.output)(tokens)[:, 2]
        gradients = tape.gradient(score, weights).numpy()
        total = total + np.maximum(gradients, 0).mean((1, 2))
    found = explainer.maps(images, 2, "legrad", raw=True)
    assert found.max() > 0
    np.testing.assert_allclose(found, total[:, 1:].reshape(2, 4, 4), rtol=1e-3, atol=1e-8)


@pytest.mark.parametrize("method", READING)
def test_several_targets_are_one_by_one_and_a_logit_as_a_function_is_its_class(explainer, method):
    images = pictures()
    together = explainer.maps(images, [[0, 2], [2, 1]], method, raw=True)
    for place, targets in enumerate(([0, 2], [2, 1])):
        alone = explainer.maps(images, targets, method, raw=True)
        np.testing.assert_allclose(together[:, place], alone, rtol=1e-4, atol=1e-8)
    by_function = explainer.maps(images, lambda logits: logits[:, 2], method, raw=True)
    by_class = explainer.maps(images, 2, method, raw=True)
    assert by_class.max() > 0
    np.testing.assert_allclose(by_function, by_class, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("method", READING)
def test_a_network_without_attention_is_refused(method):
    message = f"{method} reads the attention of keras.layers.MultiHeadAttention .* has none"
    with pytest.raises(InputError, match=message):
        gcam.Explainer(build_toy()).maps(np.zeros([1, 8, 8, 3], np.uint8), 0, method)
