"""The options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Model = Annotated[
    str, typer.Option(help="resnet50, vgg16, or a .keras or .h5 file of a whole model.")
]
Weights = Annotated[
    Path | None, typer.Option(help="A weights file, in place of the ImageNet weights.")
]
Layer = Annotated[
    str | None, typer.Option(help="The layer to explain; `guidedcam layers MODEL` lists them.")
]
Preprocess = Annotated[
    str | None,
    typer.Option(help="For a model file: caffe, tf or torch, the modes of Keras Applications."),
]
