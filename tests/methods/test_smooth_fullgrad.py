"""Smooth-FullGrad: reference on the very copies that the network saw, hand computation, noise."""

import keras
import numpy as np
import pytest
from common import build_toy
from methods.fullgrad_numpy import SlowFullGrad
from methods.fullgrad_numpy import aggregate
from methods.one_pass import toy_explainer
from methods.recording import Record

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import SmoothFullGrad

layers = keras.layers


def recorded(toy, **options):
    """An explainer of the network, and the layer at its input that keeps what it sees.

    Compiled before, which tries the network on two pictures of noise.
    """
    record = Record()
    inputs = keras.Input(toy.input_shape[1:])
    explainer = gcam.Explainer(keras.Model(inputs, toy(record(inputs))))
    explainer.pipeline.kernel(SmoothFullGrad(**options))
    record.pictures.clear()
    record.traces = 0
    return explainer, record


def slow_smooth(slow, copies, class_id):
    """The map from the given copies of a picture: signed sums first, then psi."""
    terms = [slow.terms(copy, class_id) for copy in copies]
    sums = [sum(each[place] for each in terms) for place in ("input", "conv1", "conv2")]
    sums[0] = sums[0].sum(axis=2, keepdims=True)
    return aggregate(sums)


def test_matches_slow_reference_on_the_same_copies(toy, toy_images):
    explainer, record = recorded(toy, samples=3, block_size=2)
    raw = explainer.maps(
        toy_images[:2], [[0, 2], [1, 0]], "smooth_fullgrad", raw=True, samples=3, block_size=2
    )
    clean, copies = np.split(np.array(record.pictures), [2])
    np.testing.assert_array_equal(clean, toy_images[:2])
    slow = SlowFullGrad(toy)
    copies = copies.reshape(2, 2, 3, 8, 8, 3)
    np.testing.assert_array_equal(copies[:, 0], copies[:, 1])
    for row, ids in enumerate([[0, 2], [1, 0]]):
        for column, class_id in enumerate(ids):
            expected = slow_smooth(slow, copies[row, column], class_id)
            np.testing.assert_allclose(raw[row, column], expected, rtol=5e-4, atol=5e-4)


def test_hand_computed_map_sums_before_absolute_values():
    # One 1 x 1 convolution z = x1 - x2 - 1 on a 2 x 2 picture, ReLU, dense weights 1 2 4 8. Without
    # noise, both copies are the picture. x1 = 2 3 / 0 8, x2 = 0 1 / 0 5, so z = 1 1 / -1 2 and
    # dY/dz = 1 2 / 0 8. Input, channels and copies summed: 2 (x1 - x2) dY/dz = 4 8 / 0 48.
    # Bias, summed over copies: 2 (-1) dY/dz = -2 -4 / 0 -16. Over 48 and over 16:
    #   1/12 1/6 / 0 1  +  1/8 1/4 / 0 1.
    inputs = keras.Input((2, 2, 2))
    x = layers.Conv2D(1, 1, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="scores")(layers.Flatten()(x)))
    kernel = np.array([1.0, -1.0])[None, None, :, None]
    model.get_layer("conv").set_weights([kernel, np.array([-1.0])])
    model.get_layer("scores").set_weights([np.array([[1.0], [2.0], [4.0], [8.0]]), np.array([0.0])])
    picture = np.array([[[2.0, 0.0], [3.0, 1.0]], [[0.0, 0.0], [8.0, 5.0]]])[None]
    saliency = gcam.Explainer(model).maps(
        picture, [0], "smooth_fullgrad", raw=True, samples=2, noise=0.0
    )
    expected = [[[1 / 12 + 1 / 8, 1 / 6 + 1 / 4], [0.0, 2.0]]]
    np.testing.assert_allclose(saliency, expected, atol=1e-6)


def test_one_copy_without_noise_is_fullgrad_of_a_grey_picture(rng):
    # With one channel, summing over channels before the absolute value changes nothing.
    inputs = keras.Input((8, 8, 1))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.BatchNormalization()(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x)))
    model.get_layer("conv").bias.assign([0.1, -0.2, 0.3, 0.1])
    images = rng.normal(size=(2, 8, 8, 1))
    explainer = gcam.Explainer(model)
    smooth = explainer.maps(images, [0, 1], "smooth_fullgrad", raw=True, samples=1, noise=0.0)
    plain = explainer.maps(images, [0, 1], "fullgrad", raw=True)
    np.testing.assert_allclose(smooth, plain, rtol=1e-5, atol=1e-5)


def test_one_copy_without_noise_is_not_fullgrad_of_a_colour_picture(toy_images):
    explainer = toy_explainer("gap")
    smooth = explainer.maps(toy_images, [0] * 3, "smooth_fullgrad", raw=True, samples=1, noise=0.0)
    plain = explainer.maps(toy_images, [0] * 3, "fullgrad", raw=True)
    assert np.abs(smooth - plain).max() > 0.1


