"""`guidedcam status`: how far a run has come."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from guidedcam_tf.storage import as_path


def status(
    run: Annotated[
        Path,
        typer.Argument(
            parser=as_path, metavar="RUN", help="A folder of `evaluate`.", show_default=False
        ),
    ],
    forecast: Annotated[
        int | None,
        typer.Option(min=1, help="Say how long so many pictures would take, from this run."),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Of the forecast.")] = 1,
) -> None:
    """Say what of a run is done, missing or failed, and who works on it."""
    from guidedcam_tf.evaluation.status import status as read

    print(f"{run}: " + "\n".join(read(run).lines()))
    if forecast is not None:
        from guidedcam_tf.evaluation.forecast import forecast as predict

        print("\n".join(predict(run, forecast, workers).lines()))
