"""Networks with LoRA, or quantised, against a plain tape around their own layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

layers = keras.layers


def lora(model):
    generator = np.random.default_rng(5)
    for name in ("conv", "mixed", "hidden"):
        layer = model.get_layer(name)
        layer.enable_lora(2)
        for variable in (layer.lora_kernel_a, layer.lora_kernel_b):
            variable.assign(0.2 * generator.normal(size=variable.shape))


def quantised(model):
    for name in ("mixed", "hidden", "scores"):
        model.get_layer(name).quantize(model.name)


KINDS = {"lora": lora, "int8": quantised, "int4": quantised, "float8": quantised}


@pytest.fixture(scope="module", params=KINDS)
def model(request):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, activation="relu", name="conv")(inputs)
    x = layers.EinsumDense("nhwc,cd->nhwd", (6, 6, 8), name="mixed")(x)
    x = layers.Dense(12, activation="relu", name="hidden")(layers.Flatten(name="flat")(x))
    model = keras.Model(inputs, layers.Dense(3, name="scores")(x), name=request.param)
    KINDS[request.param](model)
    return model


def plain(model, images, target):
    """The layer's features, the target's gradient there, and the scores."""
    features = tf.convert_to_tensor(model.get_layer("conv")(images))

    @tf.function  # Eagerly, Keras's float8 has no gradient.
    def differentiated():
        with tf.GradientTape() as tape:
            tape.watch(features)
            x = features
            for name in ("mixed", "flat", "hidden", "scores"):
                x = model.get_layer(name)(x, training=False)
            chosen = x[:, target]
        return tape.gradient(chosen, features), x

    return [tensor.numpy() for tensor in (features, *differentiated())]


@pytest.mark.usefixtures("compiled")
def test_maps_equal_a_plain_tape(model, tmp_path):
    images = np.random.default_rng(6).uniform(0, 1, (2, 8, 8, 3)).astype(np.float32)
    before = [variable.numpy().copy() for variable in model.variables]
    features, gradients, scores = plain(model, images, 1)
    weights = gradients.mean((1, 2), keepdims=True)
    expected = {  # HiResCAM and Grad-CAM, of which the proposed map is the product.
        "guidance": np.maximum((gradients * features).sum(-1), 0),
        "unguided": np.maximum((weights * features).sum(-1), 0),
    }
    model.save(tmp_path / "model.keras")
    explainer = gcam.Explainer(
        tmp_path / "model.keras", layer="conv", preprocess="none", scores="logits"
    )
    found = explainer.pipeline.explain(
        get_method("guided"), tf.constant(images), tf.constant([[1], [1]])
    )
    for name, total in expected.items():
        assert total.max() > 0
        np.testing.assert_allclose(found[name][:, 0], total, rtol=1e-5, atol=1e-5 * total.max())
    np.testing.assert_allclose(found["logits"], scores, rtol=1e-5, atol=1e-5)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable, old)
