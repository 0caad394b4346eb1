"""Bicubic resizing of pictures: OpenCV's, hand computation, and what it leaves alone."""

import cv2
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import settings

from guidedcam_tf import ops


@pytest.mark.parametrize("size", [(9, 14), (31, 22), (8, 11), (5, 4), (1, 1)])
def test_matches_opencv(rng, size):
    images = rng.normal(size=(2, 8, 11, 3)).astype(np.float32)
    expected = [cv2.resize(image, size[::-1], interpolation=cv2.INTER_CUBIC) for image in images]
    resized = ops.resize_bicubic(tf.constant(images), size)
    np.testing.assert_allclose(resized, expected, rtol=1e-4, atol=1e-5)


def test_hand_computed():
    # Two pixels 0 and 4 to four: positions -0.25, 0.25, 0.75, 1.25. Keys' kernel with a = -0.75 at
    # the distances 1.25, 0.25, 0.75, 1.75 is -27/256, 225/256, 67/256, -9/256. At 0.25 the pixel
    # of value 4 is at 0.75, and once more, repeated, at 1.75: 4 (67 - 9) / 256 = 0.90625. At -0.25
    # it is at 1.25 alone: 4 (-27) / 256 = -0.421875. The rest follows by symmetry about 2.
    images = np.array([0.0, 4.0], np.float32).reshape(1, 1, 2, 1)
    resized = ops.resize_bicubic(tf.constant(images), (1, 4))
    np.testing.assert_array_equal(resized[0, 0, :, 0], [-0.421875, 0.90625, 3.09375, 4.421875])


def test_the_own_size_is_left_alone_to_the_last_bit(rng):
    images = rng.uniform(0, 255, size=(2, 8, 11, 3)).astype(np.float32)
    np.testing.assert_array_equal(ops.resize_bicubic(tf.constant(images), (8, 11)), images)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 30), st.integers(1, 30), st.floats(-200, 200, width=32))
def test_a_constant_picture_stays_constant(height, width, value):
    images = tf.fill([1, 6, 5, 1], value)
    resized = ops.resize_bicubic(images, tf.constant([height, width]))
    assert resized.shape == (1, height, width, 1)
    np.testing.assert_allclose(
        resized, tf.fill([1, height, width, 1], value), rtol=1e-5, atol=1e-30
    )
