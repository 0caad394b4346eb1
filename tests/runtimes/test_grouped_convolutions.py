"""Grouped convolutions, which Keras compiles by XLA, run in every runtime and in every export."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.runtimes import list_runtimes
from guidedcam_tf.serving.litert import export_litert
from guidedcam_tf.serving.litert import run_litert
from guidedcam_tf.serving.openvino import open_export

layers, ops = keras.layers, keras.ops
PICTURES = np.random.default_rng(4).normal(size=(3, 17, 13, 3)).astype(np.float32)


class Block(layers.Layer):
    """A layer that hides its convolution."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = layers.Conv2D(8, 3, groups=4, strides=2, padding="same", activation="relu")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, inputs):
        return self.conv(inputs)


class Standardised(layers.Conv2D):
    """A convolution that changes its weights before it uses them."""

    def convolution_op(self, inputs, kernel):
        mean = ops.mean(kernel, (0, 1, 2), keepdims=True)
        return super().convolution_op(inputs, (kernel - mean) * 3)


class OfOne(layers.Layer):
    """A convolution along the rows of a map that is flat."""

    def __init__(self, **options):
        super().__init__(**options)
        self.conv = layers.Conv1D(8, 3, groups=2, padding="same")

    def build(self, shape):
        self.conv.build((None, None, shape[-1]))

    def call(self, inputs):
        flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2], inputs.shape[3]))
        return ops.reshape(ops.tanh(self.conv(flat)), (-1, *inputs.shape[1:]))


KINDS = {
    "strided": lambda: layers.Conv2D(16, 3, groups=8, strides=2, activation="relu"),
    "dilated": lambda: layers.Conv2D(6, 3, groups=2, dilation_rate=2, padding="same"),
    "inside a layer": Block,
    "standardised": lambda: Standardised(8, 3, groups=2, activation="tanh"),
    "of one dimension": OfOne,
}


def build(kind):
    keras.utils.set_random_seed(3)
    inputs = keras.Input(PICTURES.shape[1:])
    x = layers.Conv2D(8, 3, padding="same", activation="tanh", name="early")(inputs)
    x = layers.GlobalAveragePooling2D()(KINDS[kind]()(x))
    return keras.Model(inputs, layers.Dense(4)(x), name="grouped")


def by_keras(model, pictures, targets):
    """Grad-CAM's maps and the logits, of the model as Keras itself runs it."""
    layer = model.get_layer("early").output
    activations = keras.Model(model.input, layer)(pictures, training=False)
    with tf.GradientTape() as tape:
        tape.watch(activations)
        logits = keras.Model(layer, model.output)(activations, training=False)
        scores = tf.gather(logits, targets, batch_dims=1)
    weights = tf.reduce_mean(tape.gradient(scores, activations), (1, 2), keepdims=True)
    return tf.nn.relu(tf.reduce_sum(weights * activations, -1)).numpy(), logits.numpy()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("runtime", list_runtimes())
def test_maps_and_scores_are_keras_own(kind, runtime):
    model, targets = build(kind), np.array([1, 3, 0])
    explainer = gcam.Explainer(
        model, layer="early", preprocess="none", scores="logits", runtime=runtime
    )
    expected, logits = by_keras(model, PICTURES, targets)
    found = explainer.maps(PICTURES, targets, "gradcam", raw=True)
    np.testing.assert_allclose(found, expected, atol=1e-5 * expected.max())
    probabilities = tf.nn.softmax(logits).numpy()
    np.testing.assert_allclose(explainer.predict(PICTURES), probabilities, atol=1e-6)


@pytest.mark.parametrize("kind", ["dilated", "inside a layer"])
def test_exports_run_without_xla(kind, tmp_path):
    explainer = gcam.Explainer(build(kind), layer="early", preprocess="none", scores="logits")
    expected = explainer.maps(PICTURES, [1, 3, 0], "gradcam")
    run = open_export(gcam.export(explainer, tmp_path / "grouped", method="gradcam"))
    found = run({"images": PICTURES, "class_ids": np.array([1, 3, 0], np.int32)})["saliency"]
    np.testing.assert_allclose(found, expected, atol=1e-4)
    if kind == "dilated":  # LiteRT has no gradient of a ReLU.
        file = export_litert(explainer, tmp_path / "grouped.tflite", "gradcam")
        phone = run_litert(file.read_bytes(), PICTURES[:1], 1)["saliency"]
        np.testing.assert_allclose(phone, expected[:1], atol=1e-4)


class ByXla(layers.Layer):
    """A layer that compiles its own product by XLA."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones")

    def call(self, inputs):
        return tf.function(lambda: inputs * self.scale, jit_compile=True)()


def test_a_layer_with_a_function_of_its_own_for_xla_is_named():
    toy = build("dilated")
    outputs = ByXla(name="own")(toy.output)
    explainer = gcam.Explainer(
        keras.Model(toy.input, outputs),
        layer="early",
        preprocess="none",
        scores="logits",
        runtime="openvino",
    )
    with pytest.raises(gcam.InputError, match=r"at layer 'early'.*in what 'own.*compiles by XLA"):
        explainer.maps(PICTURES, 1)
