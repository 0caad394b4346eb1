"""Maps lie over what the network saw of a picture."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.networks import geometry
from guidedcam_tf.networks.geometry import lay

layers, ops = keras.layers, keras.ops

PREPARATIONS = {
    "CenterCrop": (layers.CenterCrop(16, 24), (0.25, 0.125, 0.75, 0.875)),
    "Cropping2D": (layers.Cropping2D(((8, 0), (0, 16))), (0.25, 0, 1, 0.5)),
    "slice": (lambda x: x[:, 4:20, 8:], (0.125, 0.25, 0.625, 1)),
    "crop in a function": (
        layers.Lambda(lambda x: tf.image.central_crop(x, 0.5)),
        (0.25, 0.25, 0.75, 0.75),
    ),
    "large padding": (layers.ZeroPadding2D(16), (-0.5, -0.5, 1.5, 1.5)),
    "mirrored": (lambda x: ops.flip(x, 2), (0, 1, 1, 0)),
    "nested": (
        lambda x: keras.Sequential(
            [keras.Input((32, 32, 3)), layers.Cropping2D(8), layers.Rescaling(2.0, 1.0)]
        )(x),
        (0.25, 0.25, 0.75, 0.75),
    ),
    "crop that is enlarged": (
        lambda x: layers.Resizing(32, 32)(layers.Cropping2D(8)(x)),
        (0.25, 0.25, 0.75, 0.75),
    ),
    "small padding": (layers.ZeroPadding2D(1), None),
    "resized": (layers.Resizing(16, 16), None),
    "augmented in training": (layers.RandomCrop(32, 32), None),
}


def network(prepare):
    inputs = keras.Input((32, 32, 3))
    x = prepare(layers.Rescaling(1 / 127.5, -1)(inputs))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(x)
    x = layers.MaxPooling2D(2, name="pool")(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


@pytest.mark.parametrize("kind", PREPARATIONS)
def test_the_part_that_a_layer_covers(kind):
    prepare, expected = PREPARATIONS[kind]
    view = gcam.Explainer(network(prepare)).pipeline.view
    found = view.box((7, 7), (32, 32))
    if expected is None:
        assert found is None
    else:
        taken = 1 / 32  # By a window of 3 x 3, from what lies outside.
        outside = np.array([edge < 0 or edge > 1 for edge in expected])
        inwards = taken * outside * np.array([1, 1, -1, -1])
        np.testing.assert_allclose(found, expected + inwards, atol=0.01)


@pytest.mark.parametrize("kind", ["CenterCrop", "Cropping2D", "slice", "crop that is enlarged"])
def test_a_map_is_zero_where_the_network_did_not_look(kind, rng):
    prepare, (top, left, bottom, right) = PREPARATIONS[kind]
    picture = rng.integers(0, 256, (64, 64, 3)).astype(np.uint8)
    explainer = gcam.Explainer(network(prepare), layer="pool")
    (saliency,) = explainer.explain(picture, [1], "eigencam").maps
    assert saliency.any()
    seen = np.zeros([64, 64], bool)
    seen[int(top * 64) : int(bottom * 64), int(left * 64) : int(right * 64)] = True
    assert not saliency[~seen].any()
    (smaller,) = explainer.explain(picture, [1], "eigencam").raw
    bound = saliency[seen].reshape(int((bottom - top) * 64), int((right - left) * 64))
    expected = explainer.pipeline.postprocessing(smaller[None], bound.shape)
    np.testing.assert_allclose(bound, expected[0], atol=1e-5)


def test_a_bright_spot_is_found_where_it_is(rng):
    """One channel that is the picture itself: the map's peak is at the spot."""
    for kind in ("CenterCrop", "large padding", "mirrored", "slice"):
        model = network(PREPARATIONS[kind][0])
        kernel = np.zeros((3, 3, 3, 4), np.float32)
        kernel[1, 1] = 1
        model.get_layer("conv").set_weights([kernel, np.full(4, 0.0, np.float32)])
        size = model.layers[-1].kernel.shape
        model.layers[-1].set_weights([np.ones(size, np.float32), np.zeros(3, np.float32)])
        picture = np.zeros((32, 32, 3), np.uint8)
        picture[14:17, 17:20] = 255
        (saliency,) = gcam.Explainer(model, layer="pool").explain(picture, [1], "hirescam").maps
        row, column = np.unravel_index(saliency.argmax(), saliency.shape)
        assert abs(row - 15) <= 2, kind
        assert abs(column - 18) <= 2, kind


