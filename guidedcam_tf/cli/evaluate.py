"""`guidedcam evaluate`: a data set through a protocol, into tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guidedcam_tf.cli.quiet import import_tensorflow


def evaluate(
    config: Annotated[Path, typer.Argument(help="A YAML file.", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key: key=value or key.key=value. Repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only so many pictures.")] = None,
    out: Annotated[Path, typer.Option(help="The folder of runs.")] = Path("runs"),
) -> None:
    """Measure methods on a data set; what is already on disk is gone on with."""
    from guidedcam_tf.configuring import read_config
    from guidedcam_tf.evaluation.config import EvaluationConfig

    read = read_config(config, EvaluationConfig, set_ or [])
    import_tensorflow()
    from guidedcam_tf.evaluation.run import evaluate as run

    folder = run(read, out, limit=limit)
    print((folder / "table.md").read_text("utf-8"))
    print(f"rows, tables and manifest are in {folder}")
