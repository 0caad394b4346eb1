"""Targets that are functions of the output: one number a picture, at every method."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks.target_functions import Functions

OF_ANY = [name for name, method in METHODS.items() if not method.reads_attention]
OPTIONS = {
    "integrated_gradcam": {"steps": 3},
    "cameras": {"sizes": (8, 10)},
    "smooth_fullgrad": {"samples": 2},
    "shapleycam": {"utility": "logit"},
    "rise": {"samples": 20, "score": "logit"},
    "occlusion": {"score": "logit"},
    "sise": {"score": "logit"},
    "ada_sise": {"score": "logit"},
}
BY_CLASS = {
    "prediction_difference": "prediction_difference needs probabilities.*use occlusion",
    "finercam": "finercam tells a score from others, and 'toy_gap' has one",
    "cam": "'cam' needs exactly global average pooling and one linear layer.*'target function'",
    **dict.fromkeys(
        (
            "contrastive_excitation_backprop",
            "deeplift",
            "excitation_backprop",
            "lrp",
            "relevance_cam",
        ),
        "has no rule for a target that is a function",
    ),
}


def first(logits):
    return logits[:, 0]


def contrast(logits):
    return logits[:, 1] - logits[:, 0]


@pytest.fixture(scope="module")
def explainer():
    return gcam.Explainer(build_toy("flatten", activation="softmax"))


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(7).normal(size=(3, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize("method", [name for name in OF_ANY if name not in BY_CLASS])
def test_a_class_s_logit_as_a_function_is_the_class(explainer, images, method):
    options = OPTIONS.get(method, {})
    if method in ("scorecam", "faster_scorecam"):
        options = {"score": "logit", "normalize_weights": "channel_softmax"}
    by_function = explainer.maps(images, first, method, raw=True, **options)
    by_class = explainer.maps(images, [0, 0, 0], method, raw=True, **options)
    assert by_class.any()
    np.testing.assert_allclose(by_function, by_class, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("method", BY_CLASS)
def test_methods_that_need_classes_say_so(method, images):
    explainer = gcam.Explainer(build_toy("gap"))
    with pytest.raises(gcam.InputError, match=BY_CLASS[method]):
        explainer.maps(images, first, method)


def test_the_difference_of_two_logits_has_the_difference_of_their_gradients(images):
    """HiResCAM before its ReLU is linear in the gradient; here with a ReLU that is inactive."""
    model = build_toy("flatten")
    merged = build_toy("flatten", activation=None)
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[:, 0], bias[0] = kernel[:, 1] - kernel[:, 0], bias[1] - bias[0]
    merged.set_weights([*model.get_weights()[:-2], kernel, bias])
    np.testing.assert_allclose(
        gcam.Explainer(model).maps(images, contrast, raw=True),
        gcam.Explainer(merged).maps(images, [0, 0, 0], raw=True),
        rtol=1e-4,
        atol=1e-6,
    )


def test_several_functions_are_one_by_one(explainer, images):
    together = explainer.maps(images, [first, contrast])
    assert together.shape == (3, 2, 8, 8)
    for place, score in enumerate((first, contrast)):
        np.testing.assert_allclose(together[:, place], explainer.maps(images, score), atol=1e-6)


def test_explain_names_them_and_gives_their_values(explainer, images):
    picture = np.clip(images[0] * 50 + 100, 0, 255).astype(np.uint8)
    explanation = explainer.explain(picture, [first, contrast])
    logits = explainer.pipeline.logits(tf.constant(picture[None], tf.float32)).numpy()[0]
    assert explanation.names == ["first", "contrast"]
    assert explanation.targets.tolist() == [0, 1]
    values = [logits[0], logits[1] - logits[0]]
    np.testing.assert_allclose(explanation.probabilities, values, rtol=1e-4)
    np.testing.assert_array_equal(explanation.maps[0], explainer.explain(picture, first).maps[0])


@pytest.mark.usefixtures("compiled")
def test_a_function_is_compiled_once(images):
    explainer, calls = gcam.Explainer(build_toy("flatten")), []

    def counted(logits):
        calls.append(1)
        return logits[:, 0]

    for count in (3, 1, 2):
        explainer.maps(images[:count], counted)
    first = len(calls)
    explainer.explain(np.zeros((9, 9, 3), np.uint8), counted)
    explainer.maps(images, [0, 1, 2])
    assert len(calls) == first
    kernel = explainer.pipeline.scored_by(Functions((counted,))).kernel(get_method("guided"))
    assert kernel.experimental_get_tracing_count() == 1


def test_many_functions_do_not_fill_the_memory(explainer, images):
    for index in range(40):
        question = Functions((lambda logits, index=index: logits[:, 0] * index,))
        explainer.pipeline.scored_by(question)
    assert explainer.pipeline.scored_by.cache_info().currsize <= 16


def segments():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(inputs)
    x = keras.layers.Conv2D(2, 1, name="classes", activation="softmax")(x)
    return keras.Model(inputs, x)


def test_a_segmentation_is_explained_over_a_region(images):
    model = segments()
    explainer = gcam.Explainer(model, layer="conv")

    def left_half(scores):
        return tf.reduce_mean(scores[:, :, :4, 1], axis=[1, 2])

    raw = explainer.maps(images, left_half, "hirescam", raw=True)
    activations = keras.Model(model.input, model.get_layer("conv").output)(images).numpy()
    weights = model.get_layer("classes").get_weights()[0][0, 0, :, 1]
    expected = np.maximum(activations @ weights, 0) / 32
    expected[:, :, 4:] = 0
    np.testing.assert_allclose(raw, expected, atol=1e-6)
    np.testing.assert_allclose(explainer.predict(images), model(images), atol=1e-6)


def test_a_regression_and_an_embedding(images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(6)(keras.layers.Flatten()(x)))
    reference = model(images[:1])[0]

    def nearness(embeddings):
        return -tf.norm(embeddings - reference, axis=1)

    maps = gcam.Explainer(model).maps(images[1:], nearness)
    assert np.isfinite(maps).all()
    assert maps.any()
    age = keras.Model(inputs, keras.layers.Dense(1)(model.output))
    by_function = gcam.guided_cam(age, images, lambda ages: ages)
    np.testing.assert_array_equal(by_function, gcam.guided_cam(age, images, [0, 0, 0]))


BAD = {
    "one number": (lambda logits: tf.reduce_sum(logits), r"one number for each picture.*\(\)"),
    "many numbers": (lambda logits: logits, r"from outputs \(None, 3\) it gave \(None, 3\)"),
    "no tensor operation": ([first, 1], "all of one kind: classes, functions"),
    "no gradient": (
        lambda logits: tf.cast(logits[:, 0] > 0, tf.float32),
        "no gradient of the scores reaches layer 'conv2': layer 'target function'",
    ),
}


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("name", BAD)
def test_bad_functions_say_what_is_wrong(name, explainer, images):
    target, message = BAD[name]
    with pytest.raises(gcam.InputError, match=message):
        explainer.maps(images, target)
    with pytest.raises(gcam.InputError, match=message):
        explainer.explain(np.zeros((9, 9, 3), np.uint8), target)


def test_a_softmax_over_one_unit_is_refused():
    """It is 1 for every picture, and had been explained as the sigmoid that was meant."""
    model = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            keras.layers.Conv2D(4, 3),
            keras.layers.Flatten(),
            keras.layers.Dense(1, activation="softmax"),
        ]
    )
    with pytest.raises(gcam.InputError, match=r"a softmax over one unit, which is 1 .*sigmoid"):
        gcam.Explainer(model)
