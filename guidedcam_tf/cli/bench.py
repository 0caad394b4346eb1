"""`guidedcam bench`: what explaining costs, in forward passes of the same network."""

from __future__ import annotations

from typing import Annotated
from typing import Any

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table
from guidedcam_tf.errors import InputError


@options.of_network("model", "layer")
def bench(
    context: typer.Context,
    network: dict[str, Any],
    pictures: Annotated[int, typer.Option(min=1, help="Pictures of the batch.")] = 16,
    rounds: Annotated[int, typer.Option(min=3, help="Rounds; the median is shown.")] = 15,
    runtimes: Annotated[
        bool,
        typer.Option("--runtimes", help="Time the export in TensorFlow and in OpenVINO instead."),
    ] = False,
    peers: Annotated[
        bool,
        typer.Option(
            "--peers", help="Also time tf-keras-vis, tf-explain and xplique where installed."
        ),
    ] = False,
    cold_start: Annotated[
        bool,
        typer.Option(
            "--cold-start",
            help="Time whole processes that explain a picture instead, with the real weights.",
        ),
    ] = False,
    memory: Annotated[
        bool, typer.Option("--memory", help="Measure each method's peak memory instead.")
    ] = False,
) -> None:
    """Time the methods against the plain forward pass, alternating, and print the ratios.

    The weights do not matter for the time, so the network gets random ones.
    """
    kinds = {
        "--runtimes": runtimes,
        "--peers": peers,
        "--cold-start": cold_start,
        "--memory": memory,
    }
    if len(several := [kind for kind, asked in kinds.items() if asked]) > 1:
        raise InputError(f"{', '.join(several)} measure different things; give one at a time")
    if cold_start or memory:
        options.refuse(context, f"with {several[0]}", "pictures", *(["rounds"] if memory else []))
    import_tensorflow()
    model, layer = network.get("model", "resnet50"), network.get("layer")
    if cold_start:
        _cold_start(network, rounds)
        return
    if runtimes:
        _runtimes(model, layer, pictures, rounds)
        return
    from guidedcam_tf.bench.speed import measure_memory
    from guidedcam_tf.bench.speed import measure_speed

    if memory:
        rows = measure_memory(model, layer=layer)
    else:
        rows = measure_speed(model, layer=layer, pictures=pictures, rounds=rounds, peers=peers)
    print_table(
        ("what", "measured", "", "target", "met"),
        [
            (row.what, f"{row.value:.4g}", row.unit, row.target, "yes" if row.met else "no")
            for row in rows
        ],
    )


def _cold_start(network: dict[str, Any], rounds: int) -> None:
    from guidedcam_tf.bench.cold_start import measure_cold_start

    said = [f"--{name}={value}" for name, value in network.items()]
    print_table(
        ("guidedcam explain", "seconds", "of processor cores"),
        [
            (row.what, f"{row.seconds:.2f}", f"{row.processor:.2f}")
            for row in measure_cold_start(said, rounds=rounds)
        ],
    )


def _runtimes(model: str, layer: str | None, pictures: int, rounds: int) -> None:
    from guidedcam_tf.bench.runtimes import run_runtimes
    from guidedcam_tf.runtimes.openvino_model import is_installed

    rows = run_runtimes(model, layer=layer, pictures=pictures, rounds=rounds)
    print_table(
        ("what", "forward passes", "of Explainer.maps", "seconds", "pictures a second"),
        [
            (
                row.what,
                f"{row.forward_passes:.3f}",
                f"{row.live:.3f}",
                f"{row.seconds:.4f}",
                f"{row.per_second:.1f}",
            )
            for row in rows
        ],
    )
    if not is_installed():
        print("OpenVINO is not installed; pip install 'guidedcam-tf[openvino]' adds its rows")
