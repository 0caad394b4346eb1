"""What makes maps that a method returned no answer."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.networks import LayerView


def check_maps(method: Method, view: LayerView, fitted: tf.Tensor, maps: Maps) -> None:
    """Refuse maps of one position, and scores or maps that are not finite.

    Args:
        method: The method.
        view: The network and layer.
        fitted: The pictures, `[N, H, W, C]`.
        maps: What the method's kernel returned for them.

    Raises:
        InputError: With what is wrong, and what to do.
    """
    if set(maps[method.outputs[0]].shape[2:]) == {1}:
        raise InputError(
            f"layer {view.layer!r} has one position only for pictures of "
            f"{' x '.join(map(str, fitted.shape[1:-1]))}, so its map would point nowhere; give "
            "larger pictures, or an earlier layer"
        )
    of_picture = tf.reduce_all(tf.math.is_finite(maps["logits"]), axis=-1).numpy()
    if not of_picture.all():
        raise InputError(
            f"{view.network.name} gives scores that are NaN or infinite for "
            f"{(~of_picture).sum()} of {len(of_picture)} pictures, so there is nothing to "
            "explain: look for NaN in its weights, or for an overflow in float16"
        )
    for name in method.outputs:
        if not np.isfinite(maps[name].numpy()).all():
            raise InputError(
                f"the {name} map of {method.name} at {view.layer!r} of {view.network.name} is "
                "NaN or infinite: the layer's values or gradients overflow; choose another "
                "layer or method"
            )
