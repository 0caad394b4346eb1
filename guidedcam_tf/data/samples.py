"""What a data set is made of: samples, and what is known of each picture."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path

import numpy as np

from guidedcam_tf.data.boxes import Box
from guidedcam_tf.data.class_map import ClassMap
from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.skipped import Skipped


@dataclass(frozen=True, eq=False)
class Label:
    """One class in one picture.

    Attributes:
        name: The data set's name of the class.
        class_ids: The network's classes that stand for it; empty where none does, so that the pair
            is skipped and counted.
        boxes: Its objects' boxes; `None` where the data set gives none, so that the mask has to do.
        difficult: VOC's flag of each box.
        crowd: COCO's flag of each box: a box about many objects, not about one.
        mask: The union of its objects' pixels, bool `[H, W]`; `None` where there is none, or where
            masks were not asked for.
    """

    name: str
    class_ids: tuple[int, ...]
    boxes: tuple[Box, ...] | None = None
    difficult: tuple[bool, ...] = ()
    crowd: tuple[bool, ...] = ()
    mask: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class Annotation:
    """What is known of one picture.

    Attributes:
        labels: One for each class in it, in the data set's order of classes.
        void: Pixels that belong to no class and are left out of Dice and IoU, bool `[H, W]`: VOC's
            255. `None` where the data set has no such thing.
    """

    labels: tuple[Label, ...] = ()
    void: np.ndarray | None = None


@dataclass(frozen=True)
class Constant:
    """What is known of a picture before it is read; called as `Sample.annotate`."""

    annotation: Annotation

    def __call__(self, frame: Frame) -> Annotation:
        """Return the annotation."""
        return self.annotation


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One picture of a data set, not yet read.

    Attributes:
        id: Identifies it in the data set, in lists and in rows.
        picture: Its file.
        annotate: Reads what is known of it, given the picture's size and orientation. Raises
            `SampleError`.
        columns: What else its list says of it: by column the different texts of its lines.
        values: What further inputs of a network get with it, by name.
        annotations: The files of its own that `annotate` reads, where they are there.
    """

    id: str
    picture: Path
    annotate: Callable[[Frame], Annotation] = field(repr=False)
    columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict, repr=False)
    values: Mapping[str, np.ndarray] = field(default_factory=dict, repr=False)
    annotations: tuple[Path, ...] = field(default=(), repr=False)


@dataclass(frozen=True, eq=False)
class DataSet:
    """Samples in a fixed order. `load` reads them.

    Attributes:
        name: Its kind, such as `"voc2012"`.
        root: Its folder.
        samples: The pictures, not yet read.
        skipped: What was found to be unusable before any picture was read.
        class_map: Which of the network's classes stand for its names; `None` where it has none.
        lists: The files that say what is in all pictures, where it has such.
    """

    name: str
    root: Path
    samples: tuple[Sample, ...]
    skipped: tuple[Skipped, ...] = ()
    class_map: ClassMap | None = None
    lists: tuple[Path, ...] = ()

    def __len__(self) -> int:
        return len(self.samples)

    @property
    def ids(self) -> tuple[str, ...]:
        """The samples' identifiers, in order."""
        return tuple(sample.id for sample in self.samples)


def union(labels: Sequence[Label]) -> Label:
    """Join all labels of a picture, mapped to classes or not, into one without class indices.

    It is what a top-1 prediction is held against where no class map is used. Boxes or masks that
    one of the labels lacks are `None`.
    """
    boxes = [label.boxes for label in labels if label.boxes is not None]
    masks = [label.mask for label in labels if label.mask is not None]
    return Label(
        name="any",
        class_ids=(),
        boxes=sum(boxes, ()) if labels and len(boxes) == len(labels) else None,
        difficult=sum((label.difficult for label in labels), ()),
        crowd=sum((label.crowd for label in labels), ()),
        mask=np.any(masks, axis=0) if labels and len(masks) == len(labels) else None,
    )
