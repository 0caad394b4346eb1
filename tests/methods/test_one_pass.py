"""What every method of one forward pass must obey, whatever its formula."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import FORMULAS
from methods.one_pass import HEADS
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

METHODS_OF_ONE_PASS = (*FORMULAS, "eigencam", "cam", "fem", "finercam", "shapleycam")
CASES = [
    (method, head)
    for method in METHODS_OF_ONE_PASS
    for head in HEADS
    if (method, head) != ("cam", "flatten")  # CAM is for networks that pool globally only.
]


@pytest.mark.parametrize(("method", "head"), CASES)
def test_pictures_and_targets_are_apart(compiled, method, head, toy_images):
    """A map is the same alone, in a batch, and among other targets; the kernel is traced once."""
    explainer = toy_explainer(head)
    ids = np.array([[0, 1], [2, 0], [1, 2]])
    batch = explainer.maps(toy_images, ids, method, raw=True)
    assert batch.shape == (3, 2, 4, 4)
    assert batch.dtype == np.float32
    for image, targets, maps in zip(toy_images, ids, batch, strict=True):
        alone = [explainer.maps(image[None], [t], method, raw=True)[0] for t in targets]
        np.testing.assert_allclose(maps, alone, rtol=1e-5, atol=1e-6 * batch.max())
    assert explainer.pipeline.kernel(get_method(method)).experimental_get_tracing_count() == 1


@pytest.mark.parametrize(("method", "head"), CASES)
def test_ranks_and_logits(method, head, toy_images):
    """The kernel resolves ranks to classes, and hands back the logits."""
    explainer = toy_explainer(head)
    slow = ToyNumpy(explainer.network.model)
    expected = slow.logits(slow.activations(toy_images))
    kernel = explainer.pipeline.kernel(get_method(method))
    result = kernel(tf.constant(toy_images), tf.constant([[-1, -2]] * len(toy_images)))
    np.testing.assert_allclose(result["logits"], expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(result["class_ids"], np.argsort(-expected)[:, :2])


@pytest.mark.parametrize(("method", "head"), CASES)
def test_flat_pictures(method, head):
    """A black and a constant picture have finite maps of the right shape, at least 0."""
    explainer = toy_explainer(head)
    images = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 3)]).astype(np.float32)
    for raw in (True, False):
        maps = explainer.maps(images, [0, 1], method, raw=raw)
        assert maps.shape == ((2, 4, 4) if raw else (2, 8, 8))
        assert np.isfinite(maps).all()
        assert (maps >= 0).all()


UNSIGNED = ("eigencam", "normgrad", "fem", "finercam", "shapleycam")


@pytest.fixture(scope="module")
def speaking_against():
    """An explainer of a network whose every channel speaks against class 1."""
    model = build_toy("gap")
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[:, 1] = -np.abs(kernel[:, 1])
    model.get_layer("scores").set_weights([kernel, bias])
    return gcam.Explainer(model)


@pytest.mark.parametrize("method", [name for name in METHODS_OF_ONE_PASS if name not in UNSIGNED])
def test_unsupported_target_is_empty(method, speaking_against, toy_images):
    """A class that every channel speaks against has a map of zeros, also after normalising."""
    for raw in (True, False):
        maps = speaking_against.maps(toy_images, [1] * len(toy_images), method, raw=raw)
        np.testing.assert_array_equal(maps, np.zeros_like(maps))


@pytest.mark.parametrize("method", ["hirescam", "shapleycam"])
def test_a_gradient_that_tensorflow_gives_as_slices(compiled, method, toy_images):
    """What gathers pictures, such as a function of each, has one."""

    def networks(each):
        inputs = keras.Input(toy_images.shape[1:])
        conv = keras.layers.Conv2D(4, 3, activation="relu", name="conv", kernel_initializer=ones)
        flat = keras.layers.Flatten()(each(conv(inputs)))
        return keras.Model(inputs, keras.layers.Dense(3, kernel_initializer=ones)(flat))

    ones = keras.initializers.Constant(0.01)
    models = (
        networks(lambda x: keras.ops.vectorized_map(keras.ops.square, x)),
        networks(keras.ops.square),
    )
    found, expected = (
        gcam.Explainer(model, layer="conv", scores="logits").maps(toy_images, 1, method, raw=True)
        for model in models
    )
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert expected.any()
