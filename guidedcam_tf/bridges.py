"""Metrics of other toolkits, Quantus and xplique, on the maps of this package."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.methods import get_method
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
    chosen = _chosen(explainer, method, options, "Quantus")

    def explain_func(
        model: keras.Model, inputs: np.ndarray, targets: np.ndarray, **_: Any
    ) -> np.ndarray:
        ids, opened = np.asarray(targets, np.int64), _of_model(explainer, model)
        return opened.maps(np.asarray(inputs, np.float32), ids, chosen)[:, None]

    return explain_func


def xplique_explain(
    explainer: Explainer, method: str | Method = "guided", **options: Any
) -> XpliqueExplainer:
    """Return what xplique's metrics take as an explainer, and what makes maps for the others.

    xplique hands over what the model takes, so the explainer must not preprocess.

    Args:
        explainer: An explainer that was opened with `preprocess="none"`.
        method: A name from `list_methods()`, or a method.
        **options: The method's options by name.

    Raises:
        InputError: If the explainer preprocesses, or there is no such method or option.

    Example:
        >>> model = keras.applications.MobileNetV2(weights=None)
        >>> explain = xplique_explain(Explainer(model, preprocess="none"), "gradcam")
        >>> explain(np.zeros([1, 224, 224, 3]), np.eye(1000)[[7]]).shape
        (1, 224, 224)
    """
    return XpliqueExplainer(explainer, _chosen(explainer, method, options, "xplique"))


class XpliqueExplainer:
    """A method as xplique's metrics call one.

    Attributes:
        model: What is explained; tests with random weights put another in its place.
    """

    def __init__(self, explainer: Explainer, method: Method) -> None:
        self.model = explainer.network.model
        self._explainer = explainer
        self._method = method

    def explain(self, inputs: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Explain pictures `[N, H, W, C]` for one-hot classes `[N, classes]`.

        Returns:
            Float32 `[N, H, W]` in `[0, 1]`.

        Raises:
            InputError: If the targets are not one-hot.
        """
        one_hot = np.asarray(targets)
        if (
            one_hot.ndim != 2
            or not (np.sort(one_hot)[:, ::-1] == np.eye(one_hot.shape[1])[0]).all()
        ):
            raise InputError(f"targets must be one-hot, [N, classes]; received {one_hot.tolist()}")
        ids = one_hot.argmax(axis=-1)
        return _of_model(self._explainer, self.model).maps(
            np.asarray(inputs, np.float32), ids, self._method
        )

    __call__ = explain


def _of_model(explainer: Explainer, model: keras.Model) -> Explainer:
    """An explainer of the model that a toolkit hands over, at the layer of the one it got."""
    if model is explainer.network.model:
        return explainer
    return explainer_of(model, explainer.layer)


def _chosen(
    explainer: Explainer, method: str | Method, options: dict[str, Any], toolkit: str
) -> Method:
    """The method, for an explainer that takes what the toolkit hands over."""
    if not isinstance(explainer, Explainer):
        raise InputError(
            f"{toolkit.lower()}_explain takes an Explainer; received {type(explainer).__name__}: "
            'open Explainer(model, preprocess="none")'
        )
    if explainer.network.takes_pixels:
        raise InputError(
            f"{toolkit.lower()}_explain needs an explainer that does not preprocess, as {toolkit} "
            'hands over what the model takes: open Explainer(model, preprocess="none")'
        )
    return get_method(method, **options)
