"""`guidedcam bench`: what explaining costs, in forward passes of the same network."""

from __future__ import annotations

from typing import Annotated

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table


def bench(
    model: options.Model = "resnet50",
    layer: options.Layer = None,
    pictures: Annotated[int, typer.Option(min=1, help="Pictures of the batch.")] = 16,
    rounds: Annotated[int, typer.Option(min=3, help="Rounds; the median is shown.")] = 15,
) -> None:
    """Time the methods against the plain forward pass, in turns, and print the ratios.

    The weights do not matter for the time, so the network gets random ones.
    """
    import_tensorflow()
    from guidedcam_tf.evaluation.benchmark import run_benchmark

    rows = run_benchmark(model, layer=layer, pictures=pictures, rounds=rounds)
    print_table(
        ("what", "forward passes", "target", "seconds", "forward pass"),
        [
            (
                row.what,
                f"{row.ratio:.3f}",
                f"<= {row.target:.2f}",
                f"{row.seconds:.4f}",
                f"{row.forward_seconds:.4f}",
            )
            for row in rows
        ],
    )