@pytest.mark.parametrize("name", ["resnet50", "mobilenetv2", "densenet121"])
def test_padding_that_the_first_window_takes_away_counts_nothing(name):
    view = gcam.Explainer(name, weights=None).pipeline.view
    assert view.box((7, 7), (224, 224)) is None


def test_the_preprocessing_s_own_crop_is_seen():
    inputs = keras.Input((None, None, 3))
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3, name="conv")(inputs))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    explainer = gcam.Explainer(model, preprocess=lambda x: tf.image.central_crop(x, 0.5) / 255)
    box = explainer.pipeline.view.box((30, 40), (64, 84))
    np.testing.assert_allclose(box, (0.25, 0.25, 0.75, 0.75), atol=0.01)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_an_explained_model_can_be_given_up(runtime):
    """What is remembered of a network does not hold it, nor its model."""
    if runtime == "openvino":
        pytest.importorskip("openvino")
    model = network(layers.Cropping2D(4))
    explainer = gcam.Explainer(model, layer="pool", runtime=runtime)
    assert explainer.explain(np.full((32, 32, 3), 90, np.uint8), 0, "eigencam").maps.shape
    watched = weakref.ref(model), weakref.ref(explainer.network)
    del model, explainer
    gc.collect()
    assert [each() for each in watched] == [None, None]


def test_maps_are_laid_by_hand():
    maps = tf.reshape(tf.range(1.0, 5.0), [1, 2, 2])

    def finish(size):
        return tf.image.resize(maps[..., None], size, "nearest")[..., 0]

    np.testing.assert_array_equal(
        lay(finish, (0.0, 0.5, 0.5, 1.0), (4, 4))[0],
        [[0, 0, 1, 2], [0, 0, 3, 4], [0, 0, 0, 0], [0, 0, 0, 0]],
    )
    np.testing.assert_array_equal(lay(finish, (-0.5, 1.0, 0.5, 0.0), (2, 2))[0], [[4, 3], [0, 0]])
    np.testing.assert_array_equal(lay(finish, None, (2, 2)), maps)


def crop(x):
    return tf.image.resize(x[:, 8:24, 12:28], (32, 32))


def stretched(x):
    low = tf.reduce_min(x, axis=[1, 2, 3], keepdims=True)
    return (x - low) / (tf.reduce_max(x, axis=[1, 2, 3], keepdims=True) - low)


CROPPED, WHOLE, MIRRORED = (0.25, 0.375, 0.75, 0.875), None, (0, 1, 1, 0)
OTHERWISE = {
    "crop, standardised": (lambda x: tf.image.per_image_standardization(crop(x)), CROPPED),
    "standardised, crop": (lambda x: crop(tf.image.per_image_standardization(x)), CROPPED),
    "crop, stretched": (lambda x: stretched(crop(x)), CROPPED),
    "crop, clipped": (lambda x: tf.clip_by_value(1.5 * crop(x), 0, 255), CROPPED),
    "crop, gamma": (lambda x: (crop(x) / 255) ** 0.7, CROPPED),
    "crop, negative": (lambda x: 255 - crop(x), CROPPED),
    "crop, grey": (
        lambda x: tf.image.grayscale_to_rgb(tf.image.rgb_to_grayscale(crop(x))), CROPPED
    ),
    "mirrored, standardised": (
        lambda x: tf.image.per_image_standardization(x[:, :, ::-1]), MIRRORED
    ),
    "nearest": (lambda x: tf.image.resize(x[:, 8:24, 12:28], (32, 32), "nearest"), CROPPED),
    "contrast": (lambda x: tf.image.adjust_contrast(x, 2.0), WHOLE),
    "less contrast": (lambda x: tf.image.adjust_contrast(x, 0.5), WHOLE),
    "standardised": (tf.image.per_image_standardization, WHOLE),
    "logarithm": (lambda x: tf.math.log1p(x), WHOLE),
    "thresholded": (lambda x: tf.cast(x > 128, tf.float32), WHOLE),
    "blurred": (
        lambda x: tf.nn.avg_pool2d(x, 3, 1, "SAME"), WHOLE
    ),
    "smaller and larger": (
        lambda x: tf.image.resize(tf.image.resize(x, (16, 16)), (32, 32)), WHOLE
    ),
    "other channels": (lambda x: x[..., ::-1] - [103.9, 116.8, 123.7], WHOLE),
}  # fmt: skip


