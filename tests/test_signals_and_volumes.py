"""Networks of signals, volumes and clips: the same geometry with one spatial axis, or three."""

import json
import re

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import eager
from PIL import Image

from guidedcam_tf import Explainer
from guidedcam_tf import InputError
from guidedcam_tf import export
from guidedcam_tf import ops
from guidedcam_tf.drawing import drawn
from guidedcam_tf.figures.map_figures import draw_explanations
from guidedcam_tf.methods import METHODS

layers = keras.layers


def signal_network(length=40, padding="same"):
    keras.utils.set_random_seed(1)
    inputs = keras.Input((length, 2))
    x = layers.Conv1D(4, 3, padding=padding, activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling1D(2, name="pool1")(x)
    x = layers.Conv1D(5, 3, padding=padding, activation="relu", name="conv2")(x)
    x = layers.Flatten()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="signal")


def volume_network():
    keras.utils.set_random_seed(2)
    inputs = keras.Input((6, 8, 10, 1))
    x = layers.Conv3D(3, 3, padding="same", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling3D(2)(x)
    x = layers.Conv3D(4, 3, padding="same", activation="relu", name="conv2")(x)
    x = layers.GlobalAveragePooling3D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="volume")


def clip_network():
    keras.utils.set_random_seed(3)
    inputs = keras.Input((4, 8, 8, 1))
    x = layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="lstm1")(inputs)
    x = layers.ConvLSTM2D(4, 3, padding="same", name="lstm2")(x)
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(x), name="clip")


@pytest.fixture(scope="module")
def signal():
    return Explainer(signal_network(), preprocess="none")


@pytest.fixture(scope="module")
def volume():
    return Explainer(volume_network(), preprocess="none")


ABLE = [name for name, method in METHODS.items() if method.any_extent]


