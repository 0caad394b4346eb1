"""Networks: Keras models by name or as they stand, their weights, class names and layers.

TensorFlow is imported when a name other than `ClassNames` is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING
from typing import Any

from guidedcam_tf.networks.classes import ClassNames

if TYPE_CHECKING:
    from guidedcam_tf.networks.network import Network
    from guidedcam_tf.networks.opening import open_network
    from guidedcam_tf.networks.view import LayerView

__all__ = ["ClassNames", "LayerView", "Network", "open_network"]

_HOMES = {"LayerView": "view", "Network": "network", "open_network": "opening"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