@pytest.mark.parametrize("place", ["inside", "outside"])
@pytest.mark.parametrize("kind", OTHERWISE)
def test_what_is_done_to_values_does_not_hide_where_they_lie(kind, place):
    prepare, expected = OTHERWISE[kind]
    inputs = keras.Input((32, 32, 3))
    x = layers.Lambda(prepare)(inputs) if place == "inside" else inputs
    x = layers.Conv2D(4, 2, strides=2, name="conv")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    explainer = gcam.Explainer(
        model, preprocess="none" if place == "inside" else prepare, scores="logits"
    )
    found = explainer.pipeline.view.covered
    if expected is None:
        assert found is None
    else:
        np.testing.assert_allclose(found, expected, atol=0.01)


DISORDERED = {
    "transposed": lambda x: tf.transpose(x, [0, 2, 1, 3]),
    "turned": tf.image.rot90,
    "rolled": lambda x: tf.roll(x, 12, 2),
    "tiled": lambda x: tf.tile(tf.image.resize(x, (16, 16)), [1, 2, 2, 1]),
}


@pytest.mark.parametrize("kind", DISORDERED)
def test_another_order_before_the_first_layer_is_refused(kind):
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(4, 2, strides=2, name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(gcam.InputError, match=r"preprocess puts rows or columns .* another order"):
        gcam.Explainer(model, preprocess=DISORDERED[kind])
    x = layers.Lambda(DISORDERED[kind], name="mover")(inputs)
    x = layers.Conv2D(4, 2, strides=2, name="conv")(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    with pytest.raises(gcam.InputError, match="'conv' cannot be explained: 'mover' puts"):
        gcam.Explainer(model, preprocess="none", scores="logits").maps(np.ones((1, 32, 32, 3)))


@pytest.mark.parametrize("pad", ["ZeroPadding2D", "a function"])
@pytest.mark.parametrize(
    ("kernel", "count", "strides"), [(5, 2, 1), (3, 3, 1), (5, 2, 2), (3, 4, 2)]
)
def test_padding_is_taken_away_by_all_windows_that_follow(pad, kernel, count, strides):
    """Kernels that hand on their middle: what is bright is where it is in the picture."""
    margin = count * (kernel - 1) // 2
    middle = np.zeros((kernel, kernel, 3, 3), np.float32)
    middle[kernel // 2, kernel // 2] = np.eye(3)
    inputs = keras.Input((48, 48, 3))
    if pad == "ZeroPadding2D":
        x = layers.ZeroPadding2D(margin)(inputs)
    else:
        x = layers.Lambda(lambda x: tf.pad(x, [[0, 0], [margin] * 2, [margin] * 2, [0, 0]]))(inputs)
    for place in range(count):
        last = strides if place == count - 1 else 1
        conv = layers.Conv2D(3, kernel, strides=last, activation="relu", use_bias=False)
        x = conv(x)
        conv.set_weights([middle])
    model = keras.Model(inputs, layers.Dense(2, kernel_initializer="ones")(layers.Flatten()(x)))
    explainer = gcam.Explainer(model, preprocess="none", scores="logits", layer=conv.name)
    assert explainer.pipeline.view.covered is None
    for row in (5, 25, 43):
        picture = np.zeros((1, 48, 48, 3), np.float32)
        picture[:, row : row + 2, 20:22] = 1
        (saliency,) = explainer.maps(picture, [0], "hirescam")
        found = np.argwhere(saliency >= 0.9 * saliency.max()).mean(axis=0)
        np.testing.assert_allclose(found, (row + 0.5, 20.5), atol=1.1)


def test_padding_that_is_taken_away_to_the_last_bit_counts_nothing(monkeypatch):
    """What is found by trying is a little off, to one side or the other."""
    for off in (-1e-3, 0.0, 1e-3):
        edges = -4 / 48 + off, 52 / 48 - off
        monkeypatch.setattr(geometry, "lines_shown", lambda *_, edges=edges: (edges, edges))
        inputs = keras.Input((48, 48, 3))
        x = layers.Lambda(lambda x: tf.pad(x, [[0, 0], [4, 4], [4, 4], [0, 0]]))(inputs)
        x = layers.Conv2D(3, 5, name="last")(layers.Conv2D(3, 5)(x))
        model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
        explainer = gcam.Explainer(model, preprocess="none", scores="logits", layer="last")
        assert explainer.pipeline.view.covered is None
