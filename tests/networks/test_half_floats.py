"""Networks of half floats are computed in float32, and stay as they were for everybody else."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

import guidedcam_tf as gcam
from guidedcam_tf.networks.calls import float32_inside


class Gated(layers.Layer):
    """A layer of the user's, with layers and a weight inside."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv, self.norm = layers.Conv2D(6, 3, padding="same"), layers.BatchNormalization()

    def build(self, shape):
        self.gate = self.add_weight(shape=(6,), initializer="ones", name="gate")
        self.conv.build(shape)
        self.norm.build(shape)

    def call(self, x):
        gate = tf.cast(self.gate, self.compute_dtype)
        return keras.ops.relu(self.norm(self.conv(x)) * gate + x)


class Subclassed(keras.Model):
    """A model with a weight of its own."""

    def __init__(self):
        super().__init__()
        self.first = layers.Conv2D(6, 3, activation="relu", name="first")
        self.block = Gated(name="block")
        self.pool, self.scores = layers.GlobalAveragePooling2D(), layers.Dense(3)
        self.scale = self.add_weight(shape=(), initializer="ones", name="scale")

    def call(self, x):
        return self.scores(self.pool(self.block(self.first(x)) * self.scale))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 12, 12, 3)))
    return model


def functional(middle):
    def build():
        inputs = keras.Input((12, 12, 3))
        x = layers.Conv2D(6, 3, activation="relu", name="first")(layers.Rescaling(1 / 255)(inputs))
        x = layers.Conv2D(6, 3, activation="relu", name="last")(middle(x))
        return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))

    return build


def attending(x):
    tokens = layers.LayerNormalization()(layers.Reshape((100, 6))(x))
    return layers.Reshape((10, 10, 6))(tokens + layers.MultiHeadAttention(2, 3)(tokens, tokens))


MODELS = {
    "block": functional(lambda x: Gated()(x)),
    "subclassed": subclassed,
    "attention": functional(attending),
    "nested": functional(lambda x: keras.Sequential([layers.Conv2D(6, 3), layers.ReLU()])(x)),
}


def with_policy(build, policy):
    """Build a model, with the same weights for all policies, all of them exact in half floats."""
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(policy)
    try:
        model = build()
    finally:
        keras.config.set_dtype_policy("float32")
    rng = np.random.default_rng(0)
    model.set_weights([rng.integers(-8, 9, w.shape) / 16 + 0.75 for w in model.get_weights()])
    return model


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (2, 12, 12, 3), dtype=np.uint8)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16"])
@pytest.mark.parametrize("kind", MODELS)
def test_maps_are_those_of_float32(kind, policy, pictures):
    full, half = (with_policy(MODELS[kind], each) for each in ("float32", policy))
    before = half(pictures.astype(np.float32))
    expected, explainer = gcam.Explainer(full), gcam.Explainer(half)
    np.testing.assert_allclose(explainer.predict(pictures), expected.predict(pictures), atol=1e-6)
    for method in ("guided", "guided_backprop", "input_x_gradient"):
        found = explainer.maps(pictures, [0, 2], method)
        np.testing.assert_allclose(found, expected.maps(pictures, [0, 2], method), atol=1e-5)
    after = half(pictures.astype(np.float32))
    assert before.dtype == after.dtype == half.compute_dtype
    np.testing.assert_array_equal(before, after)


def test_gradients_too_small_for_half_floats_are_there(pictures):
    def build():
        inputs = keras.Input((12, 12, 3))
        x = layers.GlobalAveragePooling2D()(layers.Conv2D(6, 3, activation="relu")(inputs))
        return keras.Model(inputs, layers.Rescaling(1e-8)(layers.Dense(3)(x)))

    half, full = (with_policy(build, policy) for policy in ("mixed_float16", "float32"))
    found = gcam.Explainer(half, scores="logits").maps(pictures, [0, 2], "gradient")
    assert found.any()
    np.testing.assert_allclose(
        found, gcam.Explainer(full, scores="logits").maps(pictures, [0, 2], "gradient"), atol=1e-5
    )


class ByName(layers.Dense):
    def call(self, x):
        return tf.matmul(tf.cast(x, tf.float16), self.kernel)


def test_a_layer_that_names_its_dtype_is_told_what_to_do():
    model = with_policy(functional(lambda x: ByName(6)(x)), "mixed_float16")
    message = r"layer 'by_name\w*' .* cannot be run: .*half.* let its call cast to the dtype of"
    with pytest.raises(gcam.InputError, match=message):
        gcam.Explainer(model)


def test_layers_that_prepare_pictures_do_it_in_float32(pictures):
    model = with_policy(functional(lambda x: x), "float32")
    prepare = layers.Rescaling(1 / 3, dtype="mixed_float16")
    expected = gcam.Explainer(model, preprocess=lambda x: x / 3).predict(pictures)
    found = gcam.Explainer(model, preprocess=prepare).predict(pictures)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_other_threads_compute_in_half_floats_meanwhile():
    layer, seen = layers.Dense(1, dtype="mixed_float16"), []
    with float32_inside():
        thread = threading.Thread(target=lambda: seen.append(layer(np.ones((1, 2))).dtype))
        thread.start()
        thread.join()
        seen.append(layer(np.ones((1, 2))).dtype)
    assert seen == ["float16", "float32"]
    assert layer.compute_dtype == "float16"
