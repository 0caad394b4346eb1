"""Layers of tokens, `[N, T, C]`: their places in the picture, and maps made of them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.tokens import TokenGrid

layers, ops = keras.layers, keras.ops
SIDE, PATCH, WIDTH = 32, 8, 16


@keras.saving.register_keras_serializable("test_tokens")
class Extra(layers.Layer):
    """Puts learned tokens before and after the others, and adds positions."""

    def __init__(self, before=1, after=0, **options):
        super().__init__(**options)
        self.before, self.after = before, after

    def build(self, shape):
        count = self.before + self.after
        self.extra = self.add_weight(shape=(1, count, shape[-1]), initializer="normal")
        self.places = self.add_weight(
            shape=(1, shape[1] + count, shape[-1]), initializer="normal", name="places"
        )

    def call(self, tokens):
        extra = ops.repeat(self.extra, ops.shape(tokens)[0], axis=0)
        parts = [extra[:, : self.before], tokens, extra[:, self.before :]]
        return ops.concatenate(parts, axis=1) + self.places

    def compute_output_shape(self, shape):
        return (shape[0], shape[1] + self.before + self.after, shape[2])

    def get_config(self):
        return {**super().get_config(), "before": self.before, "after": self.after}


def block(tokens, name):
    normed = layers.LayerNormalization(name=f"{name}_norm1")(tokens)
    mixed = layers.MultiHeadAttention(2, 8, name=f"{name}_attention")(normed, normed)
    tokens = layers.Add(name=f"{name}_add1")([tokens, mixed])
    hidden = layers.LayerNormalization(name=f"{name}_norm2")(tokens)
    hidden = layers.Dense(WIDTH)(layers.Dense(24, activation="gelu")(hidden))
    return layers.Add(name=f"{name}_out")([tokens, hidden])


def vit(extra=(1, 0), size=(SIDE, SIDE), head="class", seed=0):
    """A small vision transformer with random weights, biases too."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((*size, 3))
    x = layers.Rescaling(1 / 255)(inputs)
    x = layers.Conv2D(WIDTH, PATCH, strides=PATCH, name="patches")(x)
    x = layers.Reshape((-1, WIDTH), name="tokens")(x)
    x = Extra(*extra, name="embedded")(x) if sum(extra) else x
    for name in ("first", "last"):
        x = block(x, name)
    x = layers.LayerNormalization(name="norm")(x)
    x = x[:, 0] if head == "class" else layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(3, name="scores")(x), name="vit")
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        variable.assign_add(0.2 * generator.normal(size=variable.shape))
    return model


def pictures(count=2, size=(SIDE, SIDE)):
    return np.random.default_rng(3).uniform(0, 255, [count, *size, 3]).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    return vit()


@pytest.fixture(scope="module")
def explainer(model):
    return gcam.Explainer(model, scores="logits")


def plain(model, layer, images, target, skip=1, extent=(4, 4)):
    """Activations, gradients and scores of a layer, from a plain tape around Keras's own layers."""
    both = keras.Model(model.input, [model.get_layer(layer).output, model.output])
    with tf.GradientTape() as tape:
        tape.watch(images := tf.constant(images))
        tokens, scores = both(images, training=False)
        chosen = scores[:, target]
    gradients = tape.gradient(chosen, tokens)
    shape = (len(images), *extent, -1)
    return (*(np.reshape(each[:, skip:], shape) for each in (tokens, gradients)), scores.numpy())


FORMULAS = {
    "gradcam": lambda a, g: (g.mean((1, 2), keepdims=True) * a).sum(-1),
    "hirescam": lambda a, g: (g * a).sum(-1),
    "layercam": lambda a, g: (np.maximum(g, 0) * a).sum(-1),
    "guided": lambda a, g: (
        np.maximum((g * a).sum(-1), 0) * (g.mean((1, 2), keepdims=True) * a).sum(-1)
    ),
}


@pytest.mark.parametrize(
    ("method", "layer"),
    [
        ("gradcam", "last_norm1"),
        ("layercam", "last_norm1"),
        ("guided", "last_norm1"),
        ("hirescam", "first_out"),
        ("hirescam", "embedded"),
    ],
)
def test_gradient_methods_equal_a_plain_tape(model, explainer, layer, method):
    images = pictures()
    activations, gradients, scores = plain(model, layer, images, 1)
    expected = np.maximum(FORMULAS[method](activations, gradients), 0)
    found = explainer.at(layer).maps(images, 1, method, raw=True)
    assert found.max() > 0
    terms = np.abs(gradients * activations).sum(-1).max()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5 * terms)
    np.testing.assert_allclose(explainer.forward(images), scores, rtol=1e-5, atol=1e-5)


