"""`guidedcam weights`: fetch, verify and list the networks' ImageNet weights."""

from __future__ import annotations

from typing import Annotated

import typer

from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table

weights = typer.Typer(help="Fetch, verify or list the networks' ImageNet weights.")

Model = Annotated[
    str | None, typer.Argument(help="A Keras Application, such as resnet50. [default: all]")
]


@weights.command()
def fetch(
    model: Annotated[
        str, typer.Argument(help="A Keras Application, such as resnet50.")
    ] = "resnet50",
) -> None:
    """Bring a network's weights from the first source that has them, and keep them."""
    import_tensorflow()
    from guidedcam_tf.networks.applications import find_application
    from guidedcam_tf.networks.weights import load_application

    _, source = load_application(find_application(model))
    print(f"{model}: {source.path} (from {source.source})")


@weights.command()
def verify(model: Model = None) -> None:
    """Load each file of weights that is here, and compare it with Keras's ImageNet weights."""
    import_tensorflow()
    from guidedcam_tf.networks.weights import verify_files

    checks = verify_files(model)
    print_table(
        ("model", "file", "state"), [(check.model, check.file, check.state) for check in checks]
    )
    if not checks:
        print("no weights here; `guidedcam weights fetch` brings them")
    if any(check.damaged for check in checks):
        raise typer.Exit(1)


@weights.command("list")
def list_() -> None:
    """Show which networks' weights are here, then where the others are looked for."""
    import_tensorflow()
    from guidedcam_tf.networks.applications import APPLICATIONS
    from guidedcam_tf.networks.weights import candidate_files

    rows = [
        (application.name, file, f"{file.stat().st_size:,} bytes" if file.exists() else "-")
        for application in APPLICATIONS.values()
        for file in candidate_files(application)
    ]
    print_table(("model", "file", "here"), sorted(rows, key=lambda row: row[2] == "-"))
