"""What is read of a model computes what the model computes, or is refused by name."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import Network
from guidedcam_tf.networks import open_network

layers, ops = keras.layers, keras.ops


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (3, 16, 16, 3)).astype(np.float32)


class Doubled(layers.Conv2D):
    """Goes on after the activation."""

    def call(self, inputs):
        return 2 * super().call(inputs) + 1


class Squashed(layers.Dense):
    """Applies a function of its own to what its activation makes."""

    def call(self, inputs):
        return ops.tanh(self.activation(ops.matmul(inputs, self.kernel) + self.bias))


class Tripled(layers.Conv2D):
    """Changes its output outside of `call`."""

    def __call__(self, *args, **kwargs):
        return 3 * super().__call__(*args, **kwargs)


class Keeps(layers.Layer):
    """Stores an activation that its `call` applies in the middle."""

    def __init__(self, **options):
        super().__init__(**options)
        self.activation = keras.activations.relu
        self.conv = layers.Conv2D(4, 3, padding="same")

    def build(self, shape):
        self.conv.build(shape)

    def call(self, inputs):
        return self.activation(self.conv(inputs)) - 0.25


class Patched:
    """A convolution whose `call` was exchanged on the object."""

    def __call__(self, inputs):
        layer = layers.Conv2D(4, 3, activation="relu")
        layer.build(inputs.shape)
        call = layer.call
        layer.call = lambda tensor: call(tensor) * 2
        return layer(inputs)


class SkipsInTraining(layers.Layer):
    """Does nothing in training."""

    def call(self, inputs, training=None):
        return inputs if training else inputs * 1.5


BODIES = {
    "Conv2D that goes on": lambda x: Doubled(4, 3, activation="relu")(x),
    "Conv2D with its own __call__": lambda x: Tripled(4, 3, activation="relu")(x),
    "call exchanged on the object": Patched(),
    "block that keeps an activation": lambda x: Keeps()(x),
    "activation with weights": lambda x: layers.Conv2D(4, 3, activation=layers.PReLU("ones"))(x),
    "ConvLSTM2D": lambda x: layers.ConvLSTM2D(4, 3)(layers.Reshape((2, 8, 16, 3))(x)),
    "depends on training": lambda x: SkipsInTraining()(layers.Conv2D(4, 3)(x)),
    "GRU on rows": lambda x: layers.Bidirectional(layers.GRU(5, activation="relu"))(
        layers.Reshape((14, 56))(layers.Conv2D(4, 3, activation="relu")(x))
    ),
    "spectral normalisation": lambda x: layers.SpectralNormalization(
        layers.Conv2D(4, 3, activation="relu")
    )(x),
    "one encoder on two views": lambda x: layers.Concatenate()(
        [*map(keras.Sequential([keras.Input((16, 16, 3)), layers.Conv2D(2, 3)]), (x, x[:, ::-1]))]
    ),
}


def classifier(body, head=None):
    inputs = keras.Input((16, 16, 3))
    x = layers.Flatten()(body(layers.Rescaling(1 / 127.5, -1)(inputs)))
    return keras.Model(inputs, (head or layers.Dense(3, activation="softmax"))(x))


@pytest.mark.parametrize("kind", BODIES)
def test_predict_is_the_model_s(kind, pictures):
    model = classifier(BODIES[kind])
    expected = model.predict(pictures, verbose=0)
    before = [variable.numpy() for variable in model.variables]
    np.testing.assert_allclose(gcam.Explainer(model).predict(pictures), expected, atol=1e-5)
    for variable, old in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(variable.numpy(), old)


def test_gradcam_of_a_layer_that_goes_on_is_the_tape_s(pictures):
    model = classifier(BODIES["Conv2D that goes on"], layers.Dense(3))
    conv = next(layer for layer in model.layers if isinstance(layer, Doubled))
    with tf.GradientTape() as tape:
        activations = conv(pictures / 127.5 - 1)
        tape.watch(activations)
        scores = model.layers[-1](tf.reshape(activations, [3, -1]))[:, 1]
    weights = tf.reduce_mean(tape.gradient(scores, activations), axis=[1, 2], keepdims=True)
    expected = tf.nn.relu(tf.reduce_sum(weights * activations, axis=-1))
    raw = gcam.Explainer(model, layer=conv.name).maps(pictures, [1] * 3, "gradcam", raw=True)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


def test_a_network_by_name_is_checked_at_its_first_use(pictures):
    explainer = gcam.Explainer("mobilenetv2", weights=None)
    assert explainer.network.verify.cache_info().currsize == 0
    explainer.predict(pictures)
    assert explainer.network.verify.cache_info().currsize == 1
    expected = explainer.network.model(explainer.network.noise(), training=False)
    np.testing.assert_allclose(explainer.network.verify(), expected, atol=1e-6)


class Counts(layers.Layer):
    """Counts its calls, in training or not."""

    def build(self, shape):
        self.count = self.add_weight(name="count", shape=(), initializer="zeros", trainable=False)

    def call(self, inputs):
        self.count.assign_add(1.0)
        return inputs


class CountsInTensorFlow(layers.Layer):
    """Counts its calls in a variable that Keras does not list."""

    def build(self, shape):
        self.count = tf.Variable(0.0, trainable=False, name="calls")

    def call(self, inputs):
        self.count.assign_add(1.0)
        return inputs


class Noisy(layers.Layer):
    """Adds noise, in training or not."""

    def call(self, inputs):
        return inputs + keras.random.normal(ops.shape(inputs))


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (Counts(), "changes its variable '.*count' when it is run with training=False"),
        (CountsInTensorFlow(), "changes its variable '.*calls.*' when it is run"),
        (Noisy(), "another output each time for the same picture with training=False"),
    ],
)
def test_what_changes_from_run_to_run_is_refused(layer, message):
    model = classifier(lambda x: layer(layers.Conv2D(4, 3)(x)))
    before = [variable.numpy() for variable in model.variables]
    with pytest.raises(gcam.InputError, match=message):
        gcam.Explainer(model)
    for variable, old in zip(model.variables, before, strict=True):
        if "seed" not in variable.path:
            np.testing.assert_array_equal(variable.numpy(), old)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("wrap", [lambda layer: layer, layers.Bidirectional])
@pytest.mark.parametrize("pictures", [2, 3])
def test_a_stateful_layer_is_refused_and_keeps_its_states(reset, wrap, pictures):
    inputs = keras.Input(batch_shape=(pictures, 16, 16, 3))
    rows = layers.Reshape((14, 56))(layers.Conv2D(4, 3)(inputs))
    outputs = layers.Dense(3, activation="softmax")(wrap(layers.LSTM(4, stateful=True))(rows))
    model = keras.Model(inputs, outputs)
    model(np.ones((pictures, 16, 16, 3), np.float32))
    recurrent = [layer for layer in model._flatten_layers() if getattr(layer, "states", None)]
    if reset:
        for layer in recurrent:
            layer.reset_states()
    before = [state.numpy() for layer in recurrent for state in layer.states]
    with pytest.raises(gcam.InputError, match=r"is stateful: .* build it with stateful=False"):
        gcam.Explainer(model)
    after = [state.numpy() for layer in recurrent for state in layer.states]
    np.testing.assert_array_equal(after, before)
    assert np.any(after) != reset


def test_the_first_layer_that_differs_is_named(monkeypatch):
    from guidedcam_tf.networks import traits

    monkeypatch.setitem(traits.TRAITS, Doubled, traits.Trait.ACTIVATED)
    body = lambda x: Doubled(4, 3, activation="relu", name="second")(  # noqa: E731
        layers.Conv2D(4, 3, activation="relu", name="first")(x)
    )
    with pytest.raises(gcam.InputError, match=r"layer 'second' \(Doubled\) is the first to differ"):
        gcam.Explainer(classifier(body))


OUTPUTS = {
    "softmax of a lambda": (lambda x: layers.Dense(3, activation=lambda t: tf.nn.softmax(t))(x)),
    "softmax with a temperature": lambda x: ops.softmax(layers.Dense(3)(x) / 5),
    "softmax layer as activation": lambda x: layers.Dense(3, activation=layers.Softmax())(x),
    "mean of two softmaxes": lambda x: layers.Average()(
        [layers.Dense(3, activation="softmax")(x) for _ in range(2)]
    ),
    "sigmoids that are normalised": lambda x: ops.divide(
        s := layers.Dense(3, activation="sigmoid")(x), ops.sum(s, axis=1, keepdims=True)
    ),
    "softmax over another axis": lambda x: layers.Flatten()(
        layers.Softmax(axis=1)(layers.Reshape((3, 2))(layers.Dense(6)(x)))
    ),
    "softmax in another order": lambda x: ops.flip(layers.Dense(3, activation="softmax")(x), 1),
    "sigmoids in another order": lambda x: ops.roll(layers.Dense(3, "sigmoid")(x), 1, 1),
    "softmax before a penalty": lambda x: layers.ActivityRegularization(1e-3)(
        layers.Dense(3, activation="softmax")(x)
    ),
    "softmax before what does nothing": lambda x: layers.Lambda(lambda t: t * 1)(
        layers.Dense(3, activation="softmax")(x)
    ),
    "[1 - p, p]": lambda x: layers.Concatenate()(
        [1 - (p := layers.Dense(1, activation="sigmoid")(x)), p]
    ),
    "hard sigmoid": layers.Dense(1, activation="hard_sigmoid"),
    "ages": lambda x: 100 * layers.Dense(1, activation="sigmoid")(x),
    "counts": layers.Dense(2, activation="softplus"),
    "one number": layers.Dense(1),
    "critic": layers.Dense(1, "tanh", kernel_initializer="zeros", bias_initializer="ones"),
}


@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.filterwarnings("ignore:.*settles it")
def test_what_an_output_means_is_found_by_value(kind, pictures):
    model = classifier(layers.Conv2D(4, 3, activation="relu"), OUTPUTS[kind])
    explainer = gcam.Explainer(model)
    expected = model.predict(pictures, verbose=0)
    np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-5)
    is_value = kind in ("ages", "counts", "one number", "critic")
    assert explainer.network.quantity == ("value" if is_value else "probability")


@pytest.mark.parametrize("kind", ["mean of two softmaxes", "one number", "hard sigmoid"])
def test_a_doubt_is_said_and_settled(kind):
    model = classifier(layers.Conv2D(4, 3), OUTPUTS[kind])
    with pytest.warns(UserWarning, match="taken for .*scores='logits', 'probabilities'"):
        gcam.Explainer(model)
    told = open_network(model, scores="regression")
    assert told.meaning.sure
    assert told.quantity == "value"


def test_scores_that_are_none_of_the_four():
    with pytest.raises(gcam.InputError, match=r"scores must be one of 'logits'.*received 'logit'"):
        Network(classifier(layers.Conv2D(4, 3)), scores="logit")


@pytest.mark.parametrize(
    ("loss", "kind"),
    [
        (keras.losses.BinaryCrossentropy(from_logits=True), "sigmoid"),
        ("mse", "values"),
        (keras.losses.Huber(), "values"),
    ],
)
def test_the_loss_says_what_one_unit_is(loss, kind):
    model = classifier(layers.Conv2D(4, 3), layers.Dense(1))
    model.compile("sgd", loss)
    network = open_network(model)
    assert (network.meaning.kind, network.has_pair) == (kind, kind == "sigmoid")


@pytest.mark.parametrize(
    "across",
    [
        lambda x: x - ops.mean(x, axis=0, keepdims=True),
        lambda x: x / ops.max(ops.abs(x)),
        lambda x: ops.flip(x, axis=0),
    ],
)
def test_what_looks_at_other_pictures_is_refused(across):
    inputs = keras.Input((16, 16, 3))
    x = across(layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)), name="net")
    with pytest.raises(InputError, match="'net' gives another output for a picture when another"):
        Network(model)


@pytest.mark.parametrize("dtype", ["uint8", "int32"])
@pytest.mark.parametrize("scale", [1 / 25, 1 / 127.5])
def test_a_model_that_takes_whole_numbers(dtype, scale, rng):
    """Keras cuts fractions off what such a model gets, as of a picture that was resized."""
    for seed in range(3):
        keras.utils.set_random_seed(seed)
        inputs = keras.Input((16, 16, 3), dtype=dtype)
        x = layers.Rescaling(scale)(inputs)
        for _ in range(2):
            x = layers.Conv2D(8, 3, activation="relu", kernel_initializer="he_normal")(x)
        x = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
        model = keras.Model(inputs, x)
        explainer = gcam.Explainer(model, preprocess="none")
        pictures = rng.integers(0, 256, (2, 23, 31, 3)).astype(np.uint8)
        expected = model.predict(tf.image.resize(pictures, (16, 16)).numpy(), verbose=0)
        np.testing.assert_allclose(explainer.predict(pictures), expected, atol=1e-5)
        assert explainer.maps(pictures, method="integrated_gradients").any(axis=(1, 2)).all()


ACROSS = {
    "largest": lambda x: x / tf.reduce_max(x),
    "standardised": lambda x: (x - tf.reduce_mean(x)) / tf.math.reduce_std(x),
    "mean picture": lambda x: x - tf.reduce_mean(x, axis=0),
}


@pytest.mark.parametrize("name", ACROSS)
def test_preprocessing_across_the_batch_is_refused(name):
    inputs = keras.Input((16, 16, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3)(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    with pytest.raises(InputError, match="same for a picture alone and beside others; it comp"):
        gcam.Explainer(model, preprocess=ACROSS[name])
    gcam.Explainer(model, preprocess=tf.image.per_image_standardization)


def test_a_model_that_keras_cannot_run_is_refused():
    inputs = keras.Input((16, 16, 3), dtype="uint8")
    model = keras.Model(inputs, layers.Flatten()(layers.Conv2D(4, 3)(inputs)), name="whole")
    with pytest.raises(InputError, match="model 'whole' cannot be run: "):
        gcam.Explainer(model, preprocess="none")


def test_a_function_that_holds_the_graph_s_tensors_is_refused():
    def body(x):
        x = layers.Conv2D(4, 3)(x)
        return ops.cond(ops.max(x) > 1, lambda: x * 2, lambda: x)

    with pytest.raises(InputError, match=r"'cond' .* holds tensors of the model's graph"):
        gcam.Explainer(classifier(body))


ORDINARY = {
    "unbuilt layer": layers.Normalization(mean=[100.0] * 3, variance=[50.0] * 3),
    "unbuilt layers": keras.Sequential(
        [layers.Rescaling(1 / 255), layers.Normalization(mean=0.4, variance=0.1)]
    ),
    "whole numbers": lambda x: tf.cast(tf.round(x), tf.uint8),
    "doubles": lambda x: tf.cast(x, tf.float64) / 255,
    "numpy": lambda x: tf.numpy_function(lambda v: v / np.float32(255), [x], tf.float32),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_preprocessing(name, pictures):
    inputs = keras.Input((16, 16, 3))
    x = layers.Flatten()(layers.Conv2D(4, 3, activation="relu")(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    explainer = gcam.Explainer(model, preprocess=ORDINARY[name])
    pictures = np.floor(pictures)
    expected = model.predict(np.asarray(ORDINARY[name](tf.constant(pictures))), verbose=0)
    np.testing.assert_allclose(explainer.predict(pictures), expected, rtol=1e-3, atol=1e-4)
    for method in ("gradcam", "gradient", "scorecam"):
        assert np.isfinite(explainer.maps(pictures, method=method)).all()
