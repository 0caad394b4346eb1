"""The kinds of data sets that a configuration can name: one line each."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING
from typing import Annotated

from pydantic import Field

from guidedcam_tf.data.class_folders import ClassFoldersConfig
from guidedcam_tf.data.coco import CocoConfig
from guidedcam_tf.data.folder import FolderConfig
from guidedcam_tf.data.imagenet import ImageNetConfig
from guidedcam_tf.data.labels import LabelsConfig
from guidedcam_tf.data.registry import DataSetConfig
from guidedcam_tf.data.voc import VocConfig

KINDS: tuple[type[DataSetConfig], ...] = (
    ClassFoldersConfig,
    CocoConfig,
    FolderConfig,
    ImageNetConfig,
    LabelsConfig,
    VocConfig,
)

if TYPE_CHECKING:
    DataConfig = DataSetConfig
else:
    DataConfig = Annotated[reduce(or_, KINDS), Field(discriminator="kind")]
