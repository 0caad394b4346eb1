"""Tokens that are moved: their places are followed layer by layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import Network

layers, ops = keras.layers, keras.ops
ROWS, COLUMNS, PATCH, WIDTH = 4, 6, 4, 8
COUNT = ROWS * COLUMNS
SIZE = (ROWS * PATCH, COLUMNS * PATCH, 3)


class Extra(layers.Layer):
    """Puts a learned token before the others."""

    def build(self, shape):
        self.token = self.add_weight(shape=(1, 1, shape[-1]), initializer="random_normal")

    def call(self, tokens):
        token = ops.repeat(self.token, ops.shape(tokens)[0], axis=0)
        return ops.concatenate([token, tokens], axis=1)


class Moving(layers.Layer):
    """Gives tokens in another order; its inside is not to be seen."""

    def __init__(self, order, **options):
        super().__init__(**options)
        self.order = list(order)

    def call(self, tokens):
        return ops.take(tokens, self.order, axis=1)


class Block(layers.Layer):
    """A block of a transformer that is one layer."""

    def build(self, shape):
        self.inner = [layers.LayerNormalization(), layers.MultiHeadAttention(2, 4)]
        self.inner[0].build(shape)
        self.inner[1].build(shape, shape)
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        normed = self.inner[0](x)
        mixed = self.inner[1](normed, normed)
        return x + self.scale * ops.convert_to_tensor(mixed)


def block(x, name):
    normed = layers.LayerNormalization(name=f"{name}_norm")(x)
    mixed = layers.MultiHeadAttention(2, 4, name=f"{name}_attention")(normed, normed)
    x = layers.Add(name=f"{name}_add")([x, mixed])
    hidden = layers.Dense(12, activation="gelu")(layers.LayerNormalization()(x))
    return layers.Add(name=f"{name}_out")([x, layers.Dense(WIDTH)(hidden)])


def patches(pictures):
    x = layers.Rescaling(1 / 255)(pictures)
    return layers.Conv2D(WIDTH, PATCH, strides=PATCH, name="patches")(x)


def overlapping(pictures):
    x = layers.Rescaling(1 / 255)(pictures)
    x = layers.Conv2D(WIDTH, 5, strides=2, padding="same", activation="relu")(x)
    short = layers.Conv2D(WIDTH, 1, strides=2)(x)
    x = layers.Conv2D(WIDTH, 3, strides=2, padding="same")(x)
    return layers.Conv2D(WIDTH, 3, padding="same", name="patches")(layers.Add()([short, x]))


def as_tokens(x):
    return layers.Reshape((COUNT, WIDTH), name="tokens")(x)


def headed(inputs, x):
    x = layers.LayerNormalization(name="norm")(x)
    return keras.Model(inputs, layers.Dense(3, name="scores")(layers.Flatten()(x)))


def network(move, stem=patches, extra=False, at=0, blocks=2, make=block):
    """A transformer that moves its tokens before the block of that number."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SIZE)
    x = as_tokens(stem(inputs))
    x = Extra(name="embedded")(x) if extra else x
    for number in range(blocks + 1):
        x = layers.Identity(name="before")(x) if number == at else x
        x = layers.Identity(name="moved")(move(x)) if number == at else x
        x = make(x, f"block{number}") if number < blocks else x
    return headed(inputs, x)


def opened(model):
    return Network(model, scores="logits")


def placed(network):
    return {step.name: str(grid) for step, grid in network.tokens.grids.items()}


def refused(network, layer):
    with pytest.raises(InputError) as found:
        network.view(layer)
    return str(found.value)


def pictures(count=2):
    return np.random.default_rng(3).uniform(0, 255, [count, *SIZE]).astype(np.float32)


def shuffled(seed, extra):
    """Any order of the tokens of places; a class token stays the first."""
    order = np.random.default_rng(seed).permutation(COUNT)
    return [0, *(order + 1)] if extra else list(order)


def exchanged(seed, extra):
    """Two tokens in each other's place."""
    order = np.arange(COUNT + extra)
    one, other = extra + np.random.default_rng(seed).choice(COUNT, 2, replace=False)
    order[[one, other]] = other, one
    return list(order)


def rolled(seed, extra):
    """All tokens some places further."""
    return [*range(extra), *(extra + np.roll(np.arange(COUNT), 1 + seed % (COUNT - 1)))]