def test_noise_is_normal_with_a_part_of_the_preprocessed_range():
    record = Record()
    inputs = keras.Input((32, 32, 3))
    x = layers.Conv2D(2, 3, name="conv")(record(inputs))
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling2D()(x)))
    image = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3)).astype(np.uint8)
    explainer = gcam.Explainer(model, preprocess="tf")
    explainer.pipeline.kernel(SmoothFullGrad(samples=20))
    record.pictures.clear()
    explainer.maps(image, [0], "smooth_fullgrad", samples=20)
    clean, copies = np.split(np.array(record.pictures), [1])
    noise = (copies - clean) / (clean.max() - clean.min())
    assert len(noise) == 20
    assert noise.mean() == pytest.approx(0, abs=0.003)
    assert noise.std() == pytest.approx(0.15, rel=0.02)
    assert (np.abs(noise) < 0.15).mean() == pytest.approx(0.6827, abs=0.01)
    between = np.corrcoef(noise.reshape(20, -1)) - np.eye(20)
    assert np.abs(between).max() < 0.1


def test_seed_chooses_the_noise(toy_images):
    explainer = toy_explainer("gap")

    def maps(**options):
        return explainer.maps(toy_images, [0, 1, 2], "smooth_fullgrad", raw=True, **options)

    np.testing.assert_array_equal(maps(samples=2), maps(samples=2))
    assert np.abs(maps(samples=2) - maps(samples=2, seed=1)).max() > 0.1


def test_neither_order_nor_batch_nor_targets_change_a_map(opened, toy_images):

    def maps(images, targets):
        return opened.maps(images, targets, "smooth_fullgrad", raw=True, samples=3)

    together = maps(toy_images, [[0, 2]] * 3)
    backwards = maps(toy_images[::-1], [[2, 0]] * 3)[::-1, ::-1]
    apart = [[maps(image[None], [t])[0] for t in (0, 2)] for image in toy_images]
    np.testing.assert_allclose(backwards, together, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(apart, together, rtol=1e-5, atol=1e-5)


def test_blocks_change_nothing_but_rounding(toy_images):
    explainer = toy_explainer("flatten")
    whole, *others = (
        explainer.maps(toy_images, [0, 1, 2], "smooth_fullgrad", raw=True, block_size=block_size)
        for block_size in (25, 1, 5, 7)
    )
    for other in others:
        np.testing.assert_allclose(other, whole, rtol=2e-4, atol=2e-4)


def test_passes_and_traces(compiled, toy_images):
    explainer, record = recorded(build_toy(), samples=7, block_size=3)
    for count, targets in ((1, [0]), (2, [0, 1, 2])):
        record.pictures.clear()
        explainer.maps(
            toy_images[:count], [targets] * count, "smooth_fullgrad", samples=7, block_size=3
        )
        assert len(record.pictures) == count * (1 + 7 * len(targets))
    # One trace for the clean picture, one for the copies.
    assert record.traces == 2


def test_rank_is_that_of_the_clean_picture(toy_images):
    options = {"samples": 8, "noise": 1.0}
    explainer, record = recorded(build_toy(), **options)
    best = explainer.predict(toy_images).argmax(axis=1)
    record.pictures.clear()
    by_rank = explainer.maps(toy_images, None, "smooth_fullgrad", raw=True, **options)
    copies = np.array(record.pictures[3:])
    assert (explainer.predict(copies).argmax(axis=1) != best.repeat(8)).any()
    by_class = explainer.maps(toy_images, best, "smooth_fullgrad", raw=True, **options)
    np.testing.assert_array_equal(by_rank, by_class)


def test_flat_pictures_have_finite_maps_without_noise():
    explainer, record = recorded(build_toy("flatten"), samples=2)
    for value in (0.0, 128.0):
        images = np.full((1, 8, 8, 3), value, np.float32)
        record.pictures.clear()
        raw = explainer.maps(images, [0], "smooth_fullgrad", raw=True, samples=2)
        np.testing.assert_array_equal(record.pictures, np.repeat(images, 3, axis=0))
        assert raw.shape == (1, 8, 8)
        assert np.isfinite(raw).all()


def test_black_picture_without_biases_has_no_saliency():
    images = np.zeros((1, 8, 8, 3), np.float32)
    explainer = gcam.Explainer(build_toy(bias=False))
    raw = explainer.maps(images, [0], "smooth_fullgrad", raw=True, samples=2)
    np.testing.assert_array_equal(raw, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples must be a whole number of at least 1; received 0"),
        ({"block_size": 2.5}, "block_size must be a whole number of at least 1; received 2.5"),
        ({"noise": -0.1}, "noise must be a finite number of at least 0; received -0.1"),
        ({"noise": float("nan")}, "noise must be a finite number of at least 0; received nan"),
        ({"noise": "0.15"}, "noise must be a finite number of at least 0; received '0.15'"),
        ({"seed": -1}, "seed must be a whole number from 0 to 9223372036854775807; received -1"),
        ({"seed": 2**63}, "seed must be a whole number from 0 to 9223372036854775807"),
        ({"align_corners": "no"}, "align_corners must be True or False; received 'no'"),
    ],
)
def test_bad_options_say_what_is_wrong(options, message):
    with pytest.raises(InputError, match=f"smooth_fullgrad: {message}"):
        SmoothFullGrad(**options)
