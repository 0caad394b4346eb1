"""`guidedcam evaluate`: a data set through a protocol, into tables."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.errors import InputError
from guidedcam_tf.storage import as_path

PANEL = "Who computes"


def evaluate(
    config: Annotated[Path, typer.Argument(help="A YAML file.", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key: key=value or key.key=value. Repeatable."),
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take only so many pictures.")] = None,
    out: Annotated[
        Path, typer.Option(parser=as_path, metavar="PATH", help="The folder of runs, or its URL.")
    ] = Path("runs"),
    executor: Annotated[
        str | None, typer.Option(help="Who computes: local, or ray.", rich_help_panel=PANEL)
    ] = None,
    address: Annotated[
        str | None,
        typer.Option(help="A Ray cluster: auto, or ray://...", rich_help_panel=PANEL),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes of the cluster.", rich_help_panel=PANEL)
    ] = None,
    cpus_per_worker: Annotated[
        int | None, typer.Option(min=1, help="Processors of each.", rich_help_panel=PANEL)
    ] = None,
    gpus_per_worker: Annotated[
        float | None, typer.Option(min=0, help="GPUs of each.", rich_help_panel=PANEL)
    ] = None,
) -> None:
    """Measure methods on a data set, or go on with it; exit code 1 if units of it failed."""
    chosen = {
        "kind": executor,
        "address": address,
        "workers": workers,
        "cpus_per_worker": cpus_per_worker,
        "gpus_per_worker": gpus_per_worker,
    }
    settings = [f"executor.{key}={value}" for key, value in chosen.items() if value is not None]
    from guidedcam_tf.configuring import read_config
    from guidedcam_tf.evaluation.config import EvaluationConfig

    read = read_config(config, EvaluationConfig, [*(set_ or []), *settings])
    import_tensorflow()
    from guidedcam_tf.evaluation.run import evaluate as run
    from guidedcam_tf.evaluation.status import status
    from guidedcam_tf.figures.ranks import write_ranks

    try:
        folder = run(read, out, limit=limit)
    except KeyboardInterrupt:
        with suppress(InputError):
            print(
                f"stopped: {status(out / read.name).lines()[0]}; the same call goes on with it",
                file=sys.stderr,
            )
        raise
    drawn = write_ranks(folder)
    print((folder / "table.md").read_text("utf-8"))
    print(
        f"rows, tables and manifest are in {folder}{(drawn and f', ranks in {drawn.name}') or ''}"
    )
    if (found := status(folder)).failed:
        print("\n".join(found.lines()), file=sys.stderr)
        raise typer.Exit(1)
