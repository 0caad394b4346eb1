"""Pictures as arrays: the network gets their values, and what is shown is documented."""

import warnings
from itertools import product

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from PIL import Image
from png import png

from guidedcam_tf import Explainer
from guidedcam_tf import InputError
from guidedcam_tf.data import load
from guidedcam_tf.data import open_folder
from guidedcam_tf.data import shown_as_picture
from guidedcam_tf.data.pictures import read_picture
from guidedcam_tf.evaluation.measuring.pairs import Chunk

layers = keras.layers


def small(channels, size=(12, 10)):
    keras.utils.set_random_seed(channels)
    return keras.Sequential(
        [
            keras.Input((*size, channels)),
            layers.Conv2D(5, 3, activation="relu", padding="same"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(3, activation="softmax"),
        ]
    )


def check(explainer, picture, seen):
    """The network sees these values `[H, W, C]`, of its own size."""
    found = explainer.explain(picture, [0, 2])
    expected = explainer.network.model(seen[None].astype("float32"))[0].numpy()
    np.testing.assert_allclose(found.probabilities, expected[[0, 2]], atol=1e-6)
    maps = explainer.maps(seen[None].astype("float32"), [[0, 2]])[0]
    np.testing.assert_allclose(found.maps, maps, atol=1e-5)
    assert found.picture.shape == (*seen.shape[:2], 3)
    assert found.picture.dtype == np.uint8
    assert found.overlay(0).shape == found.picture.shape
    return found


RANGES = {
    "unit": lambda values: values,
    "signed": lambda values: 2 * values - 1,
    "bytes": lambda values: 255 * values,
    "decibels": lambda values: 80 * values - 80,
    "16 bits": lambda values: np.round(65535 * values).astype(np.uint16),
}


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
def test_values_go_in_as_they_are(rng, tmp_path, channels):
    explainer = Explainer(small(channels), preprocess="none")
    for in_range in RANGES.values():
        array = in_range(rng.random((12, 10, channels)))
        check(explainer, array, array)
        np.save(tmp_path / "a.npy", array)
        found = check(explainer, tmp_path / "a.npy", array)
        assert found.stem == "a"
        if channels == 1:
            check(explainer, array[..., 0], array)


def test_grey_is_given_to_a_network_of_colours(rng):
    array = rng.random((12, 10))
    explainer = Explainer(small(3), preprocess="none")
    check(explainer, array, np.stack([array] * 3, axis=-1))
    check(explainer, array[..., None], np.stack([array] * 3, axis=-1))


def test_colours_are_given_to_a_grey_network_as_luminance(rng):
    array = rng.random((12, 10, 3))
    expected = array @ np.array([[0.299], [0.587], [0.114]])
    check(Explainer(small(1), preprocess="none"), array, expected)


def test_16_bit_grey_files_keep_their_range_for_a_grey_network(rng, tmp_path):
    values = rng.integers(0, 65536, (12, 10))
    (tmp_path / "a.png").write_bytes(png(values, 16))
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "b.tiff")
    explainer = Explainer(small(1), preprocess="none")
    for name in ("a.png", "b.tiff"):
        found = check(explainer, tmp_path / name, values[..., None])
        np.testing.assert_array_equal(found.picture[..., 0], np.round(values / 257))
    loaded = list(load(open_folder(tmp_path).samples))
    np.testing.assert_array_equal(Chunk(explainer.pipeline, loaded).images[0], values[..., None])


def test_16_bit_grey_files_are_8_bits_where_0_to_255_is_expected(rng, tmp_path):
    values = rng.integers(0, 65536, (12, 10))
    (tmp_path / "a.png").write_bytes(png(values, 16))
    explainer = Explainer(small(1), preprocess="unit")
    found = explainer.explain(tmp_path / "a.png", [0, 1, 2])
    seen = np.round(values / 257)[None, ..., None] / 255
    expected = explainer.network.model.predict(seen.astype("float32"), verbose=0)[0]
    np.testing.assert_allclose(found.probabilities, expected, atol=1e-6)


def test_floats_are_not_rounded(rng):
    """As `maps` takes them: another picture would be explained otherwise."""
    array = rng.random((8, 8, 3)) * 254
    explainer = Explainer(build_toy("flatten"), preprocess="unit")
    expected = explainer.predict(array[None].astype("float32"))[0]
    np.testing.assert_allclose(explainer.explain(array, [0, 1]).probabilities, expected[:2], 1e-5)


def test_a_tensor_is_taken_as_its_array(rng):
    explainer, array = Explainer(build_toy("flatten")), rng.random((8, 8, 3)).astype(np.float32)
    expected = explainer.explain(array, [0, 1])
    found = explainer.explain(tf.constant(array), [0, 1])
    np.testing.assert_array_equal(found.maps, expected.maps)
    np.testing.assert_array_equal(found.picture, expected.picture)
    pixels = rng.integers(0, 256, (8, 8, 3)).astype(np.uint8)
    np.testing.assert_array_equal(read_picture(tf.constant(pixels)), pixels)


