"""Functions of the output as targets, and inputs with a value for each picture."""

import re

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
}


@pytest.mark.parametrize("name", INPUTS)
def test_values_that_do_not_fit_are_refused(two_inputs, name):
    given, message = INPUTS[name]
    assert re.search(message, refused(lambda: two_inputs.maps(given)))
    assert re.search(message, refused(lambda: two_inputs.predict(given)))
