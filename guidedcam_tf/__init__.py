"""Saliency maps for Keras: the global-guidance method and those it is compared with.

    import guidedcam_tf as gcam

    explanation = gcam.Explainer("resnet50").explain("cat.jpg", targets=["Egyptian cat"])

TensorFlow is imported when one of these names is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

if TYPE_CHECKING:
    from guidedcam_tf import targets
    from guidedcam_tf.bridges import quantus_explain
    from guidedcam_tf.bridges import xplique_explain
    from guidedcam_tf.callback import SaliencyCallback
    from guidedcam_tf.errors import InputError
    from guidedcam_tf.evaluation.results import Run
    from guidedcam_tf.evaluation.results import open_run
    from guidedcam_tf.explainer import Explainer
    from guidedcam_tf.explanation import Explanation
    from guidedcam_tf.fusing import explain_layers
    from guidedcam_tf.fusing import fuse
    from guidedcam_tf.methods import list_methods
    from guidedcam_tf.serving.saved_model import export
    from guidedcam_tf.shortcut import guided_cam

__version__ = "0.1.0"

_HOMES = {
    "Explainer": "guidedcam_tf.explainer",
    "Explanation": "guidedcam_tf.explanation",
    "InputError": "guidedcam_tf.errors",
    "explain_layers": "guidedcam_tf.fusing",
    "fuse": "guidedcam_tf.fusing",
    "export": "guidedcam_tf.serving.saved_model",
    "SaliencyCallback": "guidedcam_tf.callback",
    "guided_cam": "guidedcam_tf.shortcut",
    "list_methods": "guidedcam_tf.methods",
    "quantus_explain": "guidedcam_tf.bridges",
    "xplique_explain": "guidedcam_tf.bridges",
    "Run": "guidedcam_tf.evaluation.results",
    "open_run": "guidedcam_tf.evaluation.results",
}

__all__ = [
    "Explainer",
    "Explanation",
    "InputError",
    "Run",
    "SaliencyCallback",
    "explain_layers",
    "export",
    "fuse",
    "guided_cam",
    "list_methods",
    "open_run",
    "quantus_explain",
    "targets",
    "xplique_explain",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES and name != "targets":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name != "InputError":
        import_module("guidedcam_tf.errors").check_backend()
    if name == "targets":
        return import_module("guidedcam_tf.targets")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
