"""Maps lie over what their positions show, whatever moves these between a network's layers."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam

layers, ops = keras.layers, keras.ops


class Own(layers.Layer):
    """A user's layer, which calls a function."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, x):
        return self.function(x)


SIZE, HALF = 32, 16


def network(move, window="same"):
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="first")(inputs)
    x = move(layers.MaxPooling2D(name="pool")(x))
    x = layers.Conv2D(4, 3, padding=window, activation="relu", name="last")(x)
    return keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))


def mover(axes, shift=0):
    return lambda x: ops.roll(ops.transpose(x, axes), shift, axis=1)


def windows(x):
    x = ops.reshape(x, (-1, 2, 8, 2, 8, 4))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, 64, 4))


def as_picture(x):
    x = ops.reshape(x, (-1, 2, 2, 8, 8, 4))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, HALF, HALF, 4))


def merged_patches(x):
    parts = [x[:, row::2, column::2] for row in (0, 1) for column in (0, 1)]
    return layers.Dense(4)(layers.Concatenate()(parts))


def pixels_shuffled(x):
    x = ops.reshape(layers.Conv2D(16, 1)(x), (-1, HALF, HALF, 2, 2, 4))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, SIZE, SIZE, 4))


def gated(x):
    gate = layers.Dense(4, activation="sigmoid")(layers.GlobalAveragePooling2D(keepdims=True)(x))
    return layers.Cropping2D(((4, 0), (0, 8)))(x * gate)


def channels_first(layer):
    """A layer between two permutes, where the channels come first."""
    return lambda x: layers.Permute((2, 3, 1))(layer(layers.Permute((3, 1, 2))(x)))


def strips(x):
    rows = ops.repeat(ops.mean(x, 1, keepdims=True), HALF, 1)
    columns = ops.repeat(ops.mean(x, 2, keepdims=True), HALF, 2)
    return x * ops.sigmoid(rows + columns)


def with_rows(x):
    rows = ops.reshape(ops.linspace(0.0, 1.0, HALF), (1, HALF, 1, 1))
    return ops.concatenate([x, ops.zeros_like(x[..., :1]) + rows], -1)


def gated_by_rows(x):
    gate = layers.Conv2D(4, 1, activation="sigmoid")(ops.max(x, axis=1, keepdims=True))
    return layers.Cropping2D(((4, 0), (0, 8)))(x * gate)


def enlarged_and_cropped(x):
    return layers.Cropping2D(2)(layers.Conv2DTranspose(4, 8, strides=4)(x))


COVERED = {
    "crop": (layers.Cropping2D(((4, 0), (0, 8))), (0.25, 0, 1, 0.5)),
    "crop after a gate": (gated, (0.25, 0, 1, 0.5)),
    "crop after a gate of one row": (gated_by_rows, (0.25, 0, 1, 0.5)),
    "slice": (lambda x: x[:, 4:12], (0.25, 0, 0.75, 1)),
    "small slice": (lambda x: x[:, 6:8, 6:10], (0.375, 0.375, 0.5, 0.625)),
    "small crop on a coarse map": (
        lambda x: layers.MaxPooling2D(5)(layers.Cropping2D(((0, 0), (1, 0)))(x)),
        (0, 0.0625, 1, 1),
    ),
    "slice that operations pool": (lambda x: ops.max_pool(x[:, 8:], 2, 2), (0.5, 0, 1, 1)),
    "padding": (layers.ZeroPadding2D(4), (-0.25, -0.25, 1.25, 1.25)),
    "flip": (lambda x: ops.flip(x, 2), (0, 1, 1, 0)),
    "flip that is pooled": (lambda x: ops.average_pool(ops.flip(x, 2), 2, 2), (0, 1, 1, 0)),
    "crop of a flip": (lambda x: ops.flip(x, 2)[:, :, :8], (0, 1, 1, 0.5)),
    "crop by a Lambda": (layers.Lambda(lambda x: x[:, 4:, :8]), (0.25, 0, 1, 0.5)),
    "flip by a layer of one's own": (Own(lambda x: tf.reverse(x, [1])), (1, 0, 0, 1)),
    "channels and columns turned by a Lambda": (
        layers.Lambda(lambda x: x[:, :, ::-1, ::-1]),
        (0, 1, 1, 0),
    ),
    "crop that is pooled": (
        lambda x: layers.MaxPooling2D()(layers.BatchNormalization()(x[:, 8:])),
        (0.5, 0, 1, 1),
    ),
}

