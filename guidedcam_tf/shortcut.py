"""The proposed saliency map of a Keras classifier in one line."""

from __future__ import annotations

from functools import lru_cache

import keras
import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.networks.keras_graph import Structure
from guidedcam_tf.networks.view import one_layer
from guidedcam_tf.targets import Targets


def guided_cam(
    model: keras.Model,
    images: np.ndarray,
    class_ids: Targets = None,
    layer: str | None = None,
) -> np.ndarray:
    """Return the proposed saliency maps of a Keras classifier in one line.

    The model's compiled kernel is kept for the next call with the same model and layer, until a
    layer or an activation of the model is exchanged.

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
    return explainer_of(model, Structure(model), layer).maps(images, class_ids)


@lru_cache(maxsize=2)
def explainer_of(model: keras.Model, structure: Structure, layer: str | None) -> Explainer:
    """Return an explainer; a model whose `structure` changed since gets another."""
    return Explainer(model, layer=layer, preprocess="none")
