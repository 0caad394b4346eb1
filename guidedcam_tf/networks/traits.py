"""What is known of Keras's layers: one table of traits.

A layer has the traits of the class in the table whose `call` it runs. A subclass with a `call` of
its own has none: what it computes is not known.
"""

from __future__ import annotations

from enum import Flag
from enum import auto
from typing import Any

import keras
import tensorflow as tf
from keras.src.layers.preprocessing.data_layer import DataLayer

from guidedcam_tf.networks.class_pair import ClassPair


class Trait(Flag):
    """What can be relied on, for a layer in inference mode."""

    NONE = 0
    ACTIVATED = auto()
    """`call` computes something linear and then the layer's `activation`."""
    BIASED = auto()
    """W x + b, with b the layer's `bias`, before an activation."""
    LINEAR = auto()
    """An affine function of its input, the same for all pictures."""
    SAME_VALUES = auto()
    """Leaves the numbers of a picture as they are, and in their order."""
    KEEPS_SIGN = auto()
    """The output is not negative where the inputs are not."""
    REARRANGES = auto()
    """Moves or pools a feature map: never chosen by default."""
    PREPARES = auto()
    """Prepares or augments pictures."""
    ELEMENTWISE = auto()
    """Treats each element by itself, so it does not matter where the channels are."""
    HAS_AXIS = auto()
    """Has an `axis` that means the channels."""


_layers = keras.layers
_PADDING = Trait.LINEAR | Trait.KEEPS_SIGN | Trait.REARRANGES
_VALUES = Trait.LINEAR | Trait.SAME_VALUES | Trait.KEEPS_SIGN | Trait.REARRANGES
_BIASED = Trait.ACTIVATED | Trait.BIASED | Trait.LINEAR

TRAITS: dict[type, Trait] = {
    **dict.fromkeys(
        (
            _layers.Conv1D,
            _layers.Conv2D,
            _layers.Conv3D,
            _layers.Conv1DTranspose,
            _layers.Conv2DTranspose,
            _layers.Conv3DTranspose,
            _layers.Dense,
            _layers.DepthwiseConv1D,
            _layers.DepthwiseConv2D,
            _layers.SeparableConv1D,
            _layers.SeparableConv2D,
        ),
        _BIASED,
    ),
    ClassPair: Trait.LINEAR,
    _layers.EinsumDense: Trait.ACTIVATED | Trait.LINEAR,
    _layers.BatchNormalization: Trait.LINEAR | Trait.HAS_AXIS,
    _layers.GroupNormalization: Trait.HAS_AXIS,
    _layers.Softmax: Trait.HAS_AXIS | Trait.KEEPS_SIGN,
    _layers.Concatenate: Trait.HAS_AXIS | Trait.KEEPS_SIGN,
    _layers.Add: Trait.ELEMENTWISE | Trait.KEEPS_SIGN,
    **dict.fromkeys(
        (_layers.Average, _layers.Maximum, _layers.Minimum, _layers.Multiply),
        Trait.ELEMENTWISE | Trait.KEEPS_SIGN,
    ),
    **dict.fromkeys(
        (_layers.Activation, _layers.LeakyReLU, _layers.ReLU, _layers.Subtract), Trait.ELEMENTWISE
    ),
    **dict.fromkeys(
        (
            _layers.Dropout,
            _layers.SpatialDropout1D,
            _layers.SpatialDropout2D,
            _layers.SpatialDropout3D,
            _layers.GaussianNoise,
            _layers.Identity,
        ),
        _VALUES | Trait.ELEMENTWISE,
    ),
    **dict.fromkeys((_layers.Flatten, _layers.Reshape), _VALUES),
    **dict.fromkeys(
        (
            _layers.AveragePooling1D,
            _layers.AveragePooling2D,
            _layers.AveragePooling3D,
            _layers.Cropping1D,
            _layers.Cropping2D,
            _layers.Cropping3D,
            _layers.GlobalAveragePooling2D,
            _layers.GlobalAveragePooling3D,
            _layers.Permute,
            _layers.UpSampling1D,
            _layers.UpSampling2D,
            _layers.UpSampling3D,
            _layers.ZeroPadding1D,
            _layers.ZeroPadding2D,
            _layers.ZeroPadding3D,
        ),
        _PADDING,
    ),
    **dict.fromkeys(
        (
            _layers.GlobalAveragePooling1D,
            _layers.GlobalMaxPooling1D,
            _layers.GlobalMaxPooling2D,
            _layers.GlobalMaxPooling3D,
            _layers.MaxPooling1D,
            _layers.MaxPooling2D,
            _layers.MaxPooling3D,
        ),
        Trait.KEEPS_SIGN | Trait.REARRANGES,
    ),
}

GLOBAL_AVERAGES = (
    _layers.GlobalAveragePooling1D,
    _layers.GlobalAveragePooling2D,
    _layers.GlobalAveragePooling3D,
)

NONNEGATIVE = {
    keras.activations.hard_sigmoid,
    keras.activations.relu,
    keras.activations.relu6,
    keras.activations.sigmoid,
    keras.activations.softmax,
    keras.activations.softplus,
    tf.nn.relu,
    tf.nn.relu6,
    tf.nn.sigmoid,
    tf.nn.softmax,
    tf.nn.softplus,
}
"""Activation functions without negative values."""


def traits_of(layer: Any) -> Trait:
    """Return what is known of a layer or operation."""
    call = getattr(type(layer), "call", None)
    for each in type(layer).__mro__:
        if each in TRAITS and call is getattr(each, "call", None):
            return TRAITS[each]
    return Trait.PREPARES if isinstance(layer, DataLayer) else Trait.NONE


def holds_activation(layer: Any) -> bool:
    """Whether a layer is known to compute something linear and then an activation of its own."""
    return Trait.ACTIVATED in traits_of(layer) and (
        callable(layer.activation) and layer.activation is not keras.activations.linear
    )