WHOLE = {
    "bilinear upsampling": layers.UpSampling2D(interpolation="bilinear"),
    "upsampling of an odd map": lambda x: layers.UpSampling2D()(layers.MaxPooling2D(5)(x)),
    "resized": layers.Resizing(24, 24),
    "relu6": ops.relu6,
    "the smaller one": lambda x: ops.minimum(x, 6.0),
    "hard swish": lambda x: x * ops.relu6(x + 3.0) / 6.0,
    "gated by its sign": lambda x: x * ops.cast(x > 0, "float32"),
    "averaged by a reshape": lambda x: ops.mean(ops.reshape(x, (-1, 8, 2, 8, 2, 4)), (2, 4)),
    "pooled by an operation": lambda x: -ops.max_pool(-x, 2, 2),
    "strip pooling": strips,
    "rows beside it": with_rows,
    "channels first, normalised": channels_first(layers.BatchNormalization(axis=1)),
    "channels first, by layer": channels_first(layers.LayerNormalization(axis=1)),
    "channels first, activated": channels_first(layers.ReLU()),
    "channels first, added up": channels_first(
        lambda x: layers.Add()([x, layers.BatchNormalization(axis=1)(x)])
    ),
    "channels first, halved": channels_first(lambda x: 0.5 * x),
    "enlarged and cropped": enlarged_and_cropped,
    "nearest upsampling": layers.UpSampling2D(),
    "every other one": lambda x: x[:, ::2, 1::2],
    "rolled there and back": lambda x: ops.roll(layers.Dense(4)(ops.roll(x, 5, 1)), -5, 1),
    "transposed and back": lambda x: ops.swapaxes(layers.Dense(4)(ops.swapaxes(x, 1, 2)), 1, 2),
    "windows and back": lambda x: as_picture(layers.Dense(4)(windows(x))),
    "merged patches": merged_patches,
    "pixels shuffled": pixels_shuffled,
    "rolled there and back by own code": lambda x: Own(lambda x: tf.roll(x, -5, 1))(
        layers.Dense(4)(layers.Lambda(lambda x: tf.roll(x, 5, 1))(x))
    ),
    "a few channels rolled by own code": Own(
        lambda x: tf.concat([tf.roll(x[..., :1], 1, 1), x[..., 1:]], -1)
    ),
    "clipped by own code": Own(lambda x: tf.clip_by_value(x, 0.0, 1.0)),
    "halved and rounded by own code": Own(lambda x: x // 2),
    "nothing by own code": Own(lambda x: 0.0 * x),
    "exponentials by own code": Own(tf.exp),
    "sorted by own code": Own(lambda x: tf.sort(x, axis=-1)),
    "beside what is cropped": lambda x: layers.Add()(
        [layers.Conv2D(4, 3)(x), layers.Cropping2D(((0, 2), (0, 2)))(x)]
    ),
}

OUT_OF_ORDER = {
    "roll": (mover((0, 1, 2, 3), 5), "roll"),
    "roll by a Lambda": (layers.Lambda(lambda x: tf.roll(x, 5, 1), name="mover"), "mover"),
    "transpose by a layer of one's own": (
        Own(lambda x: tf.transpose(x, [0, 2, 1, 3]), name="mover"),
        "mover",
    ),
    "transpose": (mover((0, 2, 1, 3)), "transpose"),
    "permute": (layers.Permute((2, 1, 3), name="turned"), "turned"),
    "pooled after it": (lambda x: layers.MaxPooling2D()(ops.rot90(x, axes=(1, 2))), "rot90"),
    "a little roll": (mover((0, 1, 2, 3), 2), "roll"),
    "windows as one picture": (lambda x: ops.reshape(windows(x), (-1, HALF, HALF, 4)), "reshape"),
}


@pytest.mark.parametrize("kind", COVERED)
def test_the_part_that_a_layer_covers(kind):
    move, expected = COVERED[kind]
    view = gcam.Explainer(network(move)).pipeline.view
    assert view.layer == "last"
    extent = tuple(view.step.shape[1:3])
    np.testing.assert_allclose(view.box(extent, (SIZE, SIZE)), expected, atol=1e-6)
    assert view.box((SIZE, SIZE), (SIZE, SIZE)) is None


@pytest.mark.parametrize("kind", WHOLE)
def test_what_comes_back_covers_all(kind):
    view = gcam.Explainer(network(WHOLE[kind])).pipeline.view
    assert view.box((9, 9), (SIZE, SIZE)) is None


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric"])
@pytest.mark.parametrize("side", [2, 3, 4, HALF])
def test_padding_for_a_window_counts_nothing(mode, side):
    pad = [[0, 0], [1, 1], [1, 1], [0, 0]]
    small = layers.MaxPooling2D(HALF // side)
    model = network(lambda x: ops.pad(small(x), pad, mode=mode), "valid")
    assert gcam.Explainer(model).pipeline.view.box((side, side), (SIZE, SIZE)) is None


def test_what_is_rolled_before_the_first_layer_is_refused():
    inputs = keras.Input((SIZE, SIZE, 3))
    x = layers.Conv2D(4, 3, name="last")(ops.roll(layers.Rescaling(2.0)(inputs), 9, 1))
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)))
    with pytest.raises(gcam.InputError, match=r"layer 'last' .*: 'roll\w*' puts its positions"):
        gcam.Explainer(model)


