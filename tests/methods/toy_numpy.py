"""The toy networks of `conftest.build_toy`, once more in slow NumPy, in float64.

The forward pass is written as loops, and the gradient as central differences, so nothing of it can
share a mistake with TensorFlow or with the package.
"""

import numpy as np


def convolve(images, kernel, bias):
    """Convolve `[N, H, W, C]` with `[k, k, C, F]`, zero padding, stride 1."""
    count, height, width, _ = images.shape
    size = kernel.shape[0]
    padded = np.pad(images, ((0, 0), (size // 2,) * 2, (size // 2,) * 2, (0, 0)))
    out = np.zeros((count, height, width, kernel.shape[-1]))
    for i in range(height):
        for j in range(width):
            window = padded[:, i : i + size, j : j + size, :]
            out[:, i, j, :] = np.tensordot(window, kernel, axes=3) + bias
    return out


def pool(maps):
    """Maximum over 2 x 2 cells."""
    count, height, width, channels = maps.shape
    return maps.reshape(count, height // 2, 2, width // 2, 2, channels).max(axis=(2, 4))


class ToyNumpy:
    """A toy network's weights in float64, and its passes."""

    def __init__(self, model):
        self.weights = {v.path: v.numpy().astype(np.float64) for v in model.weights}

    def __getitem__(self, path):
        return self.weights[path]

    def activations(self, images):
        """The output of `conv2`, `[N, 4, 4, 5]`."""
        x = images.astype(np.float64)
        x = np.maximum(convolve(x, self["conv1/kernel"], self["conv1/bias"]), 0)
        return np.maximum(convolve(pool(x), self["conv2/kernel"], self["conv2/bias"]), 0)

    def logits(self, activations):
        """The scores before softmax from the output of `conv2`, `[N, classes]`."""
        if "fc/kernel" in self.weights:
            x = activations.reshape(len(activations), -1)
            x = np.maximum(x @ self["fc/kernel"] + self["fc/bias"], 0)
        else:
            x = activations.mean(axis=(1, 2))
        return x @ self["scores/kernel"] + self["scores/bias"]

    def gradients(self, activations, class_ids, step=1e-5):
        """d logit / d activations by central differences, `[N, 4, 4, 5]`."""
        gradients = np.zeros_like(activations)
        rows = np.arange(len(activations))
        for index in np.ndindex(*activations.shape[1:]):
            moved = np.zeros_like(activations)
            moved[(slice(None), *index)] = step
            above = self.logits(activations + moved)[rows, class_ids]
            below = self.logits(activations - moved)[rows, class_ids]
            gradients[(slice(None), *index)] = (above - below) / (2 * step)
        return gradients
