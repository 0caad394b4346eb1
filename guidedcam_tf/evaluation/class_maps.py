"""The class map of a run: matched by names, then finished by the user."""

from __future__ import annotations

import warnings
from pathlib import Path

from guidedcam_tf.data.class_map import ABSENT
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.job import Job
from guidedcam_tf.files import writing

NAME = "class_map.yaml"


def settle_classes(job: Job, folder: Path) -> None:
    """Check that the data set's names stand for classes of the network, and say which do not.

    Where they were matched by names, how is written for the user to finish.

    Raises:
        InputError: If no name stands for a class.
    """
    class_map, classes = job.data_set.class_map, job.classes
    if class_map is None:
        return
    if not class_map.by_name:
        class_map.check(classes)
        absent = [name for name, why in class_map.unmapped.items() if why == ABSENT]
        if absent:
            warnings.warn(
                f"{len(absent)} of {len(class_map.class_ids)} class names of the data set are not "
                f"in data.class_map: {', '.join(absent):.200}",
                stacklevel=3,
            )
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
