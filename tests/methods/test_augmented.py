"""`augmented=True`: the mean over mirrored, darker and brighter copies of the picture."""

from dataclasses import fields

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import toy_explainer

import guidedcam_tf as gcam
from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.evaluation.measuring.groups import group_methods
from guidedcam_tf.evaluation.measuring.groups import labelled_method
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods import methods_from_text

OF_COPIES = ("smoothgrad", "smoothgradcam++", "integrated_gradients", "integrated_gradcam")
MANY = (
    *("scorecam", "faster_scorecam", "fullgrad", "smooth_fullgrad", "cameras", "ablationcam"),
    *("occlusion", "rise", "sise", "ada_sise", "prediction_difference", *OF_COPIES),
)


def by_position(weights):
    """A network whose logits weigh ReLU(x - 1), position by position, `[2, 2]` a class."""
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(1, 1, activation="relu", name="features")(inputs)
    outputs = keras.layers.Dense(2, use_bias=False, name="scores")(keras.layers.Flatten()(x))
    model = keras.Model(inputs, outputs)
    model.get_layer("features").set_weights([np.ones((1, 1, 1, 1)), -np.ones(1)])
    model.get_layer("scores").set_weights([np.reshape(weights, [2, 4]).T])
    return model


def test_by_hand():
    # ReLU(a x - 1) is .8, 1, 1.2 at the top left and 0, 0, .1 at the bottom right; mirrored, each
    # meets the weight beside its own: the means are 2 and 6.
    model = by_position([[[1.0, 3], [5, 7]], [[-1.0, -3], [-5, -7]]])
    explainer = gcam.Explainer(model, preprocess="none", scores="logits")
    picture = np.array([[[[2.0], [0]], [[0], [1]]]], np.float32)
    options = {"raw": True, "augmented": True}
    found = explainer.maps(picture, [[0, 1]], "hirescam", **options)
    expected = [[[[2, 0], [0, 6 * 0.1 / 3]], np.zeros((2, 2))]]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.mark.parametrize("method", ["guided", "guided_gradcam", "relevance_cam", "eigencam"])
def test_matches_a_loop(method, toy_images):
    """Of several pictures and targets; a rank is the class of that rank in the picture itself."""
    explainer = gcam.Explainer(build_toy("flatten"))
    ids = np.array([[0, -1], [2, -1], [1, -1]])
    kernel = explainer.pipeline.kernel(get_method(method, augmented=True))
    found = kernel(tf.constant(toy_images), tf.constant(ids, tf.int32))
    best = explainer.network.logits(toy_images).numpy().argmax(axis=1)
    ids[:, 1] = best
    np.testing.assert_array_equal(found["class_ids"], ids)
    plain = explainer.pipeline.kernel(get_method(method))
    for name in METHODS[method].outputs:
        expected = 0.0
        for factor in (0.9, 1.0, 1.1):
            for step in (1, -1):
                copies = np.float32(factor) * toy_images[:, :, ::step]
                maps = plain(tf.constant(copies), tf.constant(ids, tf.int32))[name].numpy()
                expected = expected + maps[..., ::step] / 6
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-5 * expected.max())


def test_symmetric_networks_without_biases_have_nothing_to_average(toy_images):
    model = build_toy("gap", bias=False)
    for name in ("conv1", "conv2"):
        kernel, bias = model.get_layer(name).get_weights()
        model.get_layer(name).set_weights([kernel + kernel[:, ::-1], bias])
    explainer = gcam.Explainer(model)
    plain, augmented = (
        explainer.maps(toy_images, [0, 1, 2], "gradcam", raw=True, augmented=each)
        for each in (False, True)
    )
    assert plain.max() > 0
    np.testing.assert_allclose(augmented, plain, rtol=1e-4, atol=1e-5 * plain.max())


def test_openvino_agrees(compiled, toy_images):
    model = toy_explainer("flatten").network.model
    ours, theirs = (
        gcam.Explainer(model, runtime=runtime).maps(
            toy_images, [[0, 1]] * 3, "gradcam", raw=True, augmented=True
        )
        for runtime in ("tensorflow", "openvino")
    )
    np.testing.assert_allclose(theirs, ours, rtol=1e-3, atol=1e-4 * ours.max())


def test_methods_of_one_pass_alone_have_it():
    having = {name for name in METHODS if "augmented" in {f.name for f in fields(METHODS[name])}}
    assert having == set(METHODS) - set(MANY)
    with pytest.raises(gcam.InputError, match="method 'rise' has no option 'augmented'; it has"):
        get_method("rise", augmented=True)
    with pytest.raises(gcam.InputError, match="gradcam: augmented must be True or False; received"):
        get_method("gradcam", augmented="yes")


def test_signals_have_no_mirror_image():
    inputs = keras.Input((16, 2))
    x = keras.layers.Conv1D(3, 3, activation="relu")(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling1D()(x))
    explainer = gcam.Explainer(keras.Model(inputs, outputs), preprocess="none", scores="logits")
    with pytest.raises(gcam.InputError, match="gradcam: augmented=True mirrors pictures"):
        explainer.maps(np.zeros((1, 16, 2), np.float32), 0, "gradcam", augmented=True)


def test_it_counts_as_many_passes(tmp_path):
    """No table computes it together with plain maps, and no export serves it."""
    plain, augmented = get_method("gradcam"), get_method("gradcam", augmented=True)
    assert not plain.many_passes
    groups = group_methods({"a": plain, "b": get_method("guided"), "c": augmented})
    assert [list(group.methods) for group in groups] == [["a", "b"], ["c"]]
    message = r"'gradcam' cannot be exported: it needs six passes for each picture \(augmented=True"
    with pytest.raises(gcam.InputError, match=message):
        gcam.export(toy_explainer("gap"), tmp_path / "1", method="gradcam", augmented=True)


def test_as_configs_and_command_lines_say_it():
    entry = MethodConfig(name="gradcam", options={"augmented": True, "smooth": True})
    expected = get_method("gradcam", augmented=True, smooth=True)
    label = "gradcam (augmented=True, smooth=True)"
    assert labelled_method(entry) == (label, expected)
    first, second = methods_from_text("gradcam,rise", ["augmented=true", "smooth=true"])
    assert (first, second) == (expected, get_method("rise"))
