"""The sanity check of Adebayo et al.: does a map change where the network's weights are random?

Weights are drawn again from each layer's own initialiser: cascading, from the logits downwards, or
independently, one layer alone. A map that stays as it was is not about what the network learned.
A method of one layer reads the layers above it through gradients and those below through
activations; gradients alone at the pixels read all.

Source: Adebayo et al., "Sanity Checks for Saliency Maps", NeurIPS 2018, arXiv 1810.03292.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from collections.abc import Mapping
from itertools import pairwise
from typing import Literal

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.ndimage import uniform_filter
from scipy.stats import spearmanr

from guidedcam_tf.arrays import check_images
from guidedcam_tf.arrays import check_sees_pictures
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.networks import Network
from guidedcam_tf.progress import progress

Mode = Literal["cascading", "independent"]
WINDOW = 7


def sanity_check(
    explainer: Explainer,
    other: Explainer,
    pictures: np.ndarray,
    methods: Mapping[str, Method],
    *,
    mode: Mode = "cascading",
    stages: int = 10,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare maps of a network with those of the same network with random weights.

    The class is the clean network's best, for each picture.

    Args:
        explainer: The network.
        other: The same network opened a second time. Its weights are changed, and restored.
        pictures: RGB `[N, H, W, 3]` in 0..255, or what else `Explainer.maps` takes of the network.
        methods: The methods by their labels.
        mode: `"cascading"`: a layer and all above it; `"independent"`: a layer alone.
        stages: At how many layers, evenly spaced from the top, maps are compared.
        seed: The seed of the random weights.

    Returns:
        Columns method, mode, layer, stage (from 1), spearman and ssim: the similarity to the clean
        map, the mean over pictures; NaN where a map is flat, and `flat` counts those.

    Raises:
        InputError: If the two are one model or differ in their layers, if the model cannot be
            cloned for its initialisers, or if it does not take pictures and give `[N, classes]`.
    """
    if other.network.model is explainer.network.model:
        raise InputError("other must be opened a second time, because its weights are changed")
    check_sees_classes_of_pictures(explainer.network)
    fitted = explainer.pipeline.fitted(check_images(pictures, explainer.network))
    best = tf.argmax(explainer.pipeline.logits(fitted), axis=1, output_type=tf.int32)[:, None]
    clean = {label: _maps(explainer, method, fitted, best) for label, method in methods.items()}
    model, found = other.network.model, []
    kept = model.get_weights()
    try:
        steps = progress(list(_randomised(model, mode, stages, seed)), "randomising")
        for stage, layer in enumerate(steps, 1):
            layer.apply()
            for label, method in methods.items():
                changed = _maps(other, method, fitted, best)
                keys = {"method": label, "mode": mode, "layer": layer.name, "stage": stage}
                found.append(keys | _similarity(clean[label], changed))
            if mode == "independent":
                model.set_weights(kept)
    finally:
        model.set_weights(kept)
    result: pd.DataFrame = pd.DataFrame(found)
    return result


def check_sees_classes_of_pictures(network: Network) -> None:
    """Raise `InputError` where there is no best class of a picture to explain."""
    check_sees_pictures(network, "a sanity check")
    if not network.has_classes:
        raise InputError(
            "a sanity check compares maps of each picture's best class, of an output [N, classes]; "
            f"{network.name!r} gives {network.graph.output_shape}"
        )


class _Stage:
    """Layers whose weights are replaced together, named by the lowest of them."""

    def __init__(self, layers: list[tuple[keras.Layer, list[np.ndarray]]]) -> None:
        self.name = layers[-1][0].name
        self._layers = layers

    def apply(self) -> None:
        for layer, weights in self._layers:
            layer.set_weights(weights)


def _randomised(model: keras.Model, mode: Mode, stages: int, seed: int) -> Iterator[_Stage]:
    """The stages from the top down, with their random weights.

    Layers that learn nothing, such as a Normalization, are left as they are, frozen ones are not.
    The weights are new ones of the model's initialisers, shuffled: an initialiser with a seed of
    its own, or the seed that the model was built with, would give those that training began with.
    """
    state = random.getstate()
    random.seed(seed)  # Keras draws the seeds of initialisers without one from here.
    try:
        fresh = keras.models.clone_model(model)
    except Exception as error:  # Cloning runs the model's own code, which may raise anything.
        raise InputError(
            f"model {model.name!r} cannot be cloned for random weights: {reason_of(error)}"
        ) from error
    finally:
        random.setstate(state)
    generator = np.random.default_rng(seed)
    pairs = [
        (layer, [_shuffled(weights, generator) for weights in new.get_weights()])
        for layer, new in zip(model.layers, fresh.layers, strict=True)
        if any(each._trainable_variables for each in layer._flatten_layers())
    ][::-1]
    cuts = np.unique(np.linspace(0, len(pairs), min(stages, len(pairs)) + 1).astype(int))
    for above, below in pairwise(cuts):
        yield _Stage(pairs[above:below] if mode == "cascading" else [pairs[above]])


def _shuffled(weights: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    return generator.permutation(weights.ravel()).reshape(weights.shape)


def _maps(
    explainer: Explainer, method: Method, fitted: tf.Tensor, class_ids: tf.Tensor
) -> np.ndarray:
    raw = explainer.pipeline.explain(method, fitted, class_ids)["saliency"][:, 0]
    found: np.ndarray = explainer.pipeline.finish_fitted(raw, fitted.shape[1:3]).numpy()
    return found


def _similarity(clean: np.ndarray, changed: np.ndarray) -> dict[str, float]:
    """Spearman's correlation and SSIM, the mean over pairs of maps of which neither is flat."""
    both = zip(clean, changed, strict=True)
    pairs = [(one, other) for one, other in both if np.ptp(one) * np.ptp(other)]
    if not pairs:
        return {"spearman": math.nan, "ssim": math.nan, "flat": len(clean)}
    return {
        "spearman": float(np.mean([spearmanr(a, b, axis=None).statistic for a, b in pairs])),
        "ssim": float(np.mean([ssim(a, b) for a, b in pairs])),
        "flat": len(clean) - len(pairs),
    }


def ssim(first: np.ndarray, second: np.ndarray) -> float:
    """The structural similarity of two maps in `[0, 1]`, `[H, W]`, by windows of 7 x 7.

    Source: Wang et al., "Image Quality Assessment: From Error Visibility to Structural Similarity",
    2004, with sample variances, as in scikit-image.
    """
    x, y = first.astype(float), second.astype(float)
    mean_x, mean_y = uniform_filter(x, WINDOW), uniform_filter(y, WINDOW)
    unbiased = WINDOW**2 / (WINDOW**2 - 1)
    variance_x = unbiased * (uniform_filter(x * x, WINDOW) - mean_x**2)
    variance_y = unbiased * (uniform_filter(y * y, WINDOW) - mean_y**2)
    covariance = unbiased * (uniform_filter(x * y, WINDOW) - mean_x * mean_y)
    small, smaller = 0.01**2, 0.03**2
    of_means = (2 * mean_x * mean_y + small) / (mean_x**2 + mean_y**2 + small)
    found = of_means * (2 * covariance + smaller) / (variance_x + variance_y + smaller)
    margin = WINDOW // 2
    inner = found[margin:-margin, margin:-margin] if min(found.shape) > 2 * margin else found
    return float(inner.mean())
