"""What a configuration says of any data set."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from guidedcam_tf.configuring import AnyPath
from guidedcam_tf.configuring import Strict
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.data.splits import select
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.storage import files_below
from guidedcam_tf.storage import is_remote
from guidedcam_tf.storage import reason


class DataSetConfig(Strict):
    """Which pictures are evaluated.

    Each kind of data set derives from it beside its reader, gives `kind` its name, adds its own
    keys, and is listed in `guidedcam_tf.data.kinds`.

    Attributes:
        has_objects: Whether its pictures can have boxes or masks.
    """

    has_objects: ClassVar[bool] = False

    kind: str
    root: AnyPath = Field(description="The data set's folder.")
    list: AnyPath | None = Field(
        default=None, description="A file with the pictures to take, one identifier a line."
    )
    sample: int | None = Field(
        default=None, ge=1, description="How many pictures to draw with the run's seed."
    )
    class_map: AnyPath | None = Field(
        default=None,
        description="Which of the network's classes stand for the data set's names; a run writes "
        "one to start from. By default classes are matched by their names.",
    )

    def read(self, classes: ClassNames | None) -> DataSet:
        """Find all pictures.

        Args:
            classes: The network's classes; `None` where it does not matter which stands for what.
        """
        raise NotImplementedError

    def open(self, seed: int, classes: ClassNames | None = None) -> DataSet:
        """Find the pictures, and take those of the list or the sample.

        Args:
            seed: Of the sample.
            classes: The network's classes; `None` where it does not matter which stands for what.

        Raises:
            InputError: If the folder is missing or laid out otherwise, or a file cannot be read.
        """
        try:
            if is_remote(self.root):
                # One listing, which stores remember; otherwise each file would be asked for.
                list(files_below(self.root))
            found = self.read(classes)
        except InputError:
            raise
        # Names that no file can have, folders that may not be read, disks and stores that fail.
        except Exception as error:
            if not (isinstance(error, OSError) or is_remote(self.root)):
                raise
            raise InputError(
                f"data set {self.root!s:.300} cannot be read: {reason(error)}"
            ) from error
        if self.list is not None:
            found = select(found, read_list(self.list), str(self.list))
        return found if self.sample is None else draw(found, self.sample, seed)
