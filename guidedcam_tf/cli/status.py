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
) -> None:
    """Say what of a run is done, missing or failed, and who works on it."""
    from guidedcam_tf.evaluation.status import status as read

    print(f"{run}: " + "\n".join(read(run).lines()))
