"""Functions of the output as targets, and inputs with a value for each picture."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from targets.by_hand import GENERATOR
from targets.by_hand import PICTURES
from targets.by_hand import detector_by_hand
from targets.by_hand import hirescam
from targets.by_hand import refused

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS


def test_functions_get_all_outputs_and_arguments_of_each_picture(detector):
    def best_box(outputs, box):
        assert sorted(outputs) == ["boxes", "classes", "objectness"]
        return tf.gather(outputs["classes"][:, :, 2], box, batch_dims=1)

    target = gcam.targets.function(best_box, box=[5, 0, 31])
    expected, _ = detector_by_hand(
        detector.network.model,
        PICTURES,
        lambda classes, objectness: tf.gather(classes[..., 2], [5, 0, 31], batch_dims=1),
    )
    for batch_size in (2, 3):
        found = detector.maps(PICTURES, target, "hirescam", raw=True, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    message = refused(lambda: detector.maps(PICTURES[:2], target))
    assert "argument 'box' of a target must have one value for each of the 2 pictures" in message
    message = refused(lambda: gcam.targets.function(best_box, box="3"))
    assert "argument 'box' must have one value for each picture, [N, ...], in numbers" in message


def test_every_picture_has_its_value_of_another_input(two_inputs):
    model, table = two_inputs.network.model, GENERATOR.random((3, 2)).astype(np.float32)
    given = {"image": PICTURES, "table": table}
    np.testing.assert_allclose(
        two_inputs.predict(given, batch_size=2),
        model.predict([PICTURES, table], verbose=0),
        atol=1e-5,
    )
    head, scores = model.layers[-2], model.get_layer("scores")
    scale = tf.nn.relu(next(each for each in model.layers if type(each) is layers.Dense)(table))
    expected, _ = hirescam(
        model.get_layer("conv")(PICTURES / np.float32(64)),
        lambda m: (tf.reduce_mean(m * scale[:, None, None], (1, 2)) @ scores.kernel)[:, 1],
    )
    assert isinstance(head, layers.GlobalAveragePooling2D)
    for batch_size in (2, 3):
        found = two_inputs.maps(given, 1, "hirescam", raw=True, batch_size=batch_size)
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    alone = two_inputs.explain({"image": PICTURES[1], "table": table[1:2]}, 1, "scorecam")
    whole = two_inputs.maps(given, 1, "scorecam")
    np.testing.assert_allclose(whole[1], alone.maps[0], atol=1e-5)
    fixed = gcam.Explainer(model, layer="conv", fixed_inputs={"table": table[1]})
    np.testing.assert_allclose(fixed.maps(PICTURES[1:2], 1, "scorecam")[0], whole[1], atol=1e-5)


FEWER = {
    "cameras": {"sizes": (16, 20)},
    "rise": {"samples": 20},
    "prediction_difference": {"size": 5, "samples": 2},
}
OF_PRODUCTS = ("lrp", "deeplift", "relevance_cam", "cam", "excitation_backprop")
"""Methods that refuse a product of two inputs."""


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, method in METHODS.items()
        if not method.reads_attention and name.removeprefix("contrastive_") not in OF_PRODUCTS
    ],
)
def test_no_method_keeps_the_values_of_an_earlier_picture(two_inputs, name):
    """CAMERAS had answered each later question with the first one's values."""
    model, tables = two_inputs.network.model, np.array([[0.1, 0.9], [3.0, 0.2]], np.float32)
    later = [
        two_inputs.maps(
            {"image": PICTURES[:1], "table": table[None]}, 1, name, raw=True, **FEWER.get(name, {})
        )
        for table in tables
    ][1]
    fixed = gcam.Explainer(model, layer="conv", fixed_inputs={"table": tables[1]})
    expected = fixed.maps(PICTURES[:1], 1, name, raw=True, **FEWER.get(name, {}))
    np.testing.assert_allclose(later, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("method", ["hirescam", "cameras"])
def test_each_question_has_its_own_arguments(detector, method):
    def best_box(outputs, box):
        return tf.gather(outputs["classes"][:, :, 2], box, batch_dims=1)

    def ask(boxes):
        target = gcam.targets.function(best_box, box=boxes)
        options = {"raw": True, **FEWER.get(method, {})}
        return detector.maps(PICTURES[: len(boxes)], target, method, **options)

    alone = [
        gcam.Explainer(detector.network.model, layer=detector.layer).maps(
            PICTURES[:1],
            lambda outputs, box=box: outputs["classes"][:, box, 2],
            method,
            raw=True,
            **FEWER.get(method, {}),
        )[0]
        for box in (5, 31)
    ]
    assert np.abs(alone[0] - alone[1]).max() > 1e-3 * np.abs(alone[0]).max()
    for box, expected in zip((5, 31), alone, strict=True):
        atol = 1e-5 * np.abs(expected).max()
        np.testing.assert_allclose(ask([box])[0], expected, rtol=1e-4, atol=atol)


INPUTS = {
    "none": (
        PICTURES,
        r"further inputs, table: give each picture's, \{'image': ..., 'table': ...\}",
    ),
    "name": ({"image": PICTURES, "age": 3}, "dict of 'image', 'table'; received 'image', 'age'"),
    "number": (
        {"image": PICTURES, "table": np.ones((2, 2))},
        r"input 'table' must have one value for each picture, shape \(3, 2\); received \(2, 2\)",
    ),
    "one value": ({"image": PICTURES, "table": 3.0}, r"shape \(3, 2\); received \(\)"),
    "words": (
        {"image": PICTURES, "table": np.full((3, 2), "a")},
        "input 'table' must be numbers that fit its dtype, float32, without NaN; received array",
    ),
    "ragged": (
        {"image": PICTURES, "table": [[1], [1, 2], [3]]},
        "input 'table' must be an array, or a list whose parts have one shape; received a list",
    ),
    "NaN": ({"image": PICTURES, "table": np.full((3, 2), np.nan)}, "float32, without NaN"),
    "no pictures": ({"image": None, "table": np.ones((3, 2))}, "images must be an array .* None:"),
}


@pytest.mark.parametrize("name", INPUTS)
def test_values_that_do_not_fit_are_refused(two_inputs, name):
    given, message = INPUTS[name]
    assert re.search(message, refused(lambda: two_inputs.maps(given)))
    assert re.search(message, refused(lambda: two_inputs.predict(given)))


@pytest.fixture(scope="module")
def words():
    image = keras.Input((16, 16, 3), name="image")
    words = keras.Input((2,), dtype="int32", name="words")
    x = layers.Flatten()(layers.Conv2D(2, 3, name="conv")(image / 64))
    x = layers.Concatenate()([x, layers.Flatten()(layers.Embedding(10, 3)(words))])
    return keras.Model([image, words], layers.Dense(3, activation="softmax")(x), name="captioned")


def test_whole_numbers_may_come_as_floats(words):
    explainer, numbers = gcam.Explainer(words), np.array([[0, 9], [3, 4], [1, 1]])
    expected = words.predict([PICTURES, numbers], verbose=0)
    for given in (numbers, numbers.astype(float), numbers.tolist(), tf.constant(numbers)):
        found = explainer.predict({"image": PICTURES, "words": given})
        np.testing.assert_allclose(found, expected, atol=1e-5)
    message = refused(lambda: explainer.predict({"image": PICTURES, "words": numbers + 0.5}))
    assert "input 'words' must be numbers that fit its dtype, int32" in message
    for call in (explainer.predict, explainer.maps):
        message = refused(lambda: call({"image": PICTURES, "words": numbers + 1}))  # noqa: B023
        assert "values of words do not go through 'captioned': indices[0,1] = 10 is not" in message


FIXED = {
    "words": ({"words": ["a", "b"]}, r"fixed_inputs\['words'\] must be numbers that fit its dtype"),
    "parts": ({"words": [0.5, 1]}, r"fixed_inputs\['words'\] must be numbers.*received \[0.5, 1\]"),
    "ragged": ({"words": [[1], [1, 2]]}, r"fixed_inputs\['words'\] must be an array, or a list"),
    "none": ({"words": None}, r"fixed_inputs\['words'\] must be numbers.*received None"),
    "a list": ([[1, 2]], "must be a dict of values by the inputs' names, image, words; received"),
    "an array": (np.ones((1, 2)), "fixed_inputs must be a dict of values"),
    "out of range": ({"words": [3, 50]}, r"cannot be run: indices\[0,1\] = 50 is not in \[0, 10\)"),
}


@pytest.mark.parametrize("name", FIXED)
def test_fixed_values_that_do_not_fit_are_refused(words, name):
    given, message = FIXED[name]
    assert re.search(message, refused(lambda: gcam.Explainer(words, fixed_inputs=given)))


def test_a_ragged_argument_is_refused():
    message = refused(lambda: gcam.targets.function(len, box=[[1], [1, 2]]))
    assert "argument 'box' must be an array, or a list whose parts have one shape" in message


def test_an_input_of_strings():
    image = keras.Input((16, 16, 3), name="image")
    kind = keras.Input((1,), dtype="string", name="kind")
    known = layers.StringLookup(vocabulary=["m", "f"], output_mode="one_hot")(kind)
    x = layers.Flatten()(layers.Conv2D(2, 3, activation="relu", name="conv")(image / 64))
    x = layers.Dense(3, activation="softmax")(layers.Concatenate()([x, 5 * known]))
    model = keras.Model([image, kind], x)
    explainer, words = gcam.Explainer(model, input="image"), np.array([["m"], ["f"], ["m"]])
    expected = model.predict([PICTURES, tf.constant(words)], verbose=0)
    found = explainer.predict({"image": PICTURES, "kind": words})
    np.testing.assert_allclose(found, expected, atol=1e-5)
    maps = explainer.maps({"image": PICTURES, "kind": words}, 0)
    fixed = gcam.Explainer(model, input="image", fixed_inputs={"kind": ["f"]})
    np.testing.assert_allclose(maps[1], fixed.maps(PICTURES, 0)[1], atol=1e-5)
    message = refused(lambda: fixed.maps({"image": PICTURES, "kind": words}, 0))
    assert "what fixed_inputs holds is not given again" in message
