"""RISE's blur."""

import numpy as np
import pytest
from scipy import ndimage

from guidedcam_tf import InputError
from guidedcam_tf.metrics import blurred


@pytest.mark.parametrize(("size", "sigma"), [(11, 5.0), (3, 0.8), (5, 9.0)])
def test_matches_scipy(rng, size, sigma):
    impulse = np.zeros((size, size))
    impulse[size // 2, size // 2] = 1
    kernel = ndimage.gaussian_filter(impulse, sigma)
    inputs = rng.normal(size=(2, 20, 17, 3))
    result = blurred(inputs, size=size, sigma=sigma)
    for n, channel in np.ndindex(2, 3):
        expected = ndimage.convolve(inputs[n, ..., channel], kernel, mode="constant")
        np.testing.assert_allclose(result[n, ..., channel], expected, atol=1e-12)


def test_keeps_a_constant_inside_and_fades_at_the_border():
    result = blurred(np.ones((24, 24, 3), np.float32))
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[5:-5, 5:-5], 1, rtol=1e-6)
    assert (result[0] < 0.6).all()
    assert (result[0, 0] < 0.36).all()


@pytest.mark.parametrize(
    ("inputs", "options", "message"),
    [
        (
            np.zeros((4, 4, 3), np.uint8),
            {},
            r"inputs must be floats \[..., H, W, C\]; received uint8",
        ),
        (np.zeros((4, 4)), {}, r"received float64 \(4, 4\)"),
        (np.zeros((4, 4, 3)), {"size": 4}, "size must be odd and positive; received 4"),
        (np.zeros((4, 4, 3)), {"sigma": 0}, "sigma must be positive; received 0"),
    ],
)
def test_bad_arguments_are_errors(inputs, options, message):
    with pytest.raises(InputError, match=message):
        blurred(inputs, **options)
