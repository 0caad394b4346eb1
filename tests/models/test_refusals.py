"""Models that cannot be explained: the error says why, and what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from models.kinds import Subclassed
from models.kinds import flat
from models.kinds import head
from models.kinds import several_outputs
from models.kinds import state
from models.kinds import trunk
from models.kinds import two_inputs

import guidedcam_tf as gcam

layers = keras.layers


class Opaque(keras.Model):
    def __init__(self):
        super().__init__(name="opaque")
        self.conv = layers.Conv2D(3, 3)
        self.scores = layers.Dense(2)

    def call(self, inputs):
        x = tf.raw_ops.Relu(features=self.conv(inputs))
        return self.scores(tf.reduce_mean(x, axis=[1, 2]))


class OfTwo(keras.Model):
    def __init__(self):
        super().__init__(name="of_two")
        self.steps = keras.Sequential([*trunk(), *head()])

    def call(self, picture, shift, training=None):
        return self.steps(picture) + shift


def test_a_call_of_further_inputs_is_explained_by_the_way_out_that_is_named():
    model = OfTwo()
    scores = model(np.ones((1, 8, 8, 3), np.float32), np.zeros((1, 1), np.float32))
    with pytest.raises(gcam.InputError, match=r"further inputs, shift: build a functional model"):
        gcam.Explainer(model)
    inputs = [keras.Input((8, 8, 3), name="picture"), keras.Input((scores.shape[1],), name="shift")]
    functional = keras.Model(inputs, model.call(*inputs))
    given = {"picture": PICTURES, "shift": np.zeros((1, scores.shape[1]))}
    assert gcam.Explainer(functional, input="picture", preprocess="none").maps(given).any()


def built(model):
    model(np.zeros((1, 8, 8, 3), np.float32))
    return model


def rounded():
    """Between the features and the scores lies what has no gradient."""
    return flat(layers.Lambda(lambda x: tf.cast(x > 0, tf.float32), name="gate"), *head())


def segments(activation="softmax"):
    return flat(layers.Conv2D(4, 1, activation=activation, name="segments"))


PICTURES = np.ones((1, 8, 8, 3), np.float32)
TWO = {"right": PICTURES[0], "number": np.zeros(2)}
BAD_MODELS = {
    "unbuilt Sequential": (
        lambda: gcam.Explainer(keras.Sequential([*trunk(), *head()])),
        r"not built: begin it with keras.Input\(\(H, W, C\)\).*model.build\(\(None, H, W, C\)\)",
    ),
    "unbuilt subclass": (
        lambda: gcam.Explainer(Subclassed([*trunk(), *head()])),
        "not built: call it once on a batch of pictures",
    ),
    "untraceable": (
        lambda: gcam.Explainer(built(Opaque())),
        "no graph that Keras can show.*Its call raised .*Operations of keras.ops can be traced",
    ),
    "inputs": (
        lambda: gcam.Explainer(two_inputs()),
        r"has 3 inputs \(left, right, number\); expected one input, or input=",
    ),
    "input's name": (
        lambda: gcam.Explainer(two_inputs(), input="middle"),
        "has no input 'middle'; expected one of left, right, number",
    ),
    "no value": (
        lambda: gcam.Explainer(
            two_inputs(), input="left", fixed_inputs={"right": PICTURES[0]}
        ).maps(PICTURES),
        r"further inputs, number: give each picture's, \{'left': ..., 'number': ...\}.*fixed_inp",
    ),
    "value's shape": (
        lambda: gcam.Explainer(
            two_inputs(), input="left", fixed_inputs={**TWO, "number": np.zeros(3)}
        ),
        r"fixed_inputs\['number'\] must have the shape \(2,\).*received \(3,\)",
    ),
    "value's name": (
        lambda: gcam.Explainer(two_inputs(), input="left", fixed_inputs={**TWO, "left": PICTURES}),
        r"fixed_inputs\['left'\] is not another input.*expected right, number",
    ),
    "outputs": (
        lambda: gcam.Explainer(several_outputs()).maps(PICTURES),
        r"has 2 outputs \(age, scores\), not \[N, classes\]; expected output= with the name of one",
    ),
    "output's name": (
        lambda: gcam.Explainer(several_outputs(), output="sex"),
        "has no output 'sex'; expected one of",
    ),
    "no gradient": (
        lambda: gcam.Explainer(rounded(), layer="relu2").maps(PICTURES, [0]),
        r"no gradient.*reaches layer 'relu2': layer 'gate' \(Lambda\) in between has none",
    ),
    "no classes": (
        lambda: gcam.Explainer(segments()).maps(PICTURES),
        r"'flat' gives \(None, 4, 4, 4\), not \[N, classes\].*region.*function of the output",
    ),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models_say_what_to_do(name):
    call, message = BAD_MODELS[name]
    with pytest.raises(gcam.InputError, match=message):
        call()


class Nested(keras.Model):
    def __init__(self, key):
        super().__init__(name="nested")
        self.key = key
        self.conv = layers.Conv2D(3, 3, activation="relu", name="conv")
        self.scores = layers.Dense(2)

    def call(self, inputs):
        return self.scores(keras.ops.mean(self.conv(inputs[self.key]), axis=(1, 2)))


@pytest.mark.parametrize(("key", "nest"), [("image", lambda x: {"image": x}), (0, lambda x: [x])])
def test_a_model_called_on_a_dict_or_a_list_says_what_to_do(key, nest):
    """It had been told to call the model, which was called."""
    model = Nested(key)
    expected = model(nest(PICTURES))
    message = r"called on a dict or a list, of shapes .*\(1, 8, 8, 3\).*model.call\(inputs\)\)$"
    with pytest.raises(gcam.InputError, match=message):
        gcam.Explainer(model)
    inputs = nest(keras.Input((8, 8, 3), name="image"))
    explainer = gcam.Explainer(keras.Model(inputs, model.call(inputs)))
    assert explainer.layer == "conv"
    np.testing.assert_allclose(explainer.forward(PICTURES), expected, atol=1e-6)


def test_an_untraceable_model_is_left_as_it_was():
    model = built(Opaque())
    before = state(model)
    with pytest.raises(gcam.InputError):
        gcam.Explainer(model)
    assert state(model) == before


def test_a_saved_model_says_why_not(tmp_path, reference, pictures):
    reference.export(tmp_path / "saved", verbose=False)
    for model in (
        lambda: keras.layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serve"),
        lambda: keras.Sequential([keras.Input((8, 8, 3)), model_layer()]),
        lambda: tmp_path / "saved",
    ):

        def model_layer():
            return keras.layers.TFSMLayer(str(tmp_path / "saved"), call_endpoint="serve")

        with pytest.raises(gcam.InputError, match=r"SavedModel.*layers cannot be seen"):
            gcam.Explainer(model())
