"""The networks of Keras Applications that are known by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import keras

from guidedcam_tf.errors import InputError


@dataclass(frozen=True)
class Application:
    """One network of Keras Applications.

    Attributes:
        name: What the network is called here, in file names too.
        build: Keras's constructor.
        preprocessing: The mode of its `preprocess_input`: `"caffe"`, `"tf"` or `"torch"`.
        default_layer: The last convolutional block's output, after its ReLU.
        keras_file: What Keras calls its file of ImageNet weights.
        fingerprint: `weights.fingerprint` of Keras's ImageNet weights; empty where not known.
    """

    name: str
    build: Callable[..., keras.Model]
    preprocessing: str
    default_layer: str
    keras_file: str
    fingerprint: str = ""


APPLICATIONS = {
    application.name: application
    for application in (
        Application(
            name="resnet50",
            build=keras.applications.ResNet50,
            preprocessing="caffe",
            default_layer="conv5_block3_out",
            keras_file="resnet50_weights_tf_dim_ordering_tf_kernels.h5",
            fingerprint="ae68dd064ab20451ff706d7aee8283b951fe2aa094bdc30e118878768929b3fa",
        ),
        Application(
            name="vgg16",
            build=keras.applications.VGG16,
            preprocessing="caffe",
            default_layer="block5_conv3",
            keras_file="vgg16_weights_tf_dim_ordering_tf_kernels.h5",
        ),
    )
}


def find_application(name: str) -> Application:
    """Return the network of that name. Raises `InputError` if there is none."""
    try:
        return APPLICATIONS[name.lower()]
    except KeyError:
        raise InputError(
            f"model {name!r} is not known; expected {', '.join(sorted(APPLICATIONS))}, a file that "
            "ends in .keras or .h5, or a keras.Model"
        ) from None
