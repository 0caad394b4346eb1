"""`guidedcam figure`: a figure of the paper, and the numbers behind it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guidedcam_tf.cli.quiet import import_tensorflow


def figure(
    config: Annotated[Path, typer.Argument(help="A YAML file.", show_default=False)],
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change a key: key=value or key.key=value. Repeatable."),
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder of runs.")] = Path("runs"),
    style: Annotated[
        str | None,
        typer.Option(
            help="screen, paper (7.16 inches, or 3.5 with --set width=single) or talk (a slide).",
        ),
    ] = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Show the photographs that scikit-image ships.")
    ] = False,
    full: Annotated[
        bool, typer.Option("--full", help="Add the columns that take long, such as Score-CAM's.")
    ] = False,
) -> None:
    """Draw a figure: PNG, PDF, its numbers as CSV and NPZ, and a manifest."""
    from guidedcam_tf.figures.config import read_figure_config

    read = read_figure_config(config, [*(set_ or []), *([f"style={style}"] if style else [])])
    import_tensorflow()
    from guidedcam_tf.figures.making import make_figure

    for file in make_figure(read, out, demo=demo, full=full):
        print(file)
