"""What makes maps that a method returned no answer."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.finite import check_finite
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
    found = {name: maps[name].numpy() for name in method.outputs}
    check_finite(maps["logits"].numpy(), found, view.network.name, view.layer, method.name)
