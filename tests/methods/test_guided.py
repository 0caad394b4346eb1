"""The proposed method and Grad-CAM: references, hand computation, identities."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from common import eager
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

LAYERS = {
    "resnet50": ["conv4_block6_out"],
    "vgg16": ["block5_pool", "block3_conv3"],
}
CASES = [(network, layer) for network, layers in LAYERS.items() for layer in layers]
CLASSES = [285, 967]


def loops_gradcam(activations, gradients):
    """Equations 3 and 4 as loops over the channels."""
    height, width, channels = activations.shape
    saliency = np.zeros((height, width))
    for k in range(channels):
        weight = gradients[:, :, k].sum() / (height * width)
        saliency += weight * activations[:, :, k]
    return np.maximum(saliency, 0)


def loops_guidance(activations, gradients):
    """Equation 5 as loops over every element."""
    guidance = np.zeros(activations.shape[:2])
    for i, j, k in np.ndindex(*activations.shape):
        guidance[i, j] += gradients[i, j, k] * activations[i, j, k]
    return np.maximum(guidance, 0)


def loops_guided(activations, gradients):
    """Equation 6 as it is printed: each channel meets G_M before it is weighted and summed."""
    guidance = loops_guidance(activations, gradients)
    saliency = np.zeros(guidance.shape)
    for k in range(activations.shape[2]):
        saliency += gradients[:, :, k].mean() * (guidance * activations[:, :, k])
    return np.maximum(saliency, 0)


@pytest.mark.parametrize(
    ("method", "reference"), [("gradcam", loops_gradcam), ("guided", loops_guided)]
)
def test_matches_slow_reference(opened, toy_images, method, reference):
    slow = ToyNumpy(opened.network.model)
    activations = slow.activations(toy_images)
    for target in range(3):
        gradients = slow.gradients(activations, np.full(3, target))
        expected = [reference(a, g) for a, g in zip(activations, gradients, strict=True)]
        raw = opened.maps(toy_images, [target] * 3, method, raw=True)
        np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


def hand_model():
    """A network whose layer `features` is the picture itself, beside its double."""
    inputs = keras.Input((2, 2, 1))
    features = keras.layers.Conv2D(2, 1, use_bias=False, name="features")
    x = keras.layers.Flatten()(features(inputs))
    scores = keras.layers.Dense(2, use_bias=False, name="scores")
    model = keras.Model(inputs, scores(x))
    features.set_weights([np.array([[[[1.0, 2.0]]]])])
    # The flattened order is row, column, channel. Class 0 reads channel 0 in the upper row with
    # weight 4 and channel 1 in the left column with weight 2; class 1 wants less of everything.
    scores.set_weights([np.array([[4, 2, 4, 0, 0, 2, 0, 0], [-1] * 8], float).T])
    return model


def test_by_hand():
    # M^0 = [[1, 2], [3, 4]], M^1 = [[2, 4], [6, 8]].
    # grad^0 = [[4, 4], [0, 0]], grad^1 = [[2, 0], [2, 0]]; lambda^0 = 2, lambda^1 = 1.
    # G_M = [[4*1 + 2*2, 4*2], [2*6, 0]] = [[8, 8], [12, 0]].
    # Grad-CAM = 2 M^0 + M^1 = [[4, 8], [12, 16]]; guided = G_M * Grad-CAM.
    explainer = gcam.Explainer(hand_model(), layer="features")
    images = np.array([[1.0, 2.0], [3.0, 4.0]]).reshape(1, 2, 2, 1)
    result = explainer.pipeline.kernel(get_method("guided"))(
        tf.constant(images, tf.float32), tf.constant([[0, 1]])
    )
    np.testing.assert_allclose(result["activation_sum"][0, 0], [[3, 6], [9, 12]])
    np.testing.assert_allclose(result["guidance"][0, 0], [[8, 8], [12, 0]])
    np.testing.assert_allclose(result["unguided"][0, 0], [[4, 8], [12, 16]])
    np.testing.assert_allclose(result["saliency"][0, 0], [[32, 64], [144, 0]])
    np.testing.assert_array_equal(result["saliency"][0, 1], np.zeros((2, 2)))
    gradcam = explainer.maps(images, [0], "gradcam", raw=True)
    np.testing.assert_allclose(gradcam[0], [[4, 8], [12, 16]])


@pytest.fixture(scope="module")
def explainer_at(resnet50_at, small_vgg16):
    def explainer(network, layer):
        if network == "resnet50":
            return resnet50_at(layer)
        return gcam.Explainer(small_vgg16, layer=layer, preprocess="caffe")

    return explainer


@pytest.mark.parametrize(("network", "layer"), CASES)
def test_guided_is_guidance_times_gradcam(explainer_at, photographs, network, layer):
    explainer = explainer_at(network, layer)
    targets = CLASSES if network == "resnet50" else [3, 12]
    guided = explainer.explain(photographs[0], targets, "guided")
    gradcam = explainer.explain(photographs[0], targets, "gradcam")
    expected = guided.guidance * gradcam.raw
    assert expected.max() > 0
    np.testing.assert_allclose(guided.raw, expected, rtol=1e-5, atol=1e-5 * expected.max())


def test_guided_is_gradcam_squared_where_the_network_pools_globally(resnet50, photographs):
    guided = resnet50.maps(photographs, CLASSES, "guided", raw=True)
    gradcam = resnet50.maps(photographs, CLASSES, "gradcam", raw=True)
    np.testing.assert_allclose(guided, gradcam**2, rtol=1e-5, atol=1e-5 * guided.max())


def test_guided_differs_from_gradcam_squared_before_the_last_relu(resnet50_at, photographs):
    explainer = resnet50_at("conv5_block3_3_conv")
    guided = explainer.maps(photographs, CLASSES, "guided", raw=True)
    gradcam = explainer.maps(photographs, CLASSES, "gradcam", raw=True)
    assert np.abs(guided - gradcam**2).max() > 0.1 * guided.max()


def test_tells_once_that_the_gradient_is_constant(toy_images):
    explainer = gcam.Explainer(build_toy("gap"))
    with pytest.warns(UserWarning, match="pools globally after conv2.*constant in space") as told:
        explainer.maps(toy_images)
        explainer.maps(toy_images)
    assert len(told) == 1
    assert "\n" not in str(told[0].message)


def test_is_silent_where_the_gradient_varies(toy_images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gcam.Explainer(build_toy("flatten")).maps(toy_images)
        gcam.Explainer(build_toy("gap"), layer="conv1").maps(toy_images)


@pytest.mark.parametrize("method", ["guided", "gradcam"])
def test_graph_is_eager(compiled, opened, toy_images, method):
    expected = opened.maps(toy_images, [0, 1, 2], method, raw=True)
    with eager():
        found = opened.maps(toy_images, [0, 1, 2], method, raw=True)
    np.testing.assert_allclose(expected, found, rtol=1e-5, atol=1e-7)


def test_guided_scales_with_the_square_of_the_logits(toy_images):
    model = build_toy("flatten")
    before = gcam.Explainer(model).maps(toy_images, [0, 1, 2], raw=True)
    dense = model.get_layer("scores")
    dense.set_weights([3 * array for array in dense.get_weights()])
    after = gcam.Explainer(model).maps(toy_images, [0, 1, 2], raw=True)
    np.testing.assert_allclose(after, 9 * before, rtol=1e-4, atol=1e-7)


def test_a_class_that_nothing_supports_has_an_empty_map():
    explainer = gcam.Explainer(hand_model(), layer="features")
    explanation = explainer.explain(np.full((5, 4, 3), 200, np.uint8), [1, 0])
    assert explanation.empty.tolist() == [True, False]
    np.testing.assert_array_equal(explanation.maps[0], np.zeros((5, 4)))
