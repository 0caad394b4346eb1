"""XGrad-CAM."""

import warnings

import keras
import numpy as np
import pytest
from methods.one_pass import HEADS
from methods.one_pass import apply
from methods.one_pass import check_against_loops
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.together import Together

METHOD = "xgradcam"


def loops(activations, gradients):
    """Every channel's weight as a sum over its positions."""
    height, width, channels = activations.shape
    saliency = np.zeros((height, width))
    for k in range(channels):
        total = activations[:, :, k].sum()
        if abs(total) > 1e-6:
            weight = 0.0
            for i, j in np.ndindex(height, width):
                weight += gradients[i, j, k] * activations[i, j, k] / total
            saliency += weight * activations[:, :, k]
    return np.maximum(saliency, 0)


@pytest.mark.parametrize("head", HEADS)
def test_matches_slow_reference(head, toy_images):
    check_against_loops(head, toy_images, METHOD, loops)


def test_by_hand():
    # Channel 0: sum 10, w = (1*4 + 2*3) / 10 = 1. Channel 1: sum 4, w = (4*-1 + 0) / 4 = -1.
    # Channel 2 is dead: w = 0. S = ReLU(M^0 - M^1) = ReLU([[1 - 0, 2 - 4], [3, 4]]).
    activations = [[[1, 0, 0], [2, 4, 0]], [[3, 0, 0], [4, 0, 0]]]
    gradients = [[[4, 7, 5], [3, -1, 5]], [[0, 7, 5], [0, 7, 5]]]
    np.testing.assert_allclose(apply(METHOD, activations, gradients), [[1, 0], [3, 4]], rtol=1e-6)


def test_a_channel_that_sums_to_nothing_weighs_nothing():
    # Channel 0 sums to 2^-21 = 4.8e-7, below eps = 1e-6; unguarded its weight would be 2^22.
    # Channel 1 weighs 1.
    activations = [[[1 + 2**-21, 3], [-1, 1]]]
    gradients = [[[1, 1], [-1, 1]]]
    np.testing.assert_allclose(apply(METHOD, activations, gradients), [[3, 1]], rtol=1e-6)
    unguarded = apply(METHOD, activations, gradients, eps=0)
    np.testing.assert_allclose(unguarded, [[2**22 + 5, 0]], rtol=1e-6)


@pytest.mark.parametrize("head", HEADS)
def test_conserves_the_score(head, toy_images):
    # The weights are linear in the gradient, so the map before ReLU is S(grad) - S(-grad).
    slow = ToyNumpy(toy_explainer(head).network.model)
    activations = slow.activations(toy_images)
    gradients = slow.gradients(activations, np.array([0, 1, 2]))
    for a, g in zip(activations, gradients, strict=True):
        signed = apply(METHOD, a, g) - apply(METHOD, a, -g)
        np.testing.assert_allclose(signed.sum(), (g * a).sum(), rtol=1e-5)


def test_is_gradcam_where_the_network_pools_globally(toy_images):
    explainer = toy_explainer("gap")
    raw = explainer.maps(toy_images, [0, 1, 2], METHOD, raw=True)
    gradcam = explainer.maps(toy_images, [0, 1, 2], "gradcam", raw=True)
    np.testing.assert_allclose(raw, gradcam, rtol=1e-5, atol=1e-6 * gradcam.max())


def signed_model():
    """A small network with layers before and after each kind of ReLU."""
    layers = keras.layers
    inputs = keras.Input((8, 8, 3))
    x = convolved = layers.Conv2D(4, 3, padding="same", name="conv")(inputs)
    x = layers.BatchNormalization(name="bn")(x)
    x = layers.Activation("relu", name="relu")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    rectified = layers.ReLU(name="relu_layer")(layers.Conv2D(4, 1, name="conv_b")(x))
    leaky = layers.ReLU(negative_slope=0.1, name="leaky")(layers.Conv2D(4, 1, name="conv_c")(x))
    x = layers.Add(name="add")([x, rectified])
    x = layers.Concatenate(name="all")([x, layers.MaxPooling2D(2, name="pool_b")(convolved)])
    x = layers.Conv2D(4, 1, activation="relu", name="fused")(layers.Concatenate()([x, leaky]))
    x = layers.Conv2D(4, 1, activation="silu", name="silu")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(2, name="scores")(x), name="signed")


@pytest.mark.parametrize("layer", ["conv", "bn", "leaky", "all", "silu"])
def test_warns_where_activations_can_be_negative(layer):
    explainer = gcam.Explainer(signed_model(), layer=layer)
    with pytest.warns(UserWarning, match=f"xgradcam .* negative at layer '{layer}'") as told:
        explainer.pipeline.kernel(get_method(METHOD))
    assert "\n" not in str(told[0].message)


@pytest.mark.parametrize("layer", ["relu", "pool", "relu_layer", "add", "fused"])
def test_is_silent_after_a_relu(layer):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        gcam.Explainer(signed_model(), layer=layer).pipeline.kernel(get_method(METHOD))


def test_warns_the_caller_once(toy_images):
    explainer = gcam.Explainer(signed_model(), layer="conv")
    with pytest.warns(UserWarning, match="activations can be negative") as told:
        explainer.maps(toy_images, [0, 1, 1], METHOD)
        explainer.maps(toy_images, [0, 1, 1], METHOD)
    assert [warning.filename for warning in told] == [__file__]


@pytest.mark.parametrize("eps", [-1e-6, float("nan"), float("inf"), "small", None])
def test_eps_of_another_kind(eps):
    message = f"xgradcam: eps must be a finite number of at least 0; received {eps!r}"
    with pytest.raises(gcam.InputError, match=message):
        get_method(METHOD, eps=eps)


def test_warns_in_a_group():
    explainer = gcam.Explainer(signed_model(), layer="conv")
    group = Together((get_method("gradcam"), get_method(METHOD)))
    with pytest.warns(UserWarning, match="xgradcam .* negative at layer 'conv'"):
        explainer.pipeline.kernel(group)
