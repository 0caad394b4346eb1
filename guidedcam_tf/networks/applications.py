"""The convolutional networks of Keras Applications, by name."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
from keras import applications as keras_applications
from keras.src.applications.efficientnet import IMAGENET_STDDEV_RGB

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown


@dataclass(frozen=True)
class Application:
    """One network of Keras Applications.

    Attributes:
        name: What the network is called here, in file names too.
        build: Keras's constructor.
        preprocessing: The mode of its `preprocess_input`: `"caffe"`, `"tf"`, `"torch"`, or `"none"`
            where the network holds its preprocessing.
        default_layer: The last convolutional block's output, after its activation; empty where
            Keras numbers that layer afresh for each model, so that it is found by the rule for any
            network.
        keras_file: What Keras calls its file of ImageNet weights.
        fingerprint: `weights.fingerprint` of Keras's ImageNet weights; empty where not known.
        input_size: The height and width that the ImageNet weights are for.
    """

    name: str
    build: Callable[..., keras.Model]
    preprocessing: str
    default_layer: str
    keras_file: str
    fingerprint: str = ""
    input_size: int = 224


def _efficientnet(build: Callable[..., keras.Model], **kwargs: Any) -> keras.Model:
    """EfficientNet B0 to B7 as it is with ImageNet weights, whatever its weights come from.

    Keras scales the input once more where `weights="imagenet"`, and leaves that out of a model that
    reads the same weights from a file.
    """
    model = build(**kwargs)
    if kwargs.get("weights") == "imagenet":
        return model
    scale = keras.layers.Rescaling([deviation**-0.5 for deviation in IMAGENET_STDDEV_RGB])

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        outputs = layer(*args, **kwargs)
        return scale(outputs) if isinstance(layer, keras.layers.Normalization) else outputs

    return keras.models.clone_model(model, clone_function=lambda layer: layer, call_function=call)


def _mobilenetv3(build: Callable[..., keras.Model], **kwargs: Any) -> keras.Model:
    """MobileNetV3 for the size of its ImageNet weights; by default it has none."""
    return build(input_shape=(224, 224, 3), **kwargs)


TF_FILE = "{}_weights_tf_dim_ordering_tf_kernels.h5"
EFFICIENTNET_SIZES = {0: 224, 1: 240, 2: 260, 3: 300, 4: 380, 5: 456, 6: 528, 7: 600}
EFFICIENTNETV2_SIZES = {"b0": 224, "b1": 240, "b2": 260, "b3": 300, "s": 384, "m": 480, "l": 480}

TABLE = (
    Application(
        name="resnet50",
        build=keras_applications.ResNet50,
        preprocessing="caffe",
        default_layer="conv5_block3_out",
        keras_file=TF_FILE.format("resnet50"),
        fingerprint="ae68dd064ab20451ff706d7aee8283b951fe2aa094bdc30e118878768929b3fa",
    ),
    *(
        Application(
            f"resnet{depth}",
            getattr(keras_applications, f"ResNet{depth}"),
            "caffe",
            "conv5_block3_out",
            TF_FILE.format(f"resnet{depth}"),
        )
        for depth in (101, 152)
    ),
    *(
        Application(
            f"resnet{depth}v2",
            getattr(keras_applications, f"ResNet{depth}V2"),
            "tf",
            "post_relu",
            TF_FILE.format(f"resnet{depth}v2"),
        )
        for depth in (50, 101, 152)
    ),
    Application(
        "vgg16", keras_applications.VGG16, "caffe", "block5_conv3", TF_FILE.format("vgg16")
    ),
    Application(
        "vgg19", keras_applications.VGG19, "caffe", "block5_conv4", TF_FILE.format("vgg19")
    ),
    Application(
        "inceptionv3",
        keras_applications.InceptionV3,
        "tf",
        "mixed10",
        TF_FILE.format("inception_v3"),
        input_size=299,
    ),
    Application(
        "inceptionresnetv2",
        keras_applications.InceptionResNetV2,
        "tf",
        "conv_7b_ac",
        TF_FILE.format("inception_resnet_v2"),
        input_size=299,
    ),
    Application(
        "xception",
        keras_applications.Xception,
        "tf",
        "block14_sepconv2_act",
        TF_FILE.format("xception"),
        input_size=299,
    ),
    Application(
        "mobilenet",
        keras_applications.MobileNet,
        "tf",
        "conv_pw_13_relu",
        "mobilenet_1_0_224_tf.h5",
    ),
    Application(
        "mobilenetv2",
        keras_applications.MobileNetV2,
        "tf",
        "out_relu",
        "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
    ),
    *(
        Application(
            f"mobilenetv3-{size}",
            partial(_mobilenetv3, getattr(keras_applications, f"MobileNetV3{size.title()}")),
            "none",
            "",
            f"weights_mobilenet_v3_{size}_224_1.0_float.h5",
        )
        for size in ("small", "large")
    ),
    *(
        Application(
            f"densenet{depth}",
            getattr(keras_applications, f"DenseNet{depth}"),
            "torch",
            "relu",
            TF_FILE.format(f"densenet{depth}"),
        )
        for depth in (121, 169, 201)
    ),
    *(
        Application(
            f"nasnet-{size}",
            getattr(keras_applications, f"NASNet{size.title()}"),
            "tf",
            "",
            f"nasnet_{size}.h5",
            input_size=pixels,
        )
        for size, pixels in (("mobile", 224), ("large", 331))
    ),
    *(
        Application(
            f"efficientnetb{number}",
            partial(_efficientnet, getattr(keras_applications, f"EfficientNetB{number}")),
            "none",
            "top_activation",
            f"efficientnetb{number}.h5",
            input_size=pixels,
        )
        for number, pixels in EFFICIENTNET_SIZES.items()
    ),
    *(
        Application(
            f"efficientnetv2-{size}",
            getattr(keras_applications, f"EfficientNetV2{size.upper()}"),
            "none",
            "top_activation",
            f"efficientnetv2-{size}.h5",
            input_size=pixels,
        )
        for size, pixels in EFFICIENTNETV2_SIZES.items()
    ),
    *(
        Application(
            f"convnext-{name.lower()}",
            getattr(keras_applications, f"ConvNeXt{name}"),
            "none",
            "",
            f"convnext_{name.lower()}.h5",
        )
        for name in ("Tiny", "Small", "Base", "Large", "XLarge")
    ),
)

APPLICATIONS = {application.name: application for application in TABLE}
"""The networks by name."""


def find_application(name: str) -> Application:
    """Return the network of that name, whatever its case, hyphens and underscores.

    Raises:
        InputError: If there is none. The message offers the nearest.
    """
    known = {_plain(each): application for each, application in APPLICATIONS.items()}
    if _plain(name) in known:
        return known[_plain(name)]
    nearest = difflib.get_close_matches(_plain(name), known, n=3, cutoff=0.0)
    raise InputError(
        f"model {shown(name)} is not known; expected "
        f"{', '.join(known[each].name for each in nearest)} or another of the {len(known)} Keras "
        "Applications, a file that ends in .keras, .h5 or .hdf5, or a keras.Model"
    )


def needs_preprocessing(model_name: str) -> bool:
    """Whether a Keras model's name is that of an application that does not preprocess itself."""
    known = {_plain(each): application for each, application in APPLICATIONS.items()}
    # MobileNet and MobileNetV2 carry their width and size: "mobilenetv2_1.00_224".
    found = known.get(_plain(re.sub(r"_[\d.]+_\w+$", "", model_name)))
    return found is not None and found.preprocessing != "none"


MARKS = {
    "block2_sepconv1_act",
    "block3_conv3",
    "conv2_block1_0_bn",
    "conv2_block1_1_conv",
    "conv_dw_1_relu",
    "expanded_conv_depthwise",
    "mixed0",
    "mixed_5b",
    "stem_conv1",
}
"""Layers by which applications without preprocessing of their own are known as parts of a model."""


def holds_mark(names: Collection[str]) -> bool:
    """Whether layers of these names are those of an application that does not preprocess itself."""
    return not MARKS.isdisjoint(names)


def _plain(name: str) -> str:
    return re.sub(r"[-_ ]", "", name.casefold())
