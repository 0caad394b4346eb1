"""The files in a run's folder, read with clear words where one is damaged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

import yaml

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.storage import readable
from guidedcam_tf.storage import reason

if TYPE_CHECKING:
    import pandas as pd


TEXTS = (
    *("image", "class_name", "method", "metric", "area", "reference", "note"),
    *("reason", "message", "methods", "picture", "model", "layer", "curve", "mask"),
)
"""The columns of runs' tables that are texts, also where they look like numbers or nothing."""

_AGAIN = "the command that made the run writes it again"
_RESTORE = "restore it, or choose another name or --out"


def read_table(file: Path, *, column: str = "method", **types: str) -> pd.DataFrame:
    """Read a CSV of a run, which has at least that column.

    `TEXTS` are as they were written, empty ones too; of the others what is empty is missing.

    Raises:
        InputError: If it is missing or damaged.
    """
    import pandas as pd

    with _reading(file):
        header = pd.read_csv(readable(file), nrows=0)
        numbers = {str(name): ["", "nan"] for name in header if name not in TEXTS}
        table: pd.DataFrame = pd.read_csv(
            readable(file),
            dtype={**dict.fromkeys(TEXTS, "str"), **types},
            keep_default_na=False,
            na_values=numbers,
        )
        if column not in table:
            raise ValueError(f"it has no column {column!r}")
    return table


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a run or figure was made with.

    Raises:
        InputError: If it is missing or damaged.
    """
    file = folder / "manifest.json"
    with _reading(file):
        return _mapping(json.loads(file.read_text("utf-8")))


def read_configuration(folder: Path) -> dict[str, Any]:
    """Read the configuration that a run has claimed its folder with, as it was written.

    Raises:
        InputError: If it is missing or damaged.
    """
    file = folder / "config.yaml"
    with _reading(file, _RESTORE):
        return _mapping(yaml.safe_load(file.read_text("utf-8")))


def _mapping(content: Any) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValueError(f"expected keys with values, found {type(content).__name__}")
    return content


@contextmanager
def _reading(file: Path, way: str = _AGAIN) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, yaml.YAMLError) as error:
        why = reason(error) if isinstance(error, OSError) else reason_of(error)
        raise InputError(f"{file} cannot be read: {why}; {way}") from error
