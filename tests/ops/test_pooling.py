"""Adaptive average pooling: loops, PyTorch's by Keras, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from guidedcam_tf import ops


def loops(maps, size):
    """Average over each cell, one cell at a time."""
    _, height, width, _ = maps.shape
    rows, columns = size
    result = np.zeros((len(maps), rows, columns, maps.shape[3]))
    for i, j in np.ndindex(rows, columns):
        top, bottom = int(np.floor(i * height / rows)), int(np.ceil((i + 1) * height / rows))
        left, right = int(np.floor(j * width / columns)), int(np.ceil((j + 1) * width / columns))
        result[:, i, j] = maps[:, top:bottom, left:right].mean(axis=(1, 2))
    return result


@pytest.mark.parametrize("size", [(1, 1), (2, 3), (7, 7), (10, 11), (13, 4)])
def test_matches_loops_and_keras(rng, size):
    maps = rng.normal(size=(2, 10, 11, 3)).astype(np.float32)
    pooled = ops.adaptive_average_pool(tf.constant(maps), size)
    np.testing.assert_allclose(pooled, loops(maps, size), rtol=1e-5, atol=1e-6)
    theirs = keras.layers.AdaptiveAveragePooling2D(size)(maps)
    np.testing.assert_allclose(pooled, theirs, rtol=1e-5, atol=1e-6)


def test_hand_computed():
    # Cells of 3 over 4 elements: [0, 2), [1, 3), [2, 4): they overlap.
    maps = np.array([1.0, 3.0, 7.0, 5.0], np.float32).reshape(1, 1, 4, 1)
    pooled = ops.adaptive_average_pool(tf.constant(maps), (1, 3))
    np.testing.assert_array_equal(pooled[0, 0, :, 0], [2.0, 5.0, 6.0])


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_the_own_extent_is_left_alone_to_the_last_bit(rng, dtype):
    maps = rng.normal(size=(2, 7, 5, 3)).astype(dtype)
    pooled = ops.adaptive_average_pool(tf.constant(maps), (7, 5))
    assert pooled.dtype == dtype
    np.testing.assert_array_equal(pooled, maps)


def test_the_result_has_a_known_extent_where_the_maps_have_not(rng):
    pool = tf.function(
        lambda maps: ops.adaptive_average_pool(maps, (2, 3)),
        input_signature=[tf.TensorSpec([None, None, None, 4], tf.float32)],
    )
    assert pool.get_concrete_function().output_shapes.as_list() == [None, 2, 3, 4]
    maps = rng.normal(size=(2, 5, 9, 4)).astype(np.float32)
    np.testing.assert_allclose(pool(maps), loops(maps, (2, 3)), rtol=1e-5, atol=1e-6)
