"""Faster-Score-CAM: Score-CAM with the channels that vary most."""

from __future__ import annotations

import tensorflow as tf

from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.methods.scorecam import ScoreCAM


@method
class FasterScoreCAM(ScoreCAM):
    """Score-CAM of the `max_channels` channels A^k of highest standard deviation over the map.

    The rest of the channels have weight 0 and cost no pass. Which channels are used does not depend
    on the target.
    """

    name = "faster_scorecam"
    reference = "tabayashi0117/Score-CAM on GitHub, 2020; Score-CAM is Wang et al. 2020, CVPRW"
    many_passes = "a forward pass for each channel that it keeps"

    max_channels: Count = option(10, "how many channels are used")

    def live(self, channels: tf.Tensor) -> tf.Tensor:
        """Which channels are used, bool `[N, K]`; of equal ones, those that come first."""
        spread = tf.math.reduce_std(channels, axis=[-2, -1])
        order = tf.argsort(spread, direction="DESCENDING", stable=True)
        rank = tf.argsort(order, stable=True)
        return super().live(channels) & (rank < self.max_channels)
