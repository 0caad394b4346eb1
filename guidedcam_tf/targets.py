"""What of a network's output is explained: classes, or functions of the output."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.networks.scores import Score

Target = int | str

TOP_1 = -1


def scores_among(targets: object) -> tuple[Score, ...]:
    """Return targets that are functions of the output; none where they are classes.

    Raises:
        InputError: If some are functions and some are classes.
    """
    if callable(targets):
        return (targets,)
    listed = targets if isinstance(targets, (list, tuple)) else ()
    scores = tuple(target for target in listed if callable(target))
    if scores and len(scores) != len(listed):
        raise InputError(
            "targets must be all classes or all functions of the output; received both: "
            f"{targets!r}"
        )
    return scores


def class_targets(classes: ClassNames, targets: Any) -> list[int]:
    """Return targets as class indices, and the k-th best class of a picture as -k.

    Raises:
        InputError: If a target is unknown, ambiguous or out of range.
    """
    listed = [targets] if isinstance(targets, (str, int, np.integer)) else list(targets)
    if not listed:
        raise InputError("targets is empty; expected at least one")
    ids = [index for target in listed for index in _one_target(classes, target)]
    return list(dict.fromkeys(ids))


def _one_target(classes: ClassNames, target: Any) -> list[int]:
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        return [classes.check(int(target))]
    if not isinstance(target, str):
        raise InputError(f"target must be an index or a name; received {target!r}")
    if match := re.fullmatch(r"top(\d+)", target):
        count = int(match[1])
        if not 1 <= count <= len(classes.names):
            raise InputError(
                f"target {target!r} is out of range: the network has {len(classes.names)} classes"
            )
        return list(range(TOP_1, TOP_1 - count, -1))
    return [classes.find(target)]


def class_ids_for(classes: ClassNames, class_ids: Any, count: int) -> np.ndarray:
    """Return class indices for `count` pictures, int32 `[count]` or `[count, T]`.

    Without any they are -1, each picture's best class.

    Raises:
        InputError: If they have another form, or a class is out of range.
    """
    if class_ids is None:
        return np.full(count, TOP_1, np.int32)
    ids = np.asarray(class_ids)
    if ids.ndim not in (1, 2) or len(ids) != count or not ids.size:
        raise InputError(
            f"class_ids must have shape [{count}] or [{count}, T], one row for each picture; "
            f"received {ids.shape}"
        )
    if not np.issubdtype(ids.dtype, np.integer):
        raise InputError(f"class_ids must be integers; received {ids.dtype}")
    for index in np.unique(ids):
        classes.check(int(index))
    return ids.astype(np.int32)
