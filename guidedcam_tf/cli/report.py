"""`guidedcam report`: runs in one HTML file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.errors import InputError
from guidedcam_tf.files import output_folder
from guidedcam_tf.storage import as_path


def report(
    runs: Annotated[
        list[Path],
        typer.Argument(
            parser=as_path,
            metavar="RUNS",
            help="Folders of `evaluate` and `figure`.",
            show_default=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The HTML file.")] = Path("runs/report.html"),
    cases: Annotated[
        int, typer.Option(min=0, help="Best and worst cases of each method that are shown.")
    ] = 2,
    metric: Annotated[
        str | None,
        typer.Option(help="What a case is good or bad by. [default: dice, or what there is]"),
    ] = None,
) -> None:
    """Write one HTML file with the tables, figures and best and worst cases of runs."""
    if out.is_dir():
        raise InputError(f"--out {out} is a folder; expected the HTML file, such as report.html")
    folder = output_folder(out.parent)
    import_tensorflow()
    from guidedcam_tf.report.writing import write_report

    write_report(runs, folder / out.name, cases=cases, metric=metric)
    print(out)