@pytest.mark.parametrize("scale", [1, 65535, -3])
def test_scaled_arrays_are_refused_where_0_to_255_is_expected(rng, tmp_path, scale):
    explainer = Explainer(build_toy("flatten"), preprocess="unit")
    array = rng.random((8, 8, 3)) * scale
    np.save(tmp_path / "a.npy", array)
    for picture in (array, tmp_path / "a.npy", array[..., 0]):
        with pytest.raises(InputError, match=r"RGB in 0..255 for the network's preprocessing"):
            explainer.explain(picture)


STEPS = {
    "Rescaling": ([keras.layers.Rescaling(1 / 255)], True),
    "to -1..1": ([keras.layers.Rescaling(1 / 127.5, -1)], True),
    "Normalization": ([keras.layers.Normalization(mean=120.0, variance=3600.0)], True),
    "of 0..1": ([keras.layers.Rescaling(2.0, -1)], False),
    "of 16 bits": ([keras.layers.Rescaling(1 / 65535)], False),
    "nothing": ([], False),
}


@pytest.mark.parametrize("steps", STEPS)
def test_scaled_arrays_are_said_where_the_model_scales(rng, tmp_path, steps):
    """They would be nearly black, and one map is like the other then."""
    layers, told = STEPS[steps]
    last = [keras.layers.Conv2D(4, 3), keras.layers.Flatten(), keras.layers.Dense(3)]
    model = keras.Sequential([keras.Input((8, 8, 3)), *layers, *last], name="net")
    explainer = Explainer(model, scores="logits", layer=last[0].name)
    pictures = rng.random((2, 8, 8, 3)).astype(np.float32)
    asks = [
        lambda array: explainer.maps(array, [0, 1]),
        explainer.predict,
        lambda array: explainer.explain(array[0], 0),
        lambda _: explainer.explain(tmp_path / "a.npy", 0),
    ]
    for scale, ask in product([1, -1, 65535], asks):
        np.save(tmp_path / "a.npy", scale * pictures[0])
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            ask(scale * pictures)
        words = "model 'net' scales pictures itself, from 0..255; received"
        assert any(words in str(each.message) for each in caught) == told
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.maps(pictures / pictures.max() * 255, [0, 1], "gradient")
        explainer.predict(np.full((1, 8, 8, 3), -128, np.int8))


REFUSED = {
    "rank": (np.zeros((2, 4, 4, 3)), r"shape \[H, W\] or \[H, W, C\]; received \(2, 4, 4, 3\)"),
    "no channel": (np.zeros((4, 4, 0)), "received"),
    "first": (np.ones((3, 5, 4)), r"the picture has 4; .*come last: np.moveaxis\(array, 0, -1\)"),
    "channels": (np.ones((4, 4, 5)), "takes 3 channels, the picture has 5; give an array"),
    "infinite": (np.full((4, 4, 3), np.inf), "finite numbers"),
    "complex": (np.ones((4, 4, 3), complex), "its dtype is complex128"),
    "words": (np.full((4, 4), "a"), "its dtype is <U1"),
    "one row": (np.ones((1, 4)), "4 x 1 pixels; expected at least 2 x 2"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_other_arrays_are_refused(kind, tmp_path):
    array, message = REFUSED[kind]
    np.save(tmp_path / "a.npy", array)
    explainer = Explainer(build_toy("flatten"), preprocess="none")
    for picture in (array, tmp_path / "a.npy"):
        with pytest.raises(InputError, match=message):
            explainer.explain(picture)


def test_damaged_npy_files_are_refused(tmp_path, rng):
    file = tmp_path / "a.npy"
    np.save(file, rng.random((8, 8, 3)))
    original = file.read_bytes()
    explainer = Explainer(build_toy("flatten"), preprocess="none")
    objects = tmp_path / "objects.npy"
    np.save(objects, np.array([{}]), allow_pickle=True)
    archive = tmp_path / "archive.npz"
    np.savez(archive, a=1)
    for content in (b"", b"x", original[:40], original[:-9], objects.read_bytes()):
        file.write_bytes(content)
        with pytest.raises(InputError, match=r"a\.npy (is empty|is not a readable NPY file)"):
            explainer.explain(file)
    file.write_bytes(archive.read_bytes())
    with pytest.raises(InputError, match="holds several arrays, expected one"):
        explainer.explain(file)


def test_how_values_are_shown():
    column = np.array([[0.0], [0.5], [1.0]])
    grey = shown_as_picture(column[..., None])
    np.testing.assert_array_equal(grey[:, 0], [[0] * 3, [128] * 3, [255] * 3])
    np.testing.assert_array_equal(shown_as_picture(255 * column[..., None]), grey)
    two = np.stack([column, -column], axis=-1)
    assert not shown_as_picture(two).any()
    many = np.stack([column] * 5, axis=-1)
    np.testing.assert_array_equal(shown_as_picture(many), grey)
    colours = np.array([[[-1.0, 0, 1]]])
    np.testing.assert_array_equal(shown_as_picture(colours), [[[0, 128, 255]]])
