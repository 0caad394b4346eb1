"""`guidedcam sanity`: do maps change where the network's weights are random?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

import typer

from guidedcam_tf.cli import options
from guidedcam_tf.cli.quiet import import_tensorflow
from guidedcam_tf.cli.table import print_table
from guidedcam_tf.files import output_folder


@options.of_network()
def sanity(
    network: dict[str, Any],
    images: Annotated[list[Path], typer.Argument(help="Pictures.", show_default=False)],
    method: Annotated[
        str, typer.Option(help="Methods with commas; see `guidedcam methods`.")
    ] = "guided,gradcam",
    option: options.MethodOptions = None,
    mode: Annotated[
        Literal["cascading", "independent"],
        typer.Option(help="A layer and all above it, or a layer alone."),
    ] = "cascading",
    stages: Annotated[int, typer.Option(min=1, help="At how many layers.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the random weights.")] = 0,
    out: Annotated[Path | None, typer.Option(help="A CSV file.", show_default=False)] = None,
) -> None:
    """Compare maps with those of random weights, layer by layer from the logits down.

    A method whose maps stay similar does not show what the network learned.
    """
    import_tensorflow()
    import numpy as np

    from guidedcam_tf.arrays import as_input
    from guidedcam_tf.data.pictures import read
    from guidedcam_tf.evaluation.sanity import check_sees_classes_of_pictures
    from guidedcam_tf.evaluation.sanity import sanity_check
    from guidedcam_tf.methods import methods_from_text
    from guidedcam_tf.opening import open_explainer

    chosen = methods_from_text(method, option or [])
    explainer, other = open_explainer(network), open_explainer(network)
    check_sees_classes_of_pictures(explainer.network)
    inputs = [as_input(read(image), explainer.network)[None] for image in images]
    fitted = [explainer.pipeline.fitted(picture).numpy() for picture in inputs]
    table = sanity_check(
        explainer,
        other,
        np.concatenate(fitted),
        {each.name: each for each in chosen},
        mode=mode,
        stages=stages,
        seed=seed,
    )
    print_table(
        ("method", "randomised", "Spearman", "SSIM"),
        [
            (line.method, line.layer, f"{line.spearman:.3f}", f"{line.ssim:.3f}")
            for line in table.itertuples()
        ],
    )
    if out is not None:
        table.to_csv(output_folder(out.parent) / out.name, index=False)
