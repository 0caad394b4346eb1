"""Every output of a model has a name of its own, and is explained by it: by value."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam

layers = keras.layers
PICTURES = np.random.default_rng(0).uniform(0, 9, (3, 8, 8, 3)).astype(np.float32)


def trunk():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((8, 8, 3))
    return inputs, layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)


def inner(outputs):
    inputs, maps = trunk()
    x = layers.Flatten()(maps)
    kind = layers.Dense(3, activation="softmax", name="kind")(x)
    colour = layers.Dense(3, activation="softmax", name="colour")(x)
    return keras.Model(inputs, outputs(kind, colour), name="inner")


def one_layer_twice():
    inputs, maps = trunk()
    scores, x = layers.Dense(3, activation="softmax", name="d"), layers.Flatten()(maps)
    return keras.Model(inputs, [scores(x), scores(-x)])


def second_and_third_call():
    inputs, maps = trunk()
    scores, x = layers.Dense(36, name="d"), layers.Flatten()(maps)
    return keras.Model(inputs, [scores(y := scores(layers.Dense(36)(x))), scores(-y)])


def model_inside():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, inner(lambda kind, colour: [kind, colour])(inputs))


def model_inside_by_key():
    inputs = keras.Input((8, 8, 3))
    found = inner(lambda kind, colour: {"k": kind, "c": colour})(inputs)
    return keras.Model(inputs, [found["k"], found["c"]])


def model_inside_twice():
    inputs = keras.Input((8, 8, 3))
    model = inner(lambda kind, colour: [kind, colour])
    return keras.Model(inputs, [model(inputs)[1], model(-inputs)[1]])


def model_inside_a_model():
    inputs, again = keras.Input((8, 8, 3)), keras.Input((8, 8, 3))
    outer = keras.Model(inputs, inner(lambda kind, colour: [kind, colour])(inputs), name="outer")
    return keras.Model(again, outer(again))


class TwoParts(layers.Layer):
    def call(self, x):
        return x[:, :3], x[:, 3:]


def layer_of_two():
    inputs, maps = trunk()
    x = layers.Dense(6)(layers.Flatten()(maps))
    return keras.Model(inputs, TwoParts(name="parts")(x))


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__(name="own")
        self.model = inner(lambda kind, colour: [kind, colour])

    def call(self, x):
        kind, colour = self.model(x)
        return {"kind": kind, "colour": colour}


def subclassed():
    model = Subclassed()
    model(PICTURES)
    return model


def subclassed_inside():
    inputs = keras.Input((8, 8, 3))
    found = subclassed()(inputs)
    return keras.Model(inputs, [found["kind"], found["colour"]])


def one_output_twice():
    inputs, maps = trunk()
    scores = layers.Dense(3, name="d")(layers.Flatten()(maps))
    return keras.Model(inputs, [scores, scores])


def one_output_by_two_keys():
    inputs, maps = trunk()
    scores = layers.Dense(3, name="d")(layers.Flatten()(maps))
    return keras.Model(inputs, {"b": scores, "a": scores})


MODELS = {
    one_layer_twice: ["d", "d#2"],
    second_and_third_call: ["d#2", "d#3"],
    model_inside: ["inner/kind", "inner/colour"],
    model_inside_by_key: ["inner/k", "inner/c"],
    model_inside_twice: ["inner/colour", "inner#2/colour"],
    model_inside_a_model: ["outer/inner/kind", "outer/inner/colour"],
    layer_of_two: ["parts/1", "parts/2"],
    subclassed: ["colour", "kind"],
    subclassed_inside: ["own/kind", "own/colour"],
    one_output_twice: ["d/1", "d/2"],
    one_output_by_two_keys: ["a", "b"],
}


@pytest.mark.parametrize("build", MODELS, ids=lambda build: build.__name__)
@pytest.mark.filterwarnings("ignore:no layer of model")
def test_each_output_is_explained_by_its_own_name(build):
    model, names = build(), MODELS[build]
    wanted = [np.asarray(each) for each in keras.tree.flatten(model(PICTURES))]
    both = gcam.Explainer(model)
    assert list(both.network.graph.ends) == names
    for name, values in zip(names, wanted, strict=True):
        alone = gcam.Explainer(model, output=name)
        found = alone.forward(PICTURES).numpy()
        if alone.network.graph.score_activation:
            found = tf.nn.softmax(found)
        np.testing.assert_allclose(found, values, rtol=1e-4, atol=1e-5)
        by_name = both.maps(PICTURES, lambda outputs: outputs[name][:, 1], "gradient")  # noqa: B023
        by_itself = alone.maps(PICTURES, [1, 1, 1], "gradient")
        np.testing.assert_allclose(by_name, by_itself, atol=1e-4)


def test_the_names_are_offered():
    with pytest.raises(gcam.InputError, match="expected one of inner/kind, inner/colour"):
        gcam.Explainer(model_inside(), output="inner")
