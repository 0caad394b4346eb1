"""Pictures and data sets, read from files. TensorFlow is not needed."""

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.class_folders import open_class_folders
from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.class_map import class_map_for
from guidedcam_tf.data.class_map import read_class_map
from guidedcam_tf.data.coco import open_coco
from guidedcam_tf.data.folder import open_folder
from guidedcam_tf.data.imagenet import open_imagenet
from guidedcam_tf.data.kinds import KINDS
from guidedcam_tf.data.kinds import DataConfig
from guidedcam_tf.data.labels import open_labels
from guidedcam_tf.data.loading import Loaded
from guidedcam_tf.data.loading import load
from guidedcam_tf.data.loading import load_one
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.pictures import Picture
from guidedcam_tf.data.pictures import read_picture
from guidedcam_tf.data.pictures import shown_as_picture
from guidedcam_tf.data.pictures import to_grey
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Label
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.samples import union
from guidedcam_tf.data.skipped import Skipped
from guidedcam_tf.data.skipped import count_reasons
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import list_sha256
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.data.splits import select
from guidedcam_tf.data.splits import write_list
from guidedcam_tf.data.voc import open_voc

__all__ = [
    "KINDS",
    "Annotation",
    "Box",
    "ClassMap",
    "DataConfig",
    "DataSet",
    "DataSetConfig",
    "Frame",
    "Label",
    "Loaded",
    "Picture",
    "Sample",
    "Skipped",
    "class_map_for",
    "count_reasons",
    "draw",
    "list_sha256",
    "load",
    "load_one",
    "open_class_folders",
    "open_coco",
    "open_folder",
    "open_imagenet",
    "open_labels",
    "open_voc",
    "read_class_map",
    "read_list",
    "read_picture",
    "select",
    "shown_as_picture",
    "to_grey",
    "union",
    "write_list",
]
