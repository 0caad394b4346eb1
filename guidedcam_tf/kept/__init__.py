"""Explanations kept as files that OpenVINO runs: a later call needs no TensorFlow.

A file holds one method for one network and layer, from the picture to the finished map. The call
that makes it answers from it too, so that all answers are equal to the last bit.
"""

from guidedcam_tf.kept.explanation import KeptExplanation
from guidedcam_tf.kept.making import keep
from guidedcam_tf.kept.requests import find_kept

__all__ = ["KeptExplanation", "find_kept", "keep"]
