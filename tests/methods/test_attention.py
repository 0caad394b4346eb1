"""LeGrad and attention rollout, against the same written out with the layers' weights."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from networks.test_tokens import PATCH
from networks.test_tokens import SIDE
from networks.test_tokens import WIDTH
from networks.test_tokens import block
from networks.test_tokens import pictures
from networks.test_tokens import vit

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import METHODS

layers = keras.layers
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
    for name in ("first", "last"):
        mean = attention(model, name, images)[2].numpy().mean(1)
        total = (mean + np.eye(17)) / 2 @ total
    found = explainer.maps(images, 1, "attention_rollout", raw=True)
    np.testing.assert_allclose(found, total[:, 0, 1:].reshape(2, 4, 4), rtol=1e-4)


def test_legrad_sums_the_positive_gradients_of_all_blocks(model, explainer):
    images, total = pictures(), 0
    for name, before in (("first", "embedded"), ("last", "first_out")):
        normed, layer, weights = attention(model, name, images)
        value, output = layer.value_dense, layer.output_dense
        with tf.GradientTape() as tape:
            tape.watch(weights)
            values = tf.einsum("btc,chd->bthd", normed, value.kernel) + value.bias
            mixed = tf.einsum("bhij,bjhd->bihd", weights, values)
            mixed = tf.einsum("bihd,hdc->bic", mixed, output.kernel) + output.bias
            tokens = tokens_at(model, before, images) + mixed
            tokens = between(model, f"{name}_add1", f"{name}_out")(tokens)
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


@pytest.mark.parametrize(
    ("extra", "read"),
    [((1, 0), (0, 1)), ((4, 0), (4, 20)), ((1, 0), (1, 17)), ((0, 1), (16, 17)), ((1, 0), (0, 17))],
    ids=["class", "patches behind registers", "patches", "class at the end", "all"],
)
def test_rollout_is_the_mean_row_of_the_tokens_that_the_scores_are_made_of(extra, read):
    """It was the first token's wherever there was one before the patches."""
    whole, images, total = vit(extra), pictures(), np.eye(16 + sum(extra))
    tokens = whole.get_layer("norm").output[:, slice(*read)]
    scores = layers.Dense(3)(layers.GlobalAveragePooling1D()(tokens))
    for name in ("first", "last"):
        mean = attention(whole, name, images)[2].numpy().mean(1)
        total = (mean + np.eye(len(mean[0]))) / 2 @ total
    explainer = gcam.Explainer(keras.Model(whole.input, scores), scores="logits")
    found = explainer.maps(images, 1, "attention_rollout", raw=True)
    row = total[:, slice(*read)].mean(1)[:, extra[0] : extra[0] + 16]
    np.testing.assert_allclose(found, row.reshape(2, 4, 4), rtol=1e-4)


def blocks(between, seed=0):
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((SIDE, SIDE, 3))
    x = layers.Reshape((16, WIDTH))(layers.Conv2D(WIDTH, PATCH, strides=PATCH)(inputs))
    x = block(between(block(x, "first")), "last")
    x = layers.GlobalAveragePooling1D()(layers.LayerNormalization(name="norm")(x))
    model = keras.Model(inputs, layers.Dense(3)(x))
    generator = np.random.default_rng(seed)
    model.set_weights([w + 0.3 * generator.normal(size=w.shape) for w in model.get_weights()])
    return gcam.Explainer(model, preprocess="unit", scores="logits")


@pytest.mark.parametrize("method", READING)
@pytest.mark.parametrize("idle", [layers.Dropout(0.1), layers.Identity()])
def test_what_computes_nothing_between_blocks_changes_nothing(method, idle):
    plain, other = blocks(lambda x: x), blocks(idle)
    np.testing.assert_array_equal(plain.predict(pictures()), other.predict(pictures()))
    expected = plain.maps(pictures(), 1, method, raw=True)
    np.testing.assert_allclose(other.maps(pictures(), 1, method, raw=True), expected, rtol=1e-5)


def halved(x):
    x = layers.Reshape((4, 4, WIDTH))(x)
    return layers.Reshape((4, WIDTH))(layers.AveragePooling2D(2)(x))


def by_groups(x):
    return x + layers.GroupQueryAttention(4, 2, 1, name="other")(x, x)


class Hidden(layers.Layer):
    """Has its attention inside, behind an operation that Keras cannot follow."""

    def build(self, shape):
        self.inner = layers.MultiHeadAttention(2, 4, name="hidden")
        self.inner.build(shape, shape)

    def call(self, x):
        return tf.add(x, self.inner(x, x))


@pytest.mark.parametrize("method", READING)
@pytest.mark.parametrize(
    ("between", "told"),
    [(halved, "first_attention"), (by_groups, "other"), (Hidden(), "hidden")],
    ids=["fewer tokens", "another kind", "inside a layer"],
)
def test_attention_that_cannot_be_read_is_not_left_out(method, between, told):
    message = f"{method} reads .* of all blocks .* cannot read that of '{told}'"
    with pytest.raises(InputError, match=message):
        blocks(between).maps(pictures(), 1, method)


def test_blocks_that_end_in_other_kinds_of_layers_are_refused():
    explainer = blocks(layers.Dense(WIDTH))
    with pytest.raises(InputError, match="legrad needs blocks of attention that are alike"):
        explainer.maps(pictures(), 1, "legrad")
