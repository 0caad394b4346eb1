"""The command line: each command parses, calls the package, and prints.

Exit codes: 0 done; 1 the work failed; 2 the call was wrong. TensorFlow is imported inside the
commands, so that `--help` answers at once.
"""

from __future__ import annotations

import importlib.metadata
import sys
import warnings
from typing import Annotated

import typer

from guidedcam_tf.cli.app import app as app_command
from guidedcam_tf.cli.bench import bench
from guidedcam_tf.cli.evaluate import evaluate
from guidedcam_tf.cli.explain import explain
from guidedcam_tf.cli.export import export
from guidedcam_tf.cli.figure import figure
from guidedcam_tf.cli.listings import layers
from guidedcam_tf.cli.listings import methods
from guidedcam_tf.cli.once import OnceCommand
from guidedcam_tf.cli.report import report
from guidedcam_tf.cli.sanity import sanity
from guidedcam_tf.cli.status import status
from guidedcam_tf.cli.weights import weights
from guidedcam_tf.errors import InputError

EXTRAS = {"gradio": "app", **dict.fromkeys(("jinja2", "pandas", "scipy", "tabulate"), "evaluation")}
"""Which extra brings a module that is not always there."""

app = typer.Typer(
    name="guidedcam",
    help="Saliency maps for Keras networks.",
    no_args_is_help=True,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def _version(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and stop.", is_eager=True)
    ] = False,
) -> None:
    if version:
        print(f"guidedcam-tf {importlib.metadata.version('guidedcam-tf')}")
        raise typer.Exit


for command in (explain, evaluate, status, figure, report, export):
    app.command(cls=OnceCommand)(command)
app.add_typer(weights, name="weights")
for command in (methods, layers, bench, sanity):
    app.command(cls=OnceCommand)(command)
app.command("app", cls=OnceCommand)(app_command)


def main() -> None:
    """Run the command that the arguments name, and exit with its code."""
    warnings.showwarning = _one_line  # type: ignore[assignment]
    try:
        app()
    except InputError as error:
        _complain(str(error))
        sys.exit(2)
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        extra = EXTRAS[error.name]
        _complain(f"{error.name} is missing; pip install 'guidedcam-tf[{extra}]' brings it")
        sys.exit(2)
    except OSError as error:
        _complain(str(error))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


def _complain(message: str) -> None:
    print(f"guidedcam: {message}", file=sys.stderr)


def _one_line(message: Warning | str, category: type[Warning], *_: object) -> None:
    if issubclass(category, UserWarning):
        print(f"note: {message}", file=sys.stderr)
