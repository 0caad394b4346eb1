"""The kinds of models that people bring, and what they must keep."""

import keras
import numpy as np

layers = keras.layers


def trunk():
    keras.utils.set_random_seed(11)
    return [
        layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1"),
        layers.MaxPooling2D(2, name="pool1"),
        layers.Conv2D(5, 3, padding="same", name="conv2"),
        layers.BatchNormalization(name="norm2"),
        layers.ReLU(name="relu2"),
    ]


def head(units=3, activation="softmax"):
    return [layers.Flatten(name="flatten"), layers.Dense(units, activation, name="scores")]


def chain(steps, x):
    for step in steps:
        x = step(x)
    return x


def flat(*ends, size=8, before=()):
    inputs = keras.Input((size, size, 3), name="picture")
    steps = [*before, *trunk(), *(ends or head())]
    return keras.Model(inputs, chain(steps, inputs), name="flat")


def base():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, chain(trunk(), inputs), name="base")


def sequential_with_input():
    return keras.Sequential([keras.Input((8, 8, 3)), *trunk(), *head()])


def sequential_called():
    model = keras.Sequential([*trunk(), *head()])
    model(np.zeros((1, 8, 8, 3), np.float32))
    return model


def sequential_built():
    model = keras.Sequential([*trunk(), *head()])
    model.build((None, 8, 8, 3))
    return model


def base_in_sequential():
    return keras.Sequential([base(), *head()])


def base_in_functional():
    inputs = keras.Input((8, 8, 3))
    return keras.Model(inputs, chain([base(), *head()], inputs))


def base_in_base_in_base():
    inner = keras.Sequential([base(), layers.Dropout(0.5)], name="inner")
    middle_inputs = keras.Input((8, 8, 3))
    middle = keras.Model(middle_inputs, inner(middle_inputs), name="middle")
    return keras.Sequential([keras.Input((8, 8, 3)), middle, *head()])


class Subclassed(keras.Model):
    def __init__(self, steps):
        super().__init__(name="subclassed")
        self.steps = steps

    def call(self, inputs, training=False):
        for step in self.steps:
            inputs = step(inputs)
        return inputs


def subclassed():
    model = Subclassed([*trunk(), *head()])
    model(np.zeros((1, 8, 8, 3), np.float32))
    return model


def subclassed_around_a_base():
    model = Subclassed([base(), *head()])
    model(np.zeros((1, 8, 8, 3), np.float32))
    return model


def subclassed_inside():
    return keras.Sequential([keras.Input((8, 8, 3)), Subclassed(trunk()), *head()])


def augmented():
    inputs = keras.Input((8, 8, 3))
    x = layers.RandomFlip()(inputs)
    x = layers.RandomRotation(0.3)(x)
    x = layers.Rescaling(1.0)(x)
    x = layers.GaussianNoise(0.5)(x)
    return keras.Model(inputs, chain([*trunk(), *head()], x))


def several_outputs():
    inputs = keras.Input((8, 8, 3))
    features = base()(inputs)
    wanted = chain(head(), features)
    other = layers.Dense(1, name="age")(layers.Flatten(name="other")(features))
    return keras.Model(inputs, {"scores": wanted, "age": other})


KINDS = {
    "sequential with Input": sequential_with_input,
    "sequential called": sequential_called,
    "sequential built": sequential_built,
    "base in a Sequential": base_in_sequential,
    "base in a functional model": base_in_functional,
    "base in a base in a base": base_in_base_in_base,
    "subclassed": subclassed,
    "subclassed around a base": subclassed_around_a_base,
    "subclassed inside": subclassed_inside,
    "augmentation inside": augmented,
    "several outputs": several_outputs,
}
ARGUMENTS = {"several outputs": {"output": "scores"}}


def named_weights(model):
    return {
        variable.path.split("/")[-2:][0] + variable.name: variable for variable in model.weights
    }


def give_weights(model, reference):
    """Let a model have the weights of another with layers of the same names."""
    source = named_weights(reference)
    for name, variable in named_weights(model).items():
        if name in source:
            variable.assign(source[name])


def state(model):
    """All of a model that explaining it must not change."""
    everything = list(model._flatten_layers())
    return {
        "weights": [w.tobytes() for w in model.get_weights()],
        "trainable": [layer.trainable for layer in everything],
        "policies": [str(layer.dtype_policy.name) for layer in everything],
        "configurations": [
            repr(layer.get_config()) for layer in everything if not isinstance(layer, keras.Model)
        ],
        "nodes": [(len(layer._inbound_nodes), len(layer._outbound_nodes)) for layer in everything],
        "losses": len(model.losses),
        "policy": keras.config.dtype_policy().name,
    }


def two_inputs():
    """Two pictures through one encoder: a siamese network, with a number beside them."""
    encoder, one, two = base(), keras.Input((8, 8, 3), name="left"), None
    two = keras.Input((8, 8, 3), name="right")
    number = keras.Input((2,), name="number")
    joined = layers.Concatenate()([layers.Flatten()(encoder(one)), layers.Flatten()(encoder(two))])
    joined = layers.Concatenate()([joined, number])
    return keras.Model([one, two, number], layers.Dense(3, name="scores")(joined))
