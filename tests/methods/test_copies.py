"""SmoothGrad, Smooth Grad-CAM++ and integrated gradients: means over copies of a picture."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import HEADS
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.copies import noisy_copy

IDS = [[0, 1], [2, 0], [1, 2]]


def run(explainer, images, method, **options):
    """The kernel's tensors for three pictures and two targets each, as arrays."""
    kernel = explainer.pipeline.kernel(get_method(method, **options))
    return {key: t.numpy() for key, t in kernel(tf.constant(images), tf.constant(IDS)).items()}


@pytest.mark.parametrize("smooths", ["gradient", "gradcam", "guided_backprop", "layercam"])
def test_smoothgrad_without_noise_is_the_method(smooths, toy_images):
    explainer = toy_explainer("flatten")
    found = run(explainer, toy_images, "smoothgrad", smooths=smooths, noise=0, samples=3)
    plain = explainer.maps(toy_images, IDS, smooths, raw=True)
    assert plain.max() > 0
    np.testing.assert_allclose(found["saliency"], plain, rtol=1e-5, atol=1e-6 * plain.max())


def copies_of(explainer, picture, noise, samples):
    """The noisy copies of one picture, by the shared recipe, one at a time."""
    import zlib

    key = tf.constant([0, zlib.crc32(picture.tobytes())], tf.int64)
    x, copy_of = tf.constant(picture), noisy_copy(noise)
    return np.stack([copy_of(x, x, key, tf.constant(i)) for i in range(samples)])


@pytest.mark.parametrize("block_size", [1, 4, 16])
def test_smoothgrad_matches_a_loop(block_size, toy_images):
    explainer = toy_explainer("flatten")
    found = run(
        explainer, toy_images, "smoothgrad", smooths="hirescam", samples=6, block_size=block_size
    )
    for n in range(3):
        copies = copies_of(explainer, toy_images[n], 0.15, 6)
        assert np.std(copies - toy_images[n]) == pytest.approx(
            0.15 * np.ptp(toy_images[n]), rel=0.1
        )
        for t, target in enumerate(IDS[n]):
            maps = explainer.maps(copies, [target] * 6, "hirescam", raw=True)
            np.testing.assert_allclose(
                found["saliency"][n, t], maps.mean(axis=0), rtol=1e-4, atol=1e-6
            )


def test_smoothgrad_depends_on_the_picture_and_the_seed_alone(toy_images):
    explainer = toy_explainer("gap")
    kernel = explainer.pipeline.kernel(get_method("smoothgrad", samples=3))
    together = kernel(tf.constant(toy_images), tf.constant(IDS))["saliency"]
    alone = kernel(tf.constant(toy_images[2:]), tf.constant(IDS[2:]))["saliency"]
    np.testing.assert_allclose(together[2:], alone, rtol=1e-5, atol=1e-6)
    other = run(explainer, toy_images, "smoothgrad", samples=3, seed=1)["saliency"]
    assert np.abs(other - together).max() > 0.01 * np.max(other)


@pytest.mark.parametrize("name", ["scorecam", "fullgrad", "nonsense"])
def test_smoothgrad_smooths_one_pass_methods_only(name):
    message = f"smoothgrad: smooths must be the name of a method of one pass.*received '{name}'"
    with pytest.raises(gcam.InputError, match=message):
        get_method("smoothgrad", smooths=name)


@pytest.mark.parametrize("head", HEADS)
def test_smoothgradcam_pp_without_noise_is_gradcam_pp(head, toy_images):
    explainer = toy_explainer(head)
    found = run(explainer, toy_images, "smoothgradcam++", noise=0, samples=2)["saliency"]
    plain = explainer.maps(toy_images, IDS, "gradcam++", raw=True, alpha_normalize=False)
    assert plain.max() > 0
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-6 * plain.max())


