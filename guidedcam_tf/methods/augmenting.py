"""The mean of a one-pass method's maps over mirrored, darker and brighter copies of the picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.copies import sum_over_copies
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.shown import NEGLIGIBLE

if TYPE_CHECKING:
    from guidedcam_tf.methods.base import OnePass

FACTORS = (0.9, 1.0, 1.1)


def augmented_kernel(method: OnePass, view: LayerView) -> Kernel:
    """Return a kernel of S = 1 / 6 sum_a (s(a x) + F s(a F x)) over a = 0.9, 1, 1.1.

    s is the method's map, x the preprocessed picture, and F mirrors left and right. The raw maps
    are averaged, as in SmoothGrad; pytorch-grad-cam, which calls it `aug_smooth`, stretches each
    to `[0, 1]` before.

    Raises:
        InputError: If the network takes no pictures, which alone are mirrored, or if the layer
            covers another part of a mirrored picture.
    """
    network = view.network
    if not network.sees_pictures:
        raise InputError(
            f"{method.name}: augmented=True mirrors pictures [N, H, W, C]; {network.name!r} takes "
            f"{network.graph.input_shape}"
        )

    box = view.covered if method.needs_layer else None
    if box and abs(box[1] + box[3] - 1) > NEGLIGIBLE:
        raise InputError(
            f"{method.name}: augmented=True mirrors pictures, and layer {view.layer!r} of "
            f"{network.name!r} covers another part of a mirrored one; leave augmented out"
        )

    def of_copies(copies: tf.Tensor, classes: tf.Tensor, x: tf.Tensor, start: tf.Tensor) -> Maps:
        both = tf.concat([copies, tf.reverse(copies, axis=[-2])], axis=0)
        maps = method.of_inputs(view, both, tf.tile(classes, [2, 1]))
        return {name: mirrored_mean(maps[name]) for name in method.outputs}

    def copy_of(x: tf.Tensor, start: tf.Tensor, key: tf.Tensor, number: tf.Tensor) -> tf.Tensor:
        return tf.gather(FACTORS, number) * x

    return sum_over_copies(
        view,
        of_copies,
        copy_of,
        outputs=method.outputs,
        weights=[1 / len(FACTORS)] * len(FACTORS),
        block_size=len(FACTORS),
        description=method.name,
    )


def mirrored_mean(maps: tf.Tensor) -> tf.Tensor:
    """The mean of maps `[B, T, h, w]` and those of mirrored pictures, which follow them."""
    straight, mirrored = tf.split(maps, 2)
    return (straight + tf.reverse(mirrored, axis=[-1])) / 2
