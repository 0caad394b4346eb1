"""Tensor kernels: tensors in, tensors out, nothing of models or files.

All are written in TensorFlow operations only and treat every picture of a batch apart. They are
compiled where they are used: one `tf.function` for each network, layer and method.
"""

from guidedcam_tf.ops.bicubic import resize_bicubic
from guidedcam_tf.ops.extent import spatial_axes
from guidedcam_tf.ops.extent import spatial_letters
from guidedcam_tf.ops.guidance import activation_sum
from guidedcam_tf.ops.guidance import channel_sum
from guidedcam_tf.ops.guidance import channel_weights
from guidedcam_tf.ops.guidance import factor_of
from guidedcam_tf.ops.guidance import global_guidance
from guidedcam_tf.ops.guidance import guided_aggregation
from guidedcam_tf.ops.guidance import weighted_aggregation
from guidedcam_tf.ops.normalizing import min_max
from guidedcam_tf.ops.pooling import adaptive_average_pool
from guidedcam_tf.ops.postprocessing import PRESETS
from guidedcam_tf.ops.postprocessing import Postprocessing
from guidedcam_tf.ops.principal import first_component
from guidedcam_tf.ops.resizing import resize
from guidedcam_tf.ops.resizing import resize_maps
from guidedcam_tf.ops.resizing import resize_maps_to_corners
from guidedcam_tf.ops.smoothing import gaussian_smooth

__all__ = [
    "PRESETS",
    "Postprocessing",
    "activation_sum",
    "adaptive_average_pool",
    "channel_sum",
    "channel_weights",
    "factor_of",
    "first_component",
    "gaussian_smooth",
    "global_guidance",
    "guided_aggregation",
    "min_max",
    "resize",
    "resize_bicubic",
    "resize_maps",
    "resize_maps_to_corners",
    "spatial_axes",
    "spatial_letters",
    "weighted_aggregation",
]
