"""The saliency methods, one file each, and the registry that finds them by name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.methods.ablationcam import AblationCAM
from guidedcam_tf.methods.attention_rollout import AttentionRollout
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.cam import CAM
from guidedcam_tf.methods.cameras import CAMERAS
from guidedcam_tf.methods.completeness import Completeness
from guidedcam_tf.methods.completeness import fullgrad_completeness
from guidedcam_tf.methods.deeplift import DeepLIFT
from guidedcam_tf.methods.eigencam import EigenCAM
from guidedcam_tf.methods.eigengradcam import EigenGradCAM
from guidedcam_tf.methods.excitation_backprop import ContrastiveExcitationBackprop
from guidedcam_tf.methods.excitation_backprop import ExcitationBackprop
from guidedcam_tf.methods.faster_scorecam import FasterScoreCAM
from guidedcam_tf.methods.fem import FEM
from guidedcam_tf.methods.finercam import FinerCAM
from guidedcam_tf.methods.fullgrad import FullGrad
from guidedcam_tf.methods.gradcam import GradCAM
from guidedcam_tf.methods.gradcam_plus_plus import GradCAMPlusPlus
from guidedcam_tf.methods.gradient import Gradient
from guidedcam_tf.methods.gradient import InputXGradient
from guidedcam_tf.methods.guided import Guided
from guidedcam_tf.methods.guided_backprop import GuidedBackprop
from guidedcam_tf.methods.guided_backprop import GuidedGradCAM
from guidedcam_tf.methods.hirescam import HiResCAM
from guidedcam_tf.methods.integrated_gradcam import IntegratedGradCAM
from guidedcam_tf.methods.integrated_gradients import IntegratedGradients
from guidedcam_tf.methods.layercam import LayerCAM
from guidedcam_tf.methods.legrad import LeGrad
from guidedcam_tf.methods.lrp import LRP
from guidedcam_tf.methods.normgrad import NormGrad
from guidedcam_tf.methods.occlusion import Occlusion
from guidedcam_tf.methods.options import options_from_text
from guidedcam_tf.methods.prediction_difference import PredictionDifference
from guidedcam_tf.methods.relevance_cam import RelevanceCAM
from guidedcam_tf.methods.rise import RISE
from guidedcam_tf.methods.scorecam import ScoreCAM
from guidedcam_tf.methods.shapleycam import ShapleyCAM
from guidedcam_tf.methods.sise import SISE
from guidedcam_tf.methods.sise import AdaSISE
from guidedcam_tf.methods.smooth_fullgrad import SmoothFullGrad
from guidedcam_tf.methods.smoothgrad import SmoothGrad
from guidedcam_tf.methods.smoothgradcam_plus_plus import SmoothGradCAMPlusPlus
from guidedcam_tf.methods.xgradcam import XGradCAM
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.geometry import lies_elsewhere

METHODS: dict[str, type[Method]] = {
    method.name: method
    for method in (
        Guided,
        GradCAM,
        GradCAMPlusPlus,
        XGradCAM,
        ScoreCAM,
        FasterScoreCAM,
        FullGrad,
        SmoothFullGrad,
        CAMERAS,
        IntegratedGradCAM,
        RelevanceCAM,
        HiResCAM,
        LayerCAM,
        EigenCAM,
        AblationCAM,
        CAM,
        EigenGradCAM,
        FEM,
        FinerCAM,
        Gradient,
        InputXGradient,
        GuidedBackprop,
        GuidedGradCAM,
        NormGrad,
        SmoothGrad,
        SmoothGradCAMPlusPlus,
        IntegratedGradients,
        Occlusion,
        RISE,
        ExcitationBackprop,
        ContrastiveExcitationBackprop,
        LRP,
        DeepLIFT,
        ShapleyCAM,
        SISE,
        AdaSISE,
        PredictionDifference,
        LeGrad,
        AttentionRollout,
    )
}
"""Every method by its name, the proposed one first."""


def list_methods() -> list[str]:
    """The names of the methods, the proposed one first."""
    return list(METHODS)


def get_method(method: str | Method, /, **options: Any) -> Method:
    """Return a method by its name, with its options.

    Args:
        method: A name from `list_methods()`, or a method that is made already.
        **options: The method's options by name; they override those of a method already made.

    Raises:
        InputError: If the name is unknown (the message offers the nearest), or if the method has no
            such option.
    """
    if isinstance(method, Method):
        known, given = type(method), {f.name: getattr(method, f.name) for f in fields(method)}
    elif isinstance(method, str) and method in METHODS:
        known, given = METHODS[method], {}
    else:
        nearest = difflib.get_close_matches(str(method).lower(), METHODS, n=3, cutoff=0.3)
        raise InputError(
            f"method {shown(method)} is not known; nearest: {', '.join(nearest) or 'none'}; "
            f"expected one of {', '.join(METHODS)}"
        )
    return known(**{**given, **options})


def check_layer(method: Method, view: LayerView) -> None:
    """Refuse a method that explains layers where a network is opened without one.

    Likewise one that explains pictures where a network takes signals or volumes, and one whose maps
    of a layer could not be told from maps of the whole picture.

    Raises:
        InputError: With what the network has instead, and the methods that explain that.
    """
    network = view.network
    if not (network.sees_pictures or method.any_extent):
        able = ", ".join(name for name, kind in METHODS.items() if kind.any_extent)
        raise InputError(
            f"method {method.name!r} explains networks of pictures [N, H, W, C]; "
            f"{network.name!r} takes {network.graph.input_shape}: choose one of {able}"
        )
    if view.opened is None and method.needs_layer:
        others = [name for name, kind in METHODS.items() if not kind().needs_layer]
        raise InputError(
            f"method {method.name!r} explains a layer, and {view.network.layer_choice.missing}; "
            f"methods that explain the picture need none: {', '.join(others)}"
        )
    of_layer = method.needs_layer and not method.of_picture
    if of_layer and view.opened and lies_elsewhere(network, view.opened):
        raise InputError(
            f"method {method.name!r} cannot explain layer {view.layer!r}: it has the picture's own "
            "height and width and covers another part of it, as something before it crops, pads "
            "or flips; choose a layer of another height and width, or crop or flip pictures first"
        )


def methods_from_text(names: str, options: Sequence[str] = ()) -> list[Method]:
    """Return methods as a command line names them.

    Args:
        names: One name from `list_methods()`, or several with commas.
        options: `name=value` each, as in `options_from_text`; of several methods, an option goes to
            those that have it.

    Raises:
        InputError: As `get_method`, or if none of the methods has an option.
    """
    chosen, given = (
        [get_method(name.strip()) for name in names.split(",")],
        options_from_text(options),
    )
    known = [{field.name for field in fields(each)} for each in chosen]
    for name, value in given.items():
        if not any(name in each for each in known):
            get_method(chosen[0], **{name: value})
    return [
        get_method(each, **{name: given[name] for name in given.keys() & has})
        for each, has in zip(chosen, known, strict=True)
    ]


__all__ = [
    "CAM",
    "CAMERAS",
    "FEM",
    "LRP",
    "METHODS",
    "RISE",
    "SISE",
    "AblationCAM",
    "AdaSISE",
    "AttentionRollout",
    "Completeness",
    "ContrastiveExcitationBackprop",
    "DeepLIFT",
    "EigenCAM",
    "EigenGradCAM",
    "ExcitationBackprop",
    "FasterScoreCAM",
    "FinerCAM",
    "FullGrad",
    "GradCAM",
    "GradCAMPlusPlus",
    "Gradient",
    "Guided",
    "GuidedBackprop",
    "GuidedGradCAM",
    "HiResCAM",
    "InputXGradient",
    "IntegratedGradCAM",
    "IntegratedGradients",
    "LayerCAM",
    "LeGrad",
    "Method",
    "NormGrad",
    "Occlusion",
    "PredictionDifference",
    "RelevanceCAM",
    "ScoreCAM",
    "ShapleyCAM",
    "SmoothFullGrad",
    "SmoothGrad",
    "SmoothGradCAMPlusPlus",
    "XGradCAM",
    "check_layer",
    "fullgrad_completeness",
    "get_method",
    "list_methods",
    "methods_from_text",
    "options_from_text",
]
