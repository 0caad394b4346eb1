"""The kinds of models that people bring: each is explained as the same network built flat."""

import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks import Network

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


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(7).normal(size=(3, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(pictures):
    model = flat()
    generator = np.random.default_rng(5)
    for variable in model.weights:
        noise = 0.2 * generator.normal(size=variable.shape)
        variable.assign(variable + (np.abs(noise) if "variance" in variable.name else noise))
    return model


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_explained_as_the_flat_one(kind, reference, pictures):
    model = KINDS[kind]()
    give_weights(model, reference)
    before = state(model)
    explainer = gcam.Explainer(model, **ARGUMENTS.get(kind, {}))
    flat_one = gcam.Explainer(reference)
    assert explainer.layer.split("/")[-1] == "relu2"
    expected = flat_one.maps(pictures, [0, 1, 2], raw=True)
    assert expected.any()
    first = explainer.maps(pictures, [0, 1, 2], raw=True)
    np.testing.assert_allclose(first, expected, atol=1e-5)
    explainer.maps(pictures[:2], [2, 0])
    np.testing.assert_allclose(
        explainer.predict(pictures), reference.predict(pictures, verbose=0), atol=1e-6
    )
    assert explainer.pipeline.kernel(get_method("guided")).experimental_get_tracing_count() == 1
    assert state(model) == before


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_model_file_is_explained_as_the_model(tmp_path, suffix, reference, pictures):
    model = base_in_sequential()
    give_weights(model, reference)
    model.save(tmp_path / f"model{suffix}")
    explainer = gcam.Explainer(str(tmp_path / f"model{suffix}"))
    assert explainer.layer == "base/relu2"
    np.testing.assert_allclose(
        explainer.maps(pictures, raw=True),
        gcam.Explainer(reference).maps(pictures, raw=True),
        atol=1e-5,
    )


def two_inputs():
    """Two pictures through one encoder: a siamese network, with a number beside them."""
    encoder, one, two = base(), keras.Input((8, 8, 3), name="left"), None
    two = keras.Input((8, 8, 3), name="right")
    number = keras.Input((2,), name="number")
    joined = layers.Concatenate()([layers.Flatten()(encoder(one)), layers.Flatten()(encoder(two))])
    joined = layers.Concatenate()([joined, number])
    return keras.Model([one, two, number], layers.Dense(3, name="scores")(joined))


def test_the_other_inputs_are_fixed(pictures):
    model = two_inputs()
    fixed = {"right": pictures[0], "number": np.array([[0.5, -1.0]])}
    before = state(model)
    explainer = gcam.Explainer(model, input="left", fixed_inputs=fixed)
    assert explainer.layer == "base/relu2"
    expected = model([pictures, np.repeat(pictures[:1], 3, 0), np.repeat([[0.5, -1.0]], 3, 0)])
    probabilities = explainer.predict(pictures)
    np.testing.assert_allclose(probabilities, tf.nn.softmax(expected), atol=1e-5)
    # The same network for one input, by hand: the right picture's features are constants.
    features = keras.Model(model.input[0], model.get_layer("base")(model.input[0]))
    kernel, bias = model.get_layer("scores").get_weights()
    right = features(pictures[:1]).numpy().reshape(-1)
    inputs = keras.Input((8, 8, 3))
    outputs = layers.Dense(3, name="scores")(layers.Flatten()(model.get_layer("base")(inputs)))
    by_hand = keras.Model(inputs, outputs)
    rest = np.concatenate([right, [0.5, -1.0]])
    by_hand.get_layer("scores").set_weights([kernel[:80], bias + rest @ kernel[80:]])
    for method in ("guided", "ablationcam"):
        np.testing.assert_allclose(
            explainer.maps(pictures, [0, 1, 2], method, raw=True),
            gcam.Explainer(by_hand).maps(pictures, [0, 1, 2], method, raw=True),
            atol=1e-5,
        )
    assert state(model)["weights"] == before["weights"]


def test_sigmoid_heads_have_sigmoid_probabilities(reference, pictures):
    for units in (3, 1):
        model = flat(*head(units, "sigmoid"))
        explainer = gcam.Explainer(model)
        expected = model.predict(pictures, verbose=0)
        np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-6)
        logits = explainer.pipeline.logits(tf.constant(pictures))
        np.testing.assert_allclose(tf.sigmoid(logits)[:, -units:], expected, atol=1e-6)
        picture = np.full((8, 8, 3), 2, np.uint8)
        (best,) = explainer.explain(picture, "top1").probabilities
        expected = model.predict(picture[None].astype(np.float32), verbose=0)[0]
        assert best == pytest.approx(max(*expected, *(1 - expected[: units == 1])), abs=1e-6)


def test_one_unit_is_what_the_user_says(pictures):
    model = flat(*head(1, None))
    raw = model.predict(pictures, verbose=0)
    with pytest.warns(UserWarning, match="one number, which is taken for a value"):
        np.testing.assert_allclose(gcam.Explainer(model).predict(pictures), raw, atol=1e-5)
    for said, expected in (
        ("regression", raw),
        ("logits", 1 / (1 + np.exp(-raw))),
        ("sigmoid", 1 / (1 + np.exp(-raw))),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            explainer = gcam.Explainer(model, scores=said)
        np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-5)
        assert len(explainer.network.classes.names) == (1 if said == "regression" else 2)


def channels_first(steps):
    inputs = keras.Input((3, 8, 8))
    return keras.Model(inputs, chain(steps, inputs), name="first")


FIRST = {"data_format": "channels_first"}


def runs_channels_first():
    """Whether TensorFlow has such a convolution for this processor: oneDNN's, where it is used."""
    try:
        tf.nn.conv2d(tf.zeros([1, 1, 2, 2]), tf.zeros([1, 1, 1, 1]), 1, "SAME", data_format="NCHW")
    except tf.errors.UnimplementedError:
        return False
    return True


needs_channels_first = pytest.mark.skipif(
    not runs_channels_first(), reason="TensorFlow has no channels-first convolution here"
)


@needs_channels_first
def test_channels_first_is_explained_as_channels_last(reference, pictures):
    keras.utils.set_random_seed(1)
    model = channels_first(
        [
            layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1", **FIRST),
            layers.MaxPooling2D(2, name="pool1", **FIRST),
            layers.Conv2D(5, 3, padding="same", name="conv2", **FIRST),
            layers.BatchNormalization(axis=1, name="norm2"),
            layers.ReLU(name="relu2"),
            layers.Flatten(name="flatten", **FIRST),
            layers.Dense(3, "softmax", name="scores"),
        ]
    )
    give_weights(model, reference)
    before = state(model)
    explainer, last = gcam.Explainer(model), gcam.Explainer(reference)
    assert explainer.network.input_size == (8, 8)
    np.testing.assert_allclose(explainer.predict(pictures), last.predict(pictures), atol=1e-6)
    for method in ("guided", "fullgrad", "ablationcam", "relevance_cam", "scorecam"):
        np.testing.assert_allclose(
            explainer.maps(pictures, [0, 1, 2], method, raw=True),
            last.maps(pictures, [0, 1, 2], method, raw=True),
            atol=1e-5,
            err_msg=method,
        )
    assert state(model) == before


@needs_channels_first
def test_layers_without_a_channels_last_twin_are_turned(pictures):
    inputs = keras.Input((3, 8, 8))
    x = layers.Conv2D(4, 3, activation="relu", **FIRST)(layers.Permute((1, 3, 2))(inputs))
    x = layers.LayerNormalization(axis=1)(x)
    x = keras.ops.concatenate([x, -x], axis=1)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    explainer = gcam.Explainer(model)
    expected = tf.nn.softmax(model(pictures.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-5)
    assert explainer.maps(pictures, raw=True).shape == (3, 6, 6)


def test_many_classes(pictures):
    model = flat(layers.Flatten(), layers.Dense(20_000, name="scores"))
    explainer = gcam.Explainer(model)
    explanation = explainer.explain(pictures[0] * 20 + 128, ["top2", 19_999])
    assert explanation.targets[2] == 19_999
    assert np.isfinite(explanation.maps).all()
    last = flat(layers.Flatten(), layers.Dense(1, name="scores"))
    last.set_weights([*model.get_weights()[:-2], *(w[..., -1:] for w in model.get_weights()[-2:])])
    expected = gcam.Explainer(last).maps(pictures, [0, 0, 0], raw=True)
    assert expected.any()
    found = explainer.maps(pictures, [19_999] * 3, raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-8)


class Opaque(keras.Model):
    def __init__(self):
        super().__init__(name="opaque")
        self.conv = layers.Conv2D(3, 3)
        self.scores = layers.Dense(2)

    def call(self, inputs):
        x = tf.raw_ops.Relu(features=self.conv(inputs))
        return self.scores(tf.reduce_mean(x, axis=[1, 2]))


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


def test_the_default_layer_says_why(reference):
    reason = Network(base_in_sequential()).default_layer_reason
    assert reason == (
        "'base/relu2' (ReLU, 4 x 4) is the last feature map with spatial extent, before "
        "'flatten'; 4 other layers can be named"
    )


def test_an_application_without_preprocessing_is_hinted_at(pictures):
    inputs = keras.Input((8, 8, 3))
    model = keras.Model(inputs, chain([*trunk(), *head()], inputs), name="mobilenetv2_1.00_224")
    with pytest.warns(UserWarning, match="'mobilenetv2_1.00_224' gets pictures as they are"):
        gcam.Explainer(model)
    for call in (
        lambda: gcam.Explainer(model, preprocess="none"),
        lambda: gcam.guided_cam(model, pictures),
        lambda: gcam.Explainer(flat()),
    ):
        with pytest.warns() as caught:
            import warnings

            warnings.warn("one", stacklevel=1)
            call()
        assert not [w for w in caught if "as they are" in str(w.message)]
