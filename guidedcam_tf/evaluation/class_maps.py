"""The class map of a run: matched by names, then finished by the user."""

from __future__ import annotations

import warnings
from pathlib import Path

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.files import writing

NAME = "class_map.yaml"


def settle_classes(job: Job, folder: Path) -> None:
    """Write how the data set's names were matched with the network's, for the user to finish.

    Nothing is written where the map is a file's, or no class is asked for.

    Raises:
        InputError: If no name was matched.
    """
    class_map, classes = job.data_set.class_map, job.classes
    if class_map is None or not class_map.by_name:
        return
    with writing(folder / NAME) as temporary:
        temporary.write_text(class_map.template(classes), "utf-8")
    try:
        class_map.check(classes)
    except InputError as error:
        raise InputError(f"{error}; {folder / NAME} is one to start from") from None
    if class_map.unmapped:
        warnings.warn(
            f"{len(class_map.unmapped)} of {len(class_map.class_ids)} class names of the data set "
            f"are no class of the network: {folder / NAME} names them",
            stacklevel=3,
        )