def test_score_cam_equals_a_loop_over_masked_pictures(model, explainer):
    images = pictures(1)
    activations, _, _ = plain(model, "last_norm1", images, 1)
    expected = 0
    for channel in range(WIDTH):
        mask = tf.image.resize(activations[..., channel : channel + 1], [SIDE, SIDE])
        mask = (mask - tf.reduce_min(mask)) / (tf.reduce_max(mask) - tf.reduce_min(mask))
        score = tf.nn.softmax(model(images * mask, training=False))[0, 1]
        expected += score.numpy() * activations[..., channel]
    found = explainer.maps(images, 1, "scorecam", raw=True)
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)


def test_ablation_cam_equals_a_loop_over_ablated_channels(model, explainer):
    images = pictures(1)
    tokens, head = _split(model, "first_out", images)
    score = head(tokens).numpy()[0, 2]
    expected = 0
    for channel in range(WIDTH):
        ablated = tokens.numpy()
        ablated[:, 1:, channel] = 0
        lost = (score - head(ablated).numpy()[0, 2]) / abs(score)
        expected += lost * tokens.numpy()[:, 1:, channel].reshape(1, 4, 4)
    found = explainer.at("first_out").maps(images, 2, "ablationcam", raw=True)
    np.testing.assert_allclose(found, np.maximum(expected, 0), rtol=1e-4, atol=1e-5)


def _split(model, layer, images):
    tokens = model.get_layer(layer).output
    return keras.Model(model.input, tokens)(images), keras.Model(tokens, model.output)


@pytest.mark.parametrize(
    ("method", "options"),
    [("eigencam", {"center": True}), ("faster_scorecam", {}), ("gradcam++", {})],
)
def test_other_methods_make_maps_of_the_places(explainer, method, options):
    found = explainer.maps(pictures(), [0, 2], method, raw=True, **options)
    assert found.shape == (2, 4, 4)
    assert found.max() > 0


@pytest.mark.parametrize("method", ["cam", "relevance_cam", "excitation_backprop", "sise"])
def test_methods_of_convolutional_networks_say_why_not(explainer, method):
    message = f"{method} cannot explain layer 'last_norm1', whose output is tokens"
    with pytest.raises(InputError, match=message):
        explainer.maps(pictures(1), 1, method)


def test_with_a_class_token_the_last_blocks_first_normalisation_is_chosen(explainer):
    assert explainer.layer == "last_norm1"
    reason = explainer.network.default_layer_reason
    assert "(LayerNormalization, 4 x 4 tokens, without 1 that is no place)" in reason
    assert "the last layer whose tokens of places reach the scores" in reason
    for later in ("last_attention", "last_out", "norm"):
        assert not explainer.at(later).maps(pictures(), 1, "gradcam", raw=True).any()


def test_with_pooled_tokens_the_last_normalisation_is_chosen():
    assert gcam.Explainer(vit(head="pooled"), scores="logits").layer == "norm"


@pytest.mark.parametrize(
    ("extra", "size", "expected"),
    [
        ((0, 0), (32, 32), TokenGrid(4, 4)),
        ((1, 0), (32, 64), TokenGrid(4, 8, 1, 0)),
        ((5, 0), (64, 32), TokenGrid(8, 4, 5, 0)),
        ((0, 1), (32, 32), TokenGrid(4, 4, 0, 1)),
        ((1, 4), (48, 48), TokenGrid(6, 6, 1, 4)),
        ((9, 0), (32, 32), TokenGrid(4, 4, 9, 0)),
    ],
)
def test_extra_tokens_are_told_by_what_the_picture_does_not_change(extra, size, expected):
    network = gcam.Explainer(vit(extra, size, head="pooled"), scores="logits").network
    assert network.tokens.grids[network.layers["last_out"]] == expected
    assert network.tokens.grids[network.layers["embedded" if sum(extra) else "tokens"]] == expected


def test_a_map_lies_where_the_picture_matters():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((16, 32, 3))
    x = layers.Conv2D(1, 8, strides=8, kernel_initializer="ones", use_bias=False)(inputs)
    x = layers.Reshape((8, 1), name="tokens")(x)
    model = keras.Model(inputs, layers.Dense(2, kernel_initializer="ones")(layers.Flatten()(x)))
    picture = np.zeros([1, 16, 32, 3], np.float32)
    picture[0, 8:, 16:24] = 255
    found = gcam.Explainer(model, layer="tokens", scores="logits").maps(
        picture, 0, "hirescam", raw=True
    )
    assert np.argwhere(found[0]).tolist() == [[1, 2]]


def columns(x):
    """Columns of a feature map as steps in time."""
    x = layers.Permute((2, 1, 3))(layers.Conv2D(4, 3, padding="same", activation="relu")(x))
    return layers.Reshape((16, 16 * 4), name="steps")(x)


