"""The overlays of `guidedcam_tf.overlay`, drawn inside the graph."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from guidedcam_tf.overlay import OPACITY
from guidedcam_tf.overlay import colour

LEVELS = 256


def overlay_pngs(pictures: tf.Tensor, saliency: tf.Tensor, colour_map: str) -> tf.Tensor:
    """Lay maps over their pictures and encode them.

    Args:
        pictures: Float32 in 0..255, `[N, H, W, C]`, RGB or grey.
        saliency: Float32 `[N, H, W]` in `[0, 1]`.
        colour_map: As in `guidedcam_tf.overlay.colour`.

    Returns:
        PNG files, strings `[N]`.
    """
    table = tf.constant(colour(np.linspace(0, 1, LEVELS)[None], colour_map)[0], tf.float32)
    levels = tf.cast(tf.round(saliency * (LEVELS - 1)), tf.int32)
    share = (OPACITY * saliency)[..., None]
    pictures = tf.round(tf.clip_by_value(pictures, 0.0, 255.0))
    mixed = (1 - share) * pictures + share * tf.gather(table, levels)
    return tf.io.encode_png(tf.cast(tf.round(mixed), tf.uint8))