def test_smoothgradcam_pp_matches_loops(toy_images):
    explainer = toy_explainer("flatten")
    slow = ToyNumpy(explainer.network.model)
    found = run(explainer, toy_images, "smoothgradcam++", samples=5, noise=0.05, block_size=2)
    copies = slow.activations(copies_of(explainer, toy_images[0], 0.05, 5))
    activations = slow.activations(toy_images[:1])[0]
    gradients = slow.gradients(copies, np.full(5, 1))
    d1, d2, d3 = (np.mean(gradients**power, axis=0) for power in (1, 2, 3))
    expected = np.zeros((4, 4))
    for k in range(5):
        down = 2 * d2[..., k] + activations[..., k].sum() * d3[..., k]
        alpha = np.divide(d2[..., k], down, out=np.zeros((4, 4)), where=np.abs(down) > 1e-12)
        expected += (alpha * np.maximum(d1[..., k], 0)).sum() * activations[..., k]
    expected = np.maximum(expected, 0)
    assert expected.max() > 0
    np.testing.assert_allclose(found["saliency"][0, 1], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("baseline", ["black", "mean", "blur"])
def test_integrated_gradients_are_complete(compiled, baseline, toy_images):
    """The midpoint rule errs where a ReLU switches, and few make up this network: 4096 steps."""
    explainer = gcam.Explainer(build_toy("flatten"), preprocess=lambda x: 2.0 * x + 0.3)
    options = {"steps": 4096, "baseline": baseline, "block_size": 512}
    found = run(explainer, toy_images, "integrated_gradients", **options)
    empty = {
        "black": np.zeros_like(toy_images),
        "mean": np.full_like(toy_images, -0.15),
        "blur": None,
    }[baseline]
    if empty is None:
        from guidedcam_tf.methods.baselines import baseline_inputs

        blurred = baseline_inputs(explainer.network, tf.constant(toy_images), "blur")
        start = explainer.network.logits_of(blurred).numpy()
    else:
        start = explainer.network.logits(empty).numpy()
    change = np.take_along_axis(found["logits"] - start, np.array(IDS), axis=1)
    sums = found["attribution"].sum(axis=(2, 3))
    np.testing.assert_allclose(sums, change, atol=1e-3 * np.abs(found["logits"]).max())
    np.testing.assert_array_equal(found["saliency"], np.maximum(found["attribution"], 0))


def test_64_steps_are_complete_to_a_thousandth_where_nothing_switches(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="gelu", name="conv")(inputs)
    x = keras.layers.Dense(6, activation="tanh")(keras.layers.Flatten()(x))
    keras.utils.set_random_seed(4)
    model = keras.Model(inputs, keras.layers.Dense(3)(x))
    explainer = gcam.Explainer(model, preprocess="none", scores="logits")
    found = run(explainer, toy_images, "integrated_gradients", steps=64)
    change = found["logits"] - explainer.network.logits(tf.zeros_like(toy_images)).numpy()
    change = np.take_along_axis(change, np.array(IDS), axis=1)
    assert np.abs(change).mean() > 0.2
    np.testing.assert_allclose(found["attribution"].sum(axis=(2, 3)), change, atol=1e-3)


def test_integrated_gradients_by_hand():
    # Y = relu(x1 - 1) * 1, from 0 to x1 = 3: the gradient is 0 for a third of the way, so R = 2.
    import keras

    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(1, 1, name="features")(inputs)
    x = keras.layers.Dense(1, activation="relu", name="unit")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False, name="scores")(x))
    model.get_layer("features").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    model.get_layer("unit").set_weights([np.array([[1.0], [0], [0], [0]]), np.array([-1.0])])
    model.get_layer("scores").set_weights([np.array([[1.0, -1.0]])])
    picture = np.array([[[[3.0], [7]], [[8], [9]]]], np.float32)
    for steps, block_size in ((3, 2), (300, 16)):
        options = {"steps": steps, "block_size": block_size}
        maps = gcam.Explainer(model).maps(
            picture, [[0, 1]], "integrated_gradients", raw=True, **options
        )
        np.testing.assert_allclose(maps[0], [[[2, 0], [0, 0]], np.zeros((2, 2))], atol=1e-4)
