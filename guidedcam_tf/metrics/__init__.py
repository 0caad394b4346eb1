"""Metrics: pure functions of maps, masks and scores, NumPy arrays in and out.

Where a metric is not defined for a pair of picture and class it is NaN; `Aggregate` skips and
counts those. A file of this folder that marks a function with `registry.metric` adds a metric.
"""

from guidedcam_tf.metrics.aggregate import Aggregate
from guidedcam_tf.metrics.aggregate import Summary
from guidedcam_tf.metrics.blur import blurred
from guidedcam_tf.metrics.boxes import box_mask
from guidedcam_tf.metrics.curves import STEP
from guidedcam_tf.metrics.curves import Curve
from guidedcam_tf.metrics.curves import auc
from guidedcam_tf.metrics.curves import curve_counts
from guidedcam_tf.metrics.curves import curve_inputs
from guidedcam_tf.metrics.curves import deletion
from guidedcam_tf.metrics.curves import insertion
from guidedcam_tf.metrics.curves import pixel_order
from guidedcam_tf.metrics.energy import energy_pointing_game
from guidedcam_tf.metrics.evidence import MaskedPredictions
from guidedcam_tf.metrics.evidence import ObjectMap
from guidedcam_tf.metrics.evidence import PictureMap
from guidedcam_tf.metrics.masks import AREAS
from guidedcam_tf.metrics.masks import MaskRule
from guidedcam_tf.metrics.masks import area_matched_masks
from guidedcam_tf.metrics.masks import max_fraction_mask
from guidedcam_tf.metrics.masks import mean_mask
from guidedcam_tf.metrics.masks import otsu_mask
from guidedcam_tf.metrics.masks import soft_mask
from guidedcam_tf.metrics.masks import threshold_mask
from guidedcam_tf.metrics.masks import top_mask
from guidedcam_tf.metrics.overlap import Overlap
from guidedcam_tf.metrics.overlap import localization_ratio
from guidedcam_tf.metrics.overlap import overlap
from guidedcam_tf.metrics.pointing import TOLERANCE
from guidedcam_tf.metrics.pointing import peak
from guidedcam_tf.metrics.pointing import pointing_game
from guidedcam_tf.metrics.registry import METRICS
from guidedcam_tf.metrics.registry import Metric
from guidedcam_tf.metrics.registry import discover
from guidedcam_tf.metrics.registry import get_metric
from guidedcam_tf.metrics.registry import metric_of
from guidedcam_tf.metrics.zones import EPSILON
from guidedcam_tf.metrics.zones import drop
from guidedcam_tf.metrics.zones import gain
from guidedcam_tf.metrics.zones import increase

__all__ = [
    "AREAS",
    "EPSILON",
    "METRICS",
    "STEP",
    "TOLERANCE",
    "Aggregate",
    "Curve",
    "MaskRule",
    "MaskedPredictions",
    "Metric",
    "ObjectMap",
    "Overlap",
    "PictureMap",
    "Summary",
    "area_matched_masks",
    "auc",
    "blurred",
    "box_mask",
    "curve_counts",
    "curve_inputs",
    "deletion",
    "drop",
    "energy_pointing_game",
    "gain",
    "get_metric",
    "increase",
    "insertion",
    "localization_ratio",
    "max_fraction_mask",
    "mean_mask",
    "metric_of",
    "otsu_mask",
    "overlap",
    "peak",
    "pixel_order",
    "pointing_game",
    "soft_mask",
    "threshold_mask",
    "top_mask",
]

discover(__path__, __name__)
