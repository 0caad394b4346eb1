"""The blurred picture from which insertion starts."""

from __future__ import annotations

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown


def blurred(inputs: np.ndarray, *, size: int = 11, sigma: float = 5.0) -> np.ndarray:
    """Blur pictures as RISE does, in the preprocessed space.

    RISE's kernel is a single 1 in a window of zeros after SciPy's `gaussian_filter`, which mirrors
    at the window's edge. So the Gaussian's tails are folded back into the window, and the kernel
    is flatter than a Gaussian that is cut off there. Outside the picture is 0, the mean colour, so
    borders fade to it.

    Args:
        inputs: Preprocessed pictures, floats `[..., H, W, C]`.
        size: Odd width of the kernel, in pixels.
        sigma: Standard deviation, in pixels.

    Returns:
        Pictures of the same shape and dtype.

    Raises:
        InputError: If the inputs are no pictures of floats, or the kernel's numbers make none.

    Source: Petsiuk et al., "RISE", BMVC 2018, and its `evaluation.py`.
    """
    inputs = np.asarray(inputs)
    if inputs.ndim < 3 or not np.issubdtype(inputs.dtype, np.floating):
        raise InputError(
            f"inputs must be floats [..., H, W, C]; received {inputs.dtype} {inputs.shape}"
        )
    if size < 1 or size % 2 == 0:
        raise InputError(f"size must be odd and positive; received {shown(size)}")
    if not sigma > 0:
        raise InputError(f"sigma must be positive; received {shown(sigma)}")
    kernel = _folded_gaussian(size, sigma).astype(inputs.dtype)
    margin = size // 2
    for axis in (-3, -2):
        width = inputs.shape[axis]
        padding = [(0, 0)] * inputs.ndim
        padding[axis] = (margin, margin)
        padded = np.moveaxis(np.pad(inputs, padding), axis, 0)
        total = sum(weight * padded[i : i + width] for i, weight in enumerate(kernel))
        inputs = np.moveaxis(total, 0, axis)
    return np.ascontiguousarray(inputs)


def _folded_gaussian(size: int, sigma: float) -> np.ndarray:
    reach = int(4 * sigma + 0.5)
    gaussian = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    impulse = np.zeros(size)
    impulse[size // 2] = 1
    return np.convolve(np.pad(impulse, reach, mode="symmetric"), gaussian / gaussian.sum(), "valid")
