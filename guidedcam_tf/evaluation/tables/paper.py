"""The paper's own numbers, from the file that they were typed into once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from guidedcam_tf.configuring import read_yaml
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig

PaperValues = dict[str, dict[str, float]]
"""The paper's numbers: by metric, then by method."""


def paper_values(file: Path, table: str) -> PaperValues:
    """Return the numbers of one of the paper's tables.

    Args:
        file: `configs/paper_tables.yaml`.
        table: `"table1"`, `"table2"` or `"table3"`.

    Raises:
        InputError: If the file cannot be read or has no such table.
    """
    try:
        document = read_yaml(file.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"paper tables {file} cannot be read: {error.strerror}") from error
    if table not in document["tables"]:
        raise InputError(f"paper tables {file} has no {table!r}: {', '.join(document['tables'])}")
    rows = document["tables"][table]["rows"]
    methods = list(document["methods"])
    return {metric: dict(zip(methods, row["values"], strict=True)) for metric, row in rows.items()}


def check_compares(config: EvaluationConfig, metrics: Sequence[str], kind: str) -> None:
    """Refuse a search for what fits the paper where nothing can be compared with it.

    Args:
        config: The configuration.
        metrics: The labels of its metrics that are searched by.
        kind: What these are called.

    Raises:
        InputError: If it has no number of the paper of its methods and these metrics.
    """
    paper = paper_values(config.paper.file, config.paper.table) if config.paper else {}
    if not any(paper.get(metric, {}).keys() & {*config.labels} for metric in metrics):
        raise InputError(
            "a search is for the paper's numbers, and the configuration has none of its methods' "
            f"{kind}; give paper: {{file: ..., table: ...}} with them"
        )
