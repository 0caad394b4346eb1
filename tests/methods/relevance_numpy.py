"""Relevance-CAM in NumPy: the rules as loops, and the closed form before global pooling."""

import numpy as np
import tensorflow as tf
from methods.toy_numpy import convolve
from methods.toy_numpy import pool

from guidedcam_tf.methods import get_method


def relevance_maps(explainer, images, class_ids, **options):
    """The saliency and the relevance, `[N, T, h, w]`."""
    kernel = explainer.pipeline.kernel(get_method("relevance_cam", **options))
    result = kernel(tf.constant(images, tf.float32), tf.constant(class_ids, tf.int32))
    return result["saliency"].numpy(), result["relevance"].numpy()


def loops_initial(init, target, logits):
    """The relevance of the logits of one picture."""
    relevance = np.zeros(len(logits))
    shifted = np.exp(logits - logits.max())
    probabilities = shifted / shifted.sum()
    for j in range(len(logits)):
        if j == target:
            relevance[j] = 1
        elif init == "clrp":
            relevance[j] = -1 / len(logits)
        elif init == "sglrp":
            relevance[j] = -probabilities[j] / (1 - probabilities[target])
    return relevance


def loops_dense(x, kernel, relevance):
    """z+ of a dense layer, unit by unit."""
    shares = np.zeros(len(x))
    for j in range(kernel.shape[1]):
        products = np.maximum(x * kernel[:, j], 0)
        if products.sum():
            shares += products / products.sum() * relevance[j]
    return shares


def loops_convolution(x, kernel, bias, relevance):
    """z+ of a convolution with zero padding, stride 1, and its bias twice, window by window."""
    radius = kernel.shape[0] // 2
    padded = np.pad(x, ((radius, radius), (radius, radius), (0, 0)))
    shares = np.zeros_like(padded)
    for i, j, f in np.ndindex(*relevance.shape):
        window = (slice(i, i + 2 * radius + 1), slice(j, j + 2 * radius + 1))
        products = np.maximum(padded[window] * kernel[..., f], 0)
        shares[window] += products / (products.sum() + 2 * bias[f]) * relevance[i, j, f]
    return shares[radius:-radius, radius:-radius]


def loops_pooling(x, relevance):
    """The whole relevance to the largest element of each 2 x 2 cell."""
    shares = np.zeros_like(x)
    for i, j, k in np.ndindex(*relevance.shape):
        cell = x[2 * i : 2 * i + 2, 2 * j : 2 * j + 2, k]
        row, column = np.unravel_index(cell.argmax(), cell.shape)
        shares[2 * i + row, 2 * j + column, k] = relevance[i, j, k]
    return shares


def loops_relevance_cam(slow, image, target, init, layer):
    """The map at `conv1` or `conv2` of a toy network, and the relevance summed over channels."""
    first = np.maximum(convolve(image[None], slow["conv1/kernel"], slow["conv1/bias"]), 0)[0]
    pooled = pool(first[None])[0]
    second = slow.activations(image[None])[0]
    relevance = loops_initial(init, target, slow.logits(second[None])[0])
    if "fc/kernel" in slow.weights:
        flat = second.ravel()
        hidden = np.maximum(flat @ slow["fc/kernel"] + slow["fc/bias"], 0)
        relevance = loops_dense(hidden, slow["scores/kernel"], relevance)
        relevance = loops_dense(flat, slow["fc/kernel"], relevance).reshape(second.shape)
    else:
        means = second.mean(axis=(0, 1))
        relevance = loops_dense(means, slow["scores/kernel"], relevance)
        relevance = second / (16 * np.where(means > 0, means, 1)) * relevance
    if layer == "conv2":
        return (relevance.mean(axis=(0, 1)) * second).sum(axis=2), relevance.sum(axis=2)
    relevance = loops_convolution(pooled, slow["conv2/kernel"], slow["conv2/bias"], relevance)
    relevance = loops_pooling(first, relevance)
    return (relevance.mean(axis=(0, 1)) * first).sum(axis=2), relevance.sum(axis=2)


def closed_form(activations, kernel, target):
    """S and sum_k R^k before global pooling and one dense layer, float64 `[h, w]` each."""
    means = activations.mean(axis=(0, 1))
    positive = np.maximum(kernel, 0)
    initial = np.where(np.arange(kernel.shape[1]) == target, 1, -1 / kernel.shape[1])
    relevance = means * (positive @ (initial / (means @ positive)))
    totals = activations.sum(axis=(0, 1))
    weights = relevance / activations[:, :, 0].size
    shares = activations / np.where(totals > 0, totals, 1) * relevance
    return activations @ weights, shares.sum(axis=2)
