"""Networks: Keras models by name or as they stand, their weights, class names and layers."""

from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.networks.network import Network
from guidedcam_tf.networks.opening import open_network
from guidedcam_tf.networks.view import LayerView

__all__ = ["ClassNames", "LayerView", "Network", "open_network"]
