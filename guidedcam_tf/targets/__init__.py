"""The one language of targets: what of a network's output is explained, for which picture.

A target is a class index, a class name, a wnid, `"top1"`, `"topK"` for the K best classes; a class
in a `region` of a segmentation, a `box` of a detector, a `unit` of a regression, the `negative`
class of a binary network; or a function of the outputs that returns one number for each picture,
with arguments that differ by picture as `function`.
"""

from guidedcam_tf.targets.boxes import box
from guidedcam_tf.targets.functions import function
from guidedcam_tf.targets.regions import region
from guidedcam_tf.targets.resolving import Resolved
from guidedcam_tf.targets.resolving import Targets
from guidedcam_tf.targets.resolving import resolve
from guidedcam_tf.targets.units import negative
from guidedcam_tf.targets.units import unit
from guidedcam_tf.targets.words import read_words

__all__ = [
    "Resolved",
    "Targets",
    "box",
    "function",
    "negative",
    "read_words",
    "region",
    "resolve",
    "unit",
]
