"""The proposed saliency map of a Keras classifier in one line."""

from __future__ import annotations

from functools import lru_cache

import keras
import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.networks.view import one_layer
from guidedcam_tf.targets import Targets


def guided_cam(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Targets = None,
    layer: str | None = None,
) -> np.ndarray:
    """Return the proposed saliency maps of a Keras classifier in one line.

    The model's compiled kernel is kept for the next call with the same model and layer, until
    something else than the values of the model's weights is changed.

    Args:
        model: A model with one picture input and one output, as in `Explainer`; it is not changed.
        images: What `model.predict` takes, `[N, H, W, C]`: preprocessed if the model needs it.
        class_ids: One class index for each picture; `None` for each picture's best class; or a
            function of the output, as in `Explainer.explain`.
        layer: The layer to explain; by default the last one with a spatial feature map.

    Returns:
        Float32 `[N, H, W]` in `[0, 1]`.

    Raises:
        InputError: If the model or an argument has another form.
    """
    if not isinstance(model, keras.Model):
        raise InputError(f"model must be a keras.Model; received {type(model).__name__}")
    one_layer(layer)
    return explainer_of(model, layer).maps(images, class_ids)


def explainer_of(model: keras.Model, layer: str | None) -> Explainer:
    """Return an explainer, the same as before unless the model has changed since."""
    if _opened(model, layer).network.structure.change():
        _opened.cache_clear()
    return _opened(model, layer)


@lru_cache(maxsize=2)
def _opened(model: keras.Model, layer: str | None) -> Explainer:
    return Explainer(model, layer=layer, preprocess="none")