def by_columns(x):
    x = layers.Permute((2, 1, 3))(layers.Conv2D(4, 4, strides=4)(x))
    return layers.Reshape((16, 4), name="steps")(x)


def headed(front, size):
    keras.utils.set_random_seed(1)
    inputs = keras.Input(size)
    x = layers.LSTM(8, return_sequences=True, name="recurrent")(front(inputs))
    return keras.Model(inputs, layers.Dense(3, name="scores")(layers.Flatten()(x)))


@pytest.mark.parametrize("front", [columns, by_columns])
def test_a_square_number_of_steps_that_are_no_patches_is_refused(front):
    model = headed(front, (16, 16, 3))
    with pytest.raises(InputError) as refused:
        gcam.Explainer(model, layer="steps", scores="logits")
    shape = "[N, 16, 64]" if front is columns else "[N, 16, 4]"
    assert f"its output is {shape}: tokens, whose places in the picture cannot be told" in str(
        refused.value
    )
    assert "grid=(h, w)" in str(refused.value)


def test_a_grid_that_is_said_is_taken():
    explainer = gcam.Explainer(
        headed(columns, (16, 16, 3)), layer="steps", grid=(1, 16), scores="logits"
    )
    found = explainer.maps(pictures(1, (16, 16)), 0, "gradcam", raw=True)
    assert found.shape == (1, 1, 16)


@pytest.mark.parametrize("grid", [(4,), (0, 4), (1, 1), "4x4", (2.0, 2.0), 7])
def test_a_grid_of_another_form_is_refused(model, grid):
    with pytest.raises(InputError, match="grid must be the height and width in tokens"):
        gcam.Explainer(model, grid=grid, scores="logits")


def test_a_grid_with_more_places_than_tokens_is_refused(model):
    message = r"\[N, 17, 16\]: tokens, too few for grid=\(5, 5\), which has 25 places"
    with pytest.raises(InputError, match=message):
        gcam.Explainer(model, layer="last_out", grid=(5, 5), scores="logits")


def test_windows_of_a_picture_are_no_tokens_of_it():
    keras.utils.set_random_seed(1)
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(8, 4, strides=4, name="patches")(inputs)
    x = layers.Dense(8, name="windows")(ops.reshape(x, (-1, 16, 8)))
    x = ops.reshape(x, (-1, 64, 8))
    x = layers.LayerNormalization(name="norm")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    network = gcam.Explainer(model, layer="patches", scores="logits").network
    assert "windows" not in network.layers
    with pytest.raises(InputError, match=r"\[N, 16, 8\]: tokens, but not one row of them for each"):
        network.view("windows")


def test_channels_in_the_tokens_place_are_no_tokens():
    """Of a mixer: as many channels as patches, so that only the exchange tells them apart."""
    keras.utils.set_random_seed(1)
    inputs = keras.Input((32, 32, 3))
    tokens = layers.Reshape((16, 16))(layers.Conv2D(16, 8, strides=8, name="patches")(inputs))
    turned = layers.Dense(16, name="across")(layers.Permute((2, 1), name="turned")(tokens))
    x = layers.Add(name="mixed")([tokens, layers.Permute((2, 1), name="back")(turned)])
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))
    explainer = gcam.Explainer(model, scores="logits")
    assert explainer.layer == "mixed"
    assert "across" not in explainer.network.layers
    assert "back" in explainer.network.layers


def test_nothing_of_the_model_changes(model, explainer):
    before = [variable.numpy().copy() for variable in model.weights]
    images = pictures()
    expected = model(images, training=False).numpy()
    explainer.maps(images, 1, "guided")
    for variable, old in zip(model.weights, before, strict=True):
        np.testing.assert_array_equal(variable, old)
    np.testing.assert_array_equal(model(images, training=False), expected)


def test_the_command_lists_tokens_and_takes_their_grid(tmp_path, capsys):
    from guidedcam_tf.cli import app
    from guidedcam_tf.opening import open_explainer

    file = tmp_path / "steps.keras"
    headed(columns, (16, 16, 3)).save(file)
    said = {"model": str(file), "grid": "1x16", "layer": "steps", "scores": "logits"}
    explainer = open_explainer(said)
    assert explainer.maps(pictures(1, (16, 16)), 0, "hirescam", raw=True).shape == (1, 1, 16)
    assert explainer.said["grid"] == [1, 16]
    app(["layers", str(file), "--grid", "1x16"], standalone_mode=False)
    assert "1 x 16 x 64 (16 tokens)" in capsys.readouterr().out
    with pytest.raises(InputError, match="key grid"):
        open_explainer({**said, "grid": "16"})