def in_windows(seed, extra):
    """Window by window."""
    rows, columns = [(2, 3), (2, 2), (2, 1), (4, 3)][seed % 4]
    grid = np.arange(COUNT).reshape(ROWS // rows, rows, COLUMNS // columns, columns)
    return [*range(extra), *(extra + grid.transpose(0, 2, 1, 3).ravel())]


def by_columns(seed, extra):
    return [*range(extra), *(extra + np.arange(COUNT).reshape(ROWS, COLUMNS).T.ravel())]


@pytest.mark.parametrize("kind", [shuffled, exchanged, rolled, in_windows, by_columns])
@pytest.mark.parametrize("seed", range(4))
def test_moved_tokens_are_refused_wherever_they_are_moved(kind, seed):
    extra, at, stem = bool(seed % 2), seed % 3, (patches, overlapping)[seed // 2]
    order = kind(seed, extra)
    found = opened(network(Moving(order), stem, extra, at))
    for layer in ["moved", *(f"block{number}_out" for number in range(at, 2)), "norm"]:
        message = refused(found, layer)
        assert "which are not in the order of the picture's rows (the first" in message
        assert "choose a layer before" in message
        assert "grid=(h, w)" in message
    kept = {"before", "tokens", *(f"block{number}_out" for number in range(at))}
    assert kept <= placed(found).keys()


@pytest.mark.parametrize("kind", [shuffled, in_windows])
@pytest.mark.parametrize("make", [block, lambda x, name: Block(name=f"{name}_out")(x)])
def test_tokens_that_are_put_back_have_their_places(kind, make):
    order = kind(1, False)
    back = np.argsort(order)

    def around(x, name):
        x = Moving(order, name=f"{name}_moved")(x)
        return Moving(back, name=f"{name}_back")(make(x, name))

    found = opened(network(layers.Identity(), make=around))
    for layer in ("block0_back", "block1_back", "norm"):
        assert placed(found)[layer] == "4 x 6 tokens"
    for layer in ("block0_moved", "block0_out", "block1_out"):
        assert "not in the order" in refused(found, layer)


@pytest.mark.parametrize(
    "move",
    [
        lambda x: ops.flip(x, axis=1),
        lambda x: ops.flip(x, axis=2),
        lambda x: ops.roll(x, 1, axis=2),
        lambda x: layers.Reshape((ROWS, COLUMNS, WIDTH))(layers.Permute((2, 1, 3))(x)),
    ],
)
@pytest.mark.parametrize("stem", [patches, overlapping])
def test_a_map_that_is_moved_before_it_is_tokens_is_refused(move, stem):
    found = opened(network(layers.Identity(), lambda inputs: move(stem(inputs))))
    assert "tokens, " in refused(found, "block1_out")
    assert found.view("patches").layer == "patches"


def test_what_is_moved_in_the_patch_embedding_itself_is_refused():
    class Embedding(layers.Layer):
        def build(self, shape):
            self.kernel = layers.Conv2D(WIDTH, PATCH, strides=PATCH)
            self.kernel.build(shape)

        def call(self, x):
            return ops.reshape(ops.take(self.kernel(x), [0, 2, 1, 3], axis=1), (-1, COUNT, WIDTH))

        def compute_output_shape(self, shape):
            return (shape[0], COUNT, WIDTH)

    keras.utils.set_random_seed(0)
    inputs = keras.Input(SIZE)
    found = opened(headed(inputs, block(Embedding(name="tokens")(inputs), "block")))
    assert "not in the order" in refused(found, "tokens")
    assert "not in the order" in refused(found, "block_out")


def swin_block(x, name, shift, backwards=True):
    """Attention in shifted windows of 2 x 3, as operations."""
    normed = layers.LayerNormalization(name=f"{name}_norm")(x)
    grid = ops.roll(ops.reshape(normed, (-1, ROWS, COLUMNS, WIDTH)), (-shift, -shift), axis=(1, 2))
    windows = ops.transpose(ops.reshape(grid, (-1, 2, 2, 2, 3, WIDTH)), (0, 1, 3, 2, 4, 5))
    windows = ops.reshape(windows, (-1, 6, WIDTH))
    mixed = layers.MultiHeadAttention(2, 4, name=f"{name}_attention")(windows, windows)
    mixed = ops.reshape(mixed, (-1, 2, 2, 2, 3, WIDTH))
    mixed = ops.transpose(mixed, (0, 1, 3, 2, 4, 5)) if backwards else mixed
    mixed = ops.reshape(mixed, (-1, ROWS, COLUMNS, WIDTH))
    mixed = ops.roll(mixed, (shift, shift), axis=(1, 2))
    mixed = layers.Reshape((COUNT, WIDTH), name=f"{name}_mixed")(mixed)
    x = layers.Add(name=f"{name}_out")([x, mixed])
    return layers.Add()([x, layers.Dense(WIDTH)(layers.LayerNormalization()(x))])


def merged(x):
    """Tokens two by two, as between the stages of a Swin transformer."""
    x = ops.reshape(x, (-1, ROWS, COLUMNS, WIDTH))
    parts = [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    x = ops.reshape(ops.concatenate(parts, axis=-1), (-1, COUNT // 4, 4 * WIDTH))
    return layers.Dense(WIDTH, name="merged")(layers.LayerNormalization()(x))


def swin(backwards=True):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(SIZE)
    x = swin_block(as_tokens(patches(inputs)), "first", 0, backwards)
    x = block(merged(swin_block(x, "second", 1)), "third")
    return headed(inputs, x)


def test_windows_and_shifts_that_are_taken_back_are_no_moves():
    grids = placed(opened(swin()))
    for layer in ("tokens", "first_norm", "first_mixed", "first_out", "second_mixed", "second_out"):
        assert grids[layer] == "4 x 6 tokens"
    for layer in ("merged", "third_attention", "third_out", "norm"):
        assert grids[layer] == "2 x 3 tokens"


def test_windows_that_are_not_put_together_again_are_seen_after_their_attention():
    found = opened(swin(backwards=False))
    assert "(the first of them are those of 'first_mixed')" in refused(found, "first_mixed")
    assert "first_norm" in placed(found)


def test_a_grid_that_is_said_of_moved_tokens_is_taken():
    model = network(Moving(by_columns(0, False)))
    found = Network(model, scores="logits", grid=(COLUMNS, ROWS))
    assert placed(found)["moved"] == "6 x 4 tokens"


def edges(inputs):
    return patches(layers.CenterCrop(ROWS * PATCH, COLUMNS * PATCH)(inputs))


@pytest.mark.parametrize(
    ("stem", "size"),
    [
        (patches, SIZE),
        (overlapping, SIZE),
        (edges, (2 * SIZE[0], 2 * SIZE[1], 3)),
        (edges, (SIZE[0] + 2, SIZE[1] + 4, 3)),
        (lambda x: layers.LeakyReLU()(patches(layers.Resizing(*SIZE[:2])(x))), (24, 36, 3)),
        (lambda x: layers.ReLU()(patches(x)), SIZE),
        (lambda x: layers.AveragePooling2D(2)(layers.UpSampling2D(2)(patches(x))), SIZE),
    ],
)
def test_tokens_in_order_are_explained(stem, size):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(size)
    x = Extra()(as_tokens(stem(inputs)))
    x = Block(name="whole")(block(block(x, "block0"), "block1"))
    model = headed(inputs, layers.Conv1D(WIDTH, 3, padding="same", name="across")(x))
    named = {"tokens", "block0_attention", "block1_out", "whole", "across", "norm"}
    assert named <= placed(opened(model)).keys()


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_floats_are_followed(dtype):
    keras.config.set_dtype_policy(dtype)
    try:
        straight, moved = network(layers.Identity()), network(Moving(exchanged(0, False)), at=1)
    finally:
        keras.config.set_dtype_policy("float32")
    assert "norm" in placed(opened(straight))
    assert "not in the order" in refused(opened(moved), "block1_out")


def test_a_map_after_tokens_were_put_back_equals_a_plain_tape():
    order = shuffled(5, False)
    model = network(
        lambda x: Moving(np.argsort(order))(layers.LayerNormalization()(Moving(order)(x)))
    )
    images = pictures()
    both = keras.Model(model.input, [model.get_layer("block0_out").output, model.output])
    with tf.GradientTape() as tape:
        tape.watch(given := tf.constant(images))
        tokens, scores = both(given, training=False)
        chosen = scores[:, 1]
    terms = tape.gradient(chosen, tokens) * tokens
    expected = np.maximum(tf.reduce_sum(terms, -1).numpy().reshape(2, ROWS, COLUMNS), 0)
    explainer = gcam.Explainer(model, layer="block0_out", scores="logits")
    found = explainer.maps(images, 1, "hirescam", raw=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