@pytest.mark.parametrize("kind", OUT_OF_ORDER)
def test_positions_in_another_order_are_refused(kind, rng):
    move, name = OUT_OF_ORDER[kind]
    model = network(move)
    with pytest.raises(gcam.InputError, match=rf"layer 'last' .*: '{name}\w*' puts its positions"):
        gcam.Explainer(model)
    picture = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    assert gcam.Explainer(model, layer="pool").explain(picture, 0, "eigencam").maps.any()


def test_a_crop_is_its_own_part_of_pictures_of_each_size():
    inputs = keras.Input((None, None, 3))
    x = layers.Cropping2D(8)(layers.Conv2D(4, 3, padding="same", activation="relu")(inputs))
    x = layers.Conv2D(4, 3, padding="same", name="last")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    view = gcam.Explainer(model).pipeline.view
    np.testing.assert_allclose(view.box((16, 48), (32, 64)), (0.25, 0.125, 0.75, 0.875), atol=1e-6)
    np.testing.assert_allclose(view.box((48, 16), (64, 32)), (0.125, 0.25, 0.875, 0.75), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "kind", "move", "expected"),
    [
        ((64, 2), "1D", layers.Cropping1D((8, 0)), (0.25, 1)),
        ((64, 2), "1D", lambda x: ops.flip(x, 1), (1, 0)),
        ((16, 16, 16, 1), "3D", lambda x: x[:, 2:, :4, 1:-1], (0.25, 0, 0.125, 1, 0.5, 0.875)),
    ],
)
def test_signals_and_volumes_are_followed_too(shape, kind, move, expected):
    convolution, pooling = getattr(layers, f"Conv{kind}"), getattr(layers, f"MaxPooling{kind}")
    inputs = keras.Input(shape)
    x = move(pooling()(convolution(4, 3, padding="same")(inputs)))
    x = getattr(layers, f"GlobalAveragePooling{kind}")()(convolution(4, 3, padding="same")(x))
    view = gcam.Explainer(keras.Model(inputs, layers.Dense(3)(x))).pipeline.view
    found = view.box(tuple(view.step.shape[1:-1]), shape[:-1])
    np.testing.assert_allclose(found, expected, atol=1e-6)


@pytest.mark.parametrize(
    "kind", [kind for kind in COVERED if kind.split()[-1] not in ("row", "map")]
)
def test_a_bright_spot_is_found_where_it_is(kind):
    """Where each layer hands on the picture, the map's peak is at the spot."""
    model = network(COVERED[kind][0])
    for name in ("first", "last"):
        kernel, bias = model.get_layer(name).get_weights()
        kernel[:] = 0
        kernel[1, 1] = 1
        model.get_layer(name).set_weights([kernel, bias])
    top, left, bottom, right = np.clip(COVERED[kind][1], 0, 1) * SIZE
    middle = int(top + bottom) // 2, int(left + right) // 2 + 3
    picture = np.zeros((SIZE, SIZE, 3), np.uint8)
    picture[middle[0] - 1 : middle[0] + 2, middle[1] - 1 : middle[1] + 2] = 255
    (saliency,) = gcam.Explainer(model).explain(picture, [1], "eigencam").maps
    peak = np.unravel_index(saliency.argmax(), saliency.shape)
    assert np.abs(np.subtract(peak, middle)).max() <= 2