@pytest.fixture(scope="module")
def flat(signal):
    """The pipeline of the same network for pictures `[N, 1, T, C]`."""
    inputs = keras.Input((1, 40, 2))
    x = layers.Conv2D(4, (1, 3), padding="same", activation="relu", name="conv1")(inputs)
    x = layers.MaxPooling2D((1, 2))(x)
    x = layers.Conv2D(5, (1, 3), padding="same", activation="relu", name="conv2")(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    for one, other in zip(model.weights, signal.network.model.weights, strict=True):
        one.assign(np.reshape(other, one.shape))
    return Explainer(model, preprocess="none").pipeline


@pytest.mark.parametrize("name", sorted(set(ABLE) - {"cam"}))
def test_a_signal_is_explained_as_a_picture_of_one_row(rng, signal, flat, name):
    """The reference is the same network of Conv2D layers of height 1."""
    images, ids = rng.normal(size=(2, 40, 2)).astype(np.float32), np.array([[0, 2], [1, 1]])
    found = signal.maps(images, ids, name, raw=True)
    with eager():
        expected = flat.explain(METHODS[name](), images[:, None], ids.astype(np.int32))["saliency"]
    np.testing.assert_allclose(found, expected[:, :, 0], rtol=1e-4, atol=1e-6)
    shown = flat.finish(tf.reshape(expected, [4, 1, -1]), (1, 40))
    finished = signal.maps(images, ids, name)
    assert finished.shape == (2, 2, 40)
    np.testing.assert_allclose(finished.reshape(4, 40), shown[:, 0], atol=1e-4)


@pytest.mark.parametrize("name", sorted(set(METHODS) - set(ABLE)))
def test_methods_of_pictures_are_refused_by_name(rng, signal, name):
    with pytest.raises(InputError, match=rf"method '{re.escape(name)}' explains .*one of guided, "):
        signal.maps(rng.random((1, 40, 2)), 0, name)


@pytest.fixture(scope="module")
def solid_and_flat():
    """Of a Conv3D of depth 1, and of the Conv2D that it is for each slice."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((3, 6, 7, 2))
    x = layers.Conv3D(4, (1, 3, 3), padding="same", activation="relu")(inputs)
    x = layers.GlobalAveragePooling3D()(x)
    solid = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    inputs = keras.Input((6, 7, 2))
    x = layers.Conv2D(4, (3, 3), padding="same", activation="relu")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    flat = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    for one, other in zip(flat.weights, solid.weights, strict=True):
        one.assign(np.reshape(other, one.shape))
    return [Explainer(model, preprocess="none") for model in (solid, flat)]


@pytest.mark.parametrize("name", ["guided", "eigencam", "fem", "guided_gradcam", "cam"])
def test_volumes_of_equal_slices_have_equal_maps(rng, solid_and_flat, name):
    """A Conv3D of depth 1 over equal slices gives each slice the map of one picture."""
    solid, flat = solid_and_flat
    image = rng.normal(size=(1, 6, 7, 2)).astype(np.float32)
    found = solid.maps(np.stack([image] * 3, axis=1), 1, name)
    expected = flat.maps(image, 1, name)
    np.testing.assert_allclose(found[0], np.repeat(expected, 3, axis=0), atol=2e-3)


def test_a_clip_is_explained_at_the_last_layer_that_keeps_time(rng):
    explainer = Explainer(clip_network(), preprocess="none")
    assert explainer.layer == "lstm1"
    maps = explainer.maps(rng.random((2, 4, 8, 8, 1)), None, "hirescam")
    assert maps.shape == (2, 4, 8, 8)
    assert maps.max() == 1
    with pytest.raises(InputError, match=r"'lstm2' cannot be .*\[N, d, h, w, K\] with d or h or w"):
        explainer.at("lstm2")


def test_resizing_goes_along_each_axis_as_for_pictures(rng):
    maps = rng.random((2, 3, 4, 5)).astype(np.float32)
    found = ops.resize_maps(maps, (6, 4, 9)).numpy()
    slices = ops.resize_maps(maps.reshape(6, 4, 5), (4, 9)).numpy().reshape(2, 3, 36)
    np.testing.assert_allclose(found.reshape(2, 6, 36), ops.resize_maps(slices, (6, 36)), atol=1e-6)
    line = ops.resize_maps(maps[0, 0], (11,)).numpy()
    np.testing.assert_allclose(line, ops.resize_maps(maps[0, 0][:, None], (1, 11))[:, 0], atol=1e-6)


def test_smoothing_keeps_a_constant_and_spreads_a_peak():
    maps = np.zeros((1, 5), np.float32)
    maps[0, 2] = 1
    window = np.exp(-0.5 * (np.arange(-1, 2) / 0.8) ** 2)
    expected = np.concatenate([[0], window / window.sum(), [0]])
    np.testing.assert_allclose(ops.gaussian_smooth(maps, size=3, sigma=0.8)[0], expected, atol=1e-6)
    solid = np.full((1, 3, 4, 5), 2, np.float32)
    np.testing.assert_allclose(ops.gaussian_smooth(solid, size=3, sigma=0.8), solid, rtol=1e-6)


def test_cropping_first_puts_the_map_where_the_network_looked(rng):
    inputs = keras.Input((40, 1))
    x = layers.Cropping1D((20, 0))(inputs)
    x = layers.Conv1D(3, 3, padding="same", activation="relu")(x)
    x = layers.GlobalAveragePooling1D()(x)
    explainer = Explainer(keras.Model(inputs, layers.Dense(2)(x)), preprocess="none")
    (saliency,) = explainer.maps(rng.random((1, 40, 1)), 0, "layercam")
    assert not saliency[:20].any()
    assert saliency[20:].max() > 0


def test_a_signal_of_another_length_is_squashed_or_cropped(rng):
    signal = rng.normal(size=(80, 2)).astype(np.float32)
    squashed = Explainer(signal_network(), preprocess="none").explain(signal, 0, "layercam")
    assert squashed.maps.shape == (1, 80)
    crop = Explainer(signal_network(), preprocess="none", fit="crop")
    np.testing.assert_allclose(crop.pipeline.fitted(signal[None])[0].shape, (40, 2))


def test_explanations_of_signals_are_drawn_as_curves_and_kept(rng, signal, tmp_path):
    values = rng.normal(size=(40, 2)).astype(np.float32)
    found = signal.explain(values, [0, 1], "layercam")
    assert found.maps.shape == (2, 40)
    assert (found.height, found.width) == (1, 40)
    np.testing.assert_array_equal(found.picture, values)
    *overlays, arrays, record = found.save(tmp_path)
    assert np.asarray(Image.open(overlays[0])).shape[2] == 3
    assert np.load(arrays)["maps"].shape == (2, 40)
    peak = json.loads(record.read_text())["targets"][0]["peak_xy"]
    assert peak == [int(found.maps[0].argmax())]
    assert found._repr_html_().count("<img") == 3
    assert (found.overlay(0) != found.shown).any()
    empty = drawn(values, np.zeros(40, np.float32))
    np.testing.assert_array_equal(empty, found.shown)


def test_explanations_of_volumes_are_drawn_as_a_sheet_of_slices(rng, volume, tmp_path):
    found = volume.explain(rng.random((30, 16, 20)), "top1", "guided")
    assert found.picture.shape == (30, 16, 20, 3)
    assert found.maps.shape == (1, 30, 16, 20)
    overlay = found.overlay(0)
    assert overlay.shape == found.shown.shape
    assert overlay.dtype == np.uint8
    # Tiles of 20 x 16 voxels, six times enlarged, under their numbers: 25 of the 30 slices.
    rows, columns = overlay.shape[0] // (16 * 6 + 20), overlay.shape[1] // (20 * 6 + 6)
    assert rows * columns >= 25 > (rows - 1) * columns
    first = found.shown[17 : 17 + 96 : 6, 3 : 3 + 120 : 6]
    np.testing.assert_array_equal(first, found.picture[0])
    figure = draw_explanations([found])
    assert len(figure.axes) == 3


def test_refusals_say_what_the_network_takes(rng, signal, volume, tmp_path):
    with pytest.raises(InputError, match=r"cat.png is no signal: .* takes arrays \[T, C\]"):
        signal.explain("cat.png")
    with pytest.raises(InputError, match=r"have shape \[T\] or \[T, C\]; received \(1, 40, 2\)"):
        signal.explain(rng.random((1, 40, 2)))
    with pytest.raises(InputError, match=r"takes 2 channels, the picture has 1; .*\[T, 2\]"):
        signal.explain(rng.random(40))
    with pytest.raises(InputError, match=r"images must have shape \[N, D, H, W, 1\]"):
        volume.maps(rng.random((6, 8, 10, 1)))
    with pytest.raises(InputError, match="expected 2 to"):
        signal.explain(rng.random((1, 2)))
    with pytest.raises(InputError, match=r"an export takes networks of pictures .*\(None, 40, 2\)"):
        export(signal, tmp_path / "served" / "1")


def test_pictures_without_channels_are_told_how_to_get_them():
    inputs = keras.Input((12, 12))
    x = layers.Conv2D(3, 3)(layers.Reshape((12, 12, 1))(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    with pytest.raises(InputError, match=r"keras.Input\(\(12, 12, 1\)\) and keras.layers.Reshape"):
        Explainer(model, preprocess="none").explain(np.zeros((12, 12)), 0)
    inputs = keras.Input((12, 12, 1))
    wrapped = keras.Sequential([inputs, layers.Reshape((12, 12)), model])
    assert Explainer(wrapped, preprocess="none").network.sees_pictures


def test_tables_of_numbers_are_refused():
    model = keras.Sequential([keras.Input((7,)), layers.Dense(2)])
    with pytest.raises(InputError, match=r"signals \[N, T, C\] or volumes \[N, D, H, W, C\] as"):
        Explainer(model)
