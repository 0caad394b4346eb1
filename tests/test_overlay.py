"""Overlays by value: what is not salient keeps its pixels, in NumPy and inside a graph."""

import cv2
import numpy as np
import pytest
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.ops import PRESETS
from guidedcam_tf.overlay import COLOUR_MAPS
from guidedcam_tf.overlay import colour
from guidedcam_tf.overlay import in_grey
from guidedcam_tf.overlay import overlay
from guidedcam_tf.serving.overlays import overlay_pngs


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)


def test_a_map_of_zeros_leaves_the_picture_as_it_is(picture):
    np.testing.assert_array_equal(overlay(picture, np.zeros((6, 8))), picture)


def test_full_saliency_shows_the_opacity_of_the_colour(picture):
    hot = colour(np.ones((6, 8)), "viridis")
    np.testing.assert_array_equal(overlay(picture, np.ones((6, 8)), "viridis", 1.0), hot)
    half = np.round(0.5 * picture + 0.5 * hot)
    np.testing.assert_array_equal(overlay(picture, np.ones((6, 8)), "viridis", 0.5), half)


@pytest.mark.parametrize("colour_map", COLOUR_MAPS)
def test_colours_are_opencvs_in_rgb_order(colour_map):
    levels = np.arange(256, dtype=np.uint8)[None]
    expected = cv2.applyColorMap(levels, getattr(cv2, f"COLORMAP_{colour_map.upper()}"))[..., ::-1]
    np.testing.assert_array_equal(colour(levels / 255, colour_map), expected)


def test_the_graph_draws_the_same(picture):
    saliency = np.random.default_rng(1).uniform(size=(6, 8)).astype(np.float32)
    saliency[:2] = 0
    png = overlay_pngs(tf.constant(picture[None], tf.float32), saliency[None], "inferno")
    drawn = tf.io.decode_png(png[0]).numpy().astype(int)
    assert np.abs(drawn - overlay(picture, saliency)).max() <= 1
    np.testing.assert_array_equal(drawn[:2], picture[:2])


@pytest.mark.parametrize("opacity", [-0.1, 1.1, float("nan")])
def test_an_opacity_out_of_range_is_named(picture, opacity):
    with pytest.raises(InputError, match=r"opacity must be between 0 and 1; received "):
        overlay(picture, np.zeros((6, 8)), opacity=opacity)


def test_smooth_enlarging_has_no_corners_and_stays_in_range():
    raw = np.zeros((1, 7, 7), np.float32)
    raw[0, 3, 3] = 1
    smooth, default = (PRESETS[name](raw, (224, 224)).numpy()[0] for name in ("smooth", "default"))
    assert smooth.min() >= 0 and smooth.max() <= 1
    bend = [np.abs(np.diff(one[112], 2)).max() for one in (smooth, default)]
    assert bend[0] < bend[1] / 2


def test_grey_is_white_from_the_percentile_on():
    ramp = np.linspace(0, 1, 101)[None]
    expected = np.round(np.minimum(ramp / 0.99, 1) * 255)
    np.testing.assert_array_equal(in_grey(ramp), np.repeat(expected[..., None], 3, axis=-1))
    assert in_grey(ramp, 50.0)[0, 50:].min() == 255
    assert in_grey(ramp, 50.0)[0, 25, 0] == 128


def test_grey_of_few_pixels_and_of_none():
    spot = np.zeros((20, 20), np.float32)
    np.testing.assert_array_equal(in_grey(spot), np.zeros((20, 20, 3)))
    spot[3, 4] = 0.5
    found = in_grey(spot)
    assert found[3, 4].tolist() == [255, 255, 255]
    assert found.sum() == 3 * 255


@pytest.mark.parametrize("percentile", [0, 101, -1])
def test_grey_refuses_other_percentiles(percentile):
    with pytest.raises(InputError, match="percentile must be above 0 and at most 100; received"):
        in_grey(np.ones((2, 2)), percentile)
