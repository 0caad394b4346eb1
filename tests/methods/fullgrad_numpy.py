"""FullGrad of the toy networks of `conftest.build_toy`, in slow NumPy, in float64.

Gradients are central differences: each element before an activation is moved up and down, and the
forward pass is run again.
"""

import numpy as np
from methods.toy_numpy import ToyNumpy
from methods.toy_numpy import convolve
from methods.toy_numpy import pool

STEP = 1e-6


class SlowFullGrad(ToyNumpy):
    """A toy network whose logits are split into their terms."""

    def forward(self, images, place=None, shift=0.0):
        """The logits, with `shift` added at a place: the input, or a layer before its activation.

        Returns them with the shapes of all places.
        """
        shapes = {}

        def at(name, value):
            shapes[name] = value.shape[1:]
            return value + shift if name == place else value

        x = at("input", images.astype(np.float64))
        x = np.maximum(at("conv1", convolve(x, self["conv1/kernel"], self["conv1/bias"])), 0)
        x = at("conv2", convolve(pool(x), self["conv2/kernel"], self["conv2/bias"]))
        x = np.maximum(x, 0)
        if "fc/kernel" in self.weights:
            x = x.reshape(len(x), -1)
            x = np.maximum(at("fc", x @ self["fc/kernel"] + self["fc/bias"]), 0)
        else:
            x = x.mean(axis=(1, 2))
        return at("scores", x @ self["scores/kernel"] + self["scores/bias"]), shapes

    def terms(self, image, class_id):
        """A dictionary from each place to x * dY/dx or b * dY/dz of one picture `[H, W, C]`."""
        _, shapes = self.forward(image[None])
        terms = {}
        for place, shape in shapes.items():
            moves = STEP * np.eye(int(np.prod(shape))).reshape(-1, *shape)
            images = np.repeat(image[None], len(moves), axis=0)
            above, _ = self.forward(images, place, moves)
            below, _ = self.forward(images, place, -moves)
            gradient = (above - below)[:, class_id].reshape(shape) / (2 * STEP)
            factor = image if place == "input" else self[f"{place}/bias"]
            terms[place] = factor * gradient
        return terms


def rescale(term):
    """psi: absolute values, stretched to 0..1."""
    magnitude = np.abs(term)
    magnitude = magnitude - magnitude.min()
    return magnitude / (magnitude.max() + 1e-6)


def upsample(channel, size, align_corners=True):
    """Bilinear, pixel by pixel."""

    def neighbours(index, length, new_length):
        if align_corners:
            position = index * (length - 1) / (new_length - 1)
        else:
            position = (index + 0.5) * length / new_length - 0.5
        position = min(max(position, 0), length - 1)
        low = min(int(position), length - 2)
        return low, position - low

    resized = np.zeros(size)
    for i, j in np.ndindex(*size):
        row, down = neighbours(i, channel.shape[0], size[0])
        column, right = neighbours(j, channel.shape[1], size[1])
        window = channel[row : row + 2, column : column + 2]
        resized[i, j] = np.array([1 - down, down]) @ window @ np.array([1 - right, right])
    return resized


def aggregate(terms, align_corners=True):
    """The map of terms `[h, w, c]`, channel by channel; the first is as large as the map."""
    size = terms[0].shape[:2]
    saliency = np.zeros(size)
    for term in terms:
        rescaled = rescale(term)
        for channel in range(term.shape[2]):
            saliency += upsample(rescaled[:, :, channel], size, align_corners)
    return saliency
