"""Relevance-CAM on networks: real ones, of many kinds of layers, in half precision, saved."""

import keras
import numpy as np
import tensorflow as tf
from common import build_toy
from methods.relevance_numpy import closed_form
from methods.relevance_numpy import relevance_maps

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method


def test_half_precision_network_is_close(toy_images):
    maps = [
        gcam.Explainer(build_toy("flatten", dtype=dtype), layer="conv1").maps(
            toy_images, [2] * 3, "relevance_cam"
        )
        for dtype in ("float32", "mixed_float16")
    ]
    assert maps[1].dtype == np.float32
    np.testing.assert_allclose(maps[1], maps[0], atol=1e-5)


def test_model_is_unchanged(toy, toy_images):
    before = [variable.numpy() for variable in toy.weights]
    flags = [(layer.trainable, getattr(layer, "activation", None)) for layer in toy.layers]
    gcam.Explainer(toy, layer="conv1").maps(toy_images, [0] * 3, "relevance_cam")
    for was, variable in zip(before, toy.weights, strict=True):
        np.testing.assert_array_equal(was, variable.numpy())
    after = [(layer.trainable, getattr(layer, "activation", None)) for layer in toy.layers]
    assert after == flags


def mobile_model():
    """Depthwise convolutions, ReLU6, padding, a concatenation, and a head that is convolutional."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu6", name="stem")(inputs)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Concatenate()([x, layers.Conv2D(4, 1, activation="relu")(x)])
    x = layers.Conv2D(10, 1)(x) + x
    x = layers.AveragePooling2D(2)(x)
    x = layers.GlobalAveragePooling2D(keepdims=True)(layers.Activation("relu")(x))
    x = layers.Conv2D(4, 1)(layers.Dropout(0.2)(x))
    return keras.Model(inputs, layers.Softmax()(layers.Reshape((4,))(x)))


def test_many_kinds_of_layers_together(rng):
    explainer = gcam.Explainer(mobile_model(), layer="stem")
    images = rng.uniform(0, 4, size=(2, 16, 16, 3))
    saliency, relevance = relevance_maps(explainer, images, [[0, 1, 2, 3]] * 2, init="onehot")
    assert np.isfinite(saliency).all()
    assert (np.abs(relevance).max(axis=(2, 3)) > 0).all()


def test_saved_model_gives_the_same(compiled, tmp_path, toy_images):
    explainer = gcam.Explainer(build_toy("flatten"), layer="conv1")
    module = tf.Module()
    module.model = explainer.network.model
    module.kernel = explainer.pipeline.kernel(get_method("relevance_cam"))
    arguments = tf.constant(toy_images), tf.constant([[0, -1]] * 3)
    tf.saved_model.save(module, str(tmp_path))
    reloaded = tf.saved_model.load(str(tmp_path))
    found = reloaded.kernel(*arguments)
    for name, expected in module.kernel(*arguments).items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-6)


def test_closed_form_on_resnet50(resnet50, photographs):
    ids = np.array([[285, 967]] * 2)
    saliency, relevance = relevance_maps(resnet50, photographs, ids)
    view, kernel = resnet50.pipeline.view, resnet50.network.model.layers[-1].kernel.numpy()
    activations, _ = view.forward(view.network.preprocess(tf.constant(photographs, tf.float32)))
    for n, t in np.ndindex(2, 2):
        expected = closed_form(
            activations[n].numpy().astype(np.float64), kernel.astype(np.float64), ids[n, t]
        )
        for maps, reference in zip((saliency, relevance), expected, strict=True):
            np.testing.assert_allclose(
                maps[n, t], reference, rtol=1e-3, atol=1e-4 * np.abs(reference).max()
            )


def test_resnet50_tells_the_cat_from_the_coffee_and_conserves(resnet50_at, photographs):
    # The convolutions of these weights have biases of 0, so that relevance is conserved: it starts
    # as 1 - 999/1000 and ends as that at every layer.
    mosaic = np.concatenate([photographs[0][:, ::2], photographs[1][:, ::2]], axis=1)
    saliency, relevance = relevance_maps(
        resnet50_at("conv3_block4_out"), mosaic[None], [[285, 967]]
    )
    np.testing.assert_allclose(relevance.sum(axis=(2, 3)), 1e-3, atol=1e-5)
    half = saliency.shape[-1] // 2
    favour = np.maximum(saliency[0], 0)
    on_the_left = favour[:, :, :half].sum(axis=(1, 2)) / favour.sum(axis=(1, 2))
    assert on_the_left[0] > 0.9
    assert on_the_left[1] < 0.1


def test_vgg16_conserves(small_vgg16, rng):
    # Its random weights come with biases of 0.
    explainer = gcam.Explainer(small_vgg16, layer="block4_conv3", preprocess="caffe")
    image = rng.uniform(0, 255, size=(1, 64, 64, 3))
    saliency, relevance = relevance_maps(explainer, image, [[3]], init="onehot")
    assert np.isfinite(saliency).all()
    np.testing.assert_allclose(relevance.sum(), 1, rtol=1e-3)
