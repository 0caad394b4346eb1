"""Other packages' Grad-CAM of one picture, as their documentation says, where installed."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

import keras
import numpy as np

Job = Callable[[], object]


def peer_jobs(model: keras.Model, layer: str, picture: np.ndarray) -> dict[str, Job]:
    """Return what to time for each package that is importable, by its name.

    Args:
        model: A classifier that ends in its logits.
        layer: The layer to explain.
        picture: One preprocessed picture, float32 `[1, H, W, 3]`.
    """
    makers = {
        "tf_keras_vis": _tf_keras_vis,
        "tf_explain": _tf_explain,
        "xplique": _xplique,
    }
    return {name: make(model, layer, picture) for name, make in makers.items() if find_spec(name)}


def _tf_keras_vis(model: keras.Model, layer: str, picture: np.ndarray) -> Job:
    from tf_keras_vis.gradcam import Gradcam
    from tf_keras_vis.utils.scores import CategoricalScore

    explainer = Gradcam(model, clone=False)
    return lambda: explainer(CategoricalScore([0]), picture, penultimate_layer=layer)


def _tf_explain(model: keras.Model, layer: str, picture: np.ndarray) -> Job:
    from tf_explain.core.grad_cam import GradCAM

    explainer = GradCAM()
    return lambda: explainer.explain((picture, None), model, 0, layer_name=layer)


def _xplique(model: keras.Model, layer: str, picture: np.ndarray) -> Job:
    from xplique.attributions import GradCAM

    explainer = GradCAM(model, batch_size=1, conv_layer=layer)
    target = np.eye(model.output_shape[-1], dtype=np.float32)[:1]
    return lambda: np.asarray(explainer(picture, target))
