"""Quantus's metrics on the maps of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
from guidedcam_tf.networks.keras_graph import Structure
from guidedcam_tf.shortcut import explainer_of


def quantus_explain(
    explainer: Explainer, method: str | Method = "guided", **options: Any
) -> Callable[..., np.ndarray]:
    """Return what Quantus's metrics take as `explain_func`.

    Quantus hands over what the model takes, so the explainer must not preprocess. Where it hands
    over another model, as its tests with random weights do, that one is explained, at the
    explainer's layer.

    Args:
        explainer: An explainer that was opened with `preprocess="none"`.
        method: A name from `list_methods()`, or a method.
        **options: The method's options by name.

    Returns:
        A function of a model, pictures `[N, H, W, C]` and class indices `[N]` that returns maps,
        float32 `[N, 1, H, W]` in `[0, 1]`: Quantus puts the channels of maps first, also where the
        metrics are called with `channel_first=False`.

    Raises:
        InputError: If the explainer preprocesses, or there is no such method or option.

    Example:
        >>> model = keras.applications.MobileNetV2(weights=None)
        >>> explain = quantus_explain(Explainer(model, preprocess="none"), "gradcam")
        >>> explain(model, np.zeros([1, 224, 224, 3]), [7]).shape
        (1, 1, 224, 224)
    """
    if explainer.network.takes_pixels:
        raise InputError(
            "quantus_explain needs an explainer that does not preprocess, as Quantus hands over "
            'what the model takes: open Explainer(model, preprocess="none")'
        )
    chosen = get_method(method, **options)

    def explain_func(
        model: keras.Model, inputs: np.ndarray, targets: np.ndarray, **_: Any
    ) -> np.ndarray:
        opened = explainer
        if model is not explainer.network.model:
            opened = explainer_of(model, Structure(model), explainer.layer)
        ids = np.asarray(targets, np.int64)
        return opened.maps(np.asarray(inputs, np.float32), ids, chosen)[:, None]

    return explain_func
