"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Literal

import typer

from guidedcam_tf import colour_maps

Model = Annotated[
    str,
    typer.Option(help="A Keras Application such as resnet50, or a .keras or .h5 file of a model."),
]
Weights = Annotated[
    Path | None, typer.Option(help="A weights file, in place of the ImageNet weights.")
]
Layer = Annotated[
    str | None, typer.Option(help="The layer to explain; `guidedcam layers MODEL` lists them.")
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        help="For a model file: caffe, tf or torch (the modes of Keras Applications), or none."
    ),
]
Postprocessing = Annotated[
    Literal["default", "paper", "smooth"],
    typer.Option(
        help="default; paper: smoothed with a 3 x 3 Gaussian, sigma 0.8; or smooth: enlarged "
        "bicubically, without the crosses of bilinear enlarging."
    ),
]
ColourMap = Annotated[colour_maps.ColourMap, typer.Option(help="The overlays' colours.")]
