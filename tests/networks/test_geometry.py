"""Maps lie over what the network saw of a picture."""

import gc
import weakref

import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
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
