"""What a figure shows, read from YAML."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field
from pydantic import model_validator

from guidedcam_tf.colour_maps import ColourMap
from guidedcam_tf.configuring import FolderName
from guidedcam_tf.configuring import Strict
from guidedcam_tf.configuring import read_config
from guidedcam_tf.configuring import read_keys
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.figures.fitting import Style
from guidedcam_tf.figures.fitting import Width
from guidedcam_tf.metrics import STEP
from guidedcam_tf.opening import KEYS
from guidedcam_tf.opening import NetworkConfig

OF_ANY_NETWORK = {"postprocessing", "fit", "runtime", "precision"}
"""The keys of `NetworkConfig` that hold for all networks of a figure, not for `model` alone."""


class PictureConfig(Strict):
    """A picture and the classes that are explained in it."""

    file: str = Field(
        description="From the root; or photographs of scikit-image, cut square and put side by "
        "side, as skimage:chelsea+coffee, with / between lines."
    )
    targets: tuple[int | str, ...] = Field(default=("top1",), min_length=1)
    model: str | None = Field(default=None, description="Where it is not the figure's.")


class FigureConfig(NetworkConfig):
    """What all figures have."""

    name: FolderName = Field(description="The figure's folder below `runs/`, and its files' name.")
    kind: str
    root: Path = Field(default=Path(), description="The folder of the pictures.")
    pictures: tuple[PictureConfig, ...] = ()
    demo: tuple[PictureConfig, ...] = Field(
        default=(), description="What `--demo` shows in place of `pictures`."
    )
    colour_map: ColourMap = "inferno"
    style: Style = Field(
        default="screen", description="paper: a column's width; talk: a slide's, with larger text."
    )
    width: Width = Field(default="double", description="Of paper and talk: one column or two.")
    dots_per_inch: int = Field(default=300, ge=50, le=1200, description="Of the PNG.")

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that it shows, by the names that `model` has."""
        return tuple(picture.model or self.model for picture in (*self.pictures, *self.demo))

    @model_validator(mode="after")
    def _speaks_of_what_it_shows(self) -> FigureConfig:
        if self.networks and self.model not in self.networks:
            self.refuse_of_one_network(f"shows {', '.join(dict.fromkeys(self.networks))}")
        return self

    def refuse_of_one_network(self, because: str) -> None:
        """Refuse keys that say something of `model` alone, where that is not what is shown."""
        if said := [key for key in KEYS if key in self.model_fields_set - OF_ANY_NETWORK]:
            raise InputError(
                f"{', '.join(said)} would change nothing: figure {self.name} {because}"
            )


class GuidanceConfig(FigureConfig):
    """Figures 1 and 3: what the guidance map adds."""

    kind: Literal["guidance"]


class ComparisonConfig(FigureConfig):
    """Figures 2 and 4: pictures down, methods across."""

    kind: Literal["comparison"]
    methods: tuple[str, ...] = Field(min_length=1)
    full_methods: tuple[str, ...] = Field(
        default=(), description="Methods that take long: columns that only `--full` adds."
    )


class InterpretationConfig(FigureConfig):
    """Figure 5: classes down, methods and networks across; then pictures of the second class."""

    kind: Literal["interpretation"]
    methods: tuple[str, ...] = Field(min_length=1)
    models: tuple[str, ...] = Field(
        default=(), description="Where there is more than `model`: the networks of each picture."
    )
    context: tuple[PictureConfig, ...] = Field(default=(), description="Part (b).")
    demo_context: tuple[PictureConfig, ...] = ()

    @property
    def networks(self) -> tuple[str, ...]:
        """The networks that it shows, by the names that `model` has."""
        return self.models or (self.model,)

    @model_validator(mode="after")
    def _models_are_all(self) -> InterpretationConfig:
        if self.models:
            self.refuse_of_one_network(
                f"shows its key models, {', '.join(self.models)}; change that, or say what is of "
                "one model in guidedcam.yaml beside its file"
            )
        for picture in (*self.pictures, *self.demo, *self.context, *self.demo_context):
            if picture.model:
                raise InputError(
                    f"model {picture.model} of picture {picture.file} would change nothing: each "
                    "picture is shown by all of the key models"
                )
        return self


class OneNetworkConfig(FigureConfig):
    """A figure whose title names the one network that all of its pictures go through."""

    @model_validator(mode="after")
    def _is_of_one_network(self) -> OneNetworkConfig:
        for pictures in (self.pictures, self.demo):
            models = dict.fromkeys(picture.model or self.model for picture in pictures)
            if len(models) > 1:
                raise InputError(
                    f"pictures of kind {self.kind} must be of one network; received "
                    f"{', '.join(models)}: make a figure of each"
                )
        return self


class CurvesConfig(OneNetworkConfig):
    """Figure 6: insertion and deletion."""

    kind: Literal["curves"]
    methods: tuple[str, ...] = Field(min_length=1)
    step: int = Field(default=4 * STEP, ge=1, description="Pixels a step.")
    batch_size: int = Field(default=32, ge=1)


class LayersConfig(FigureConfig):
    """The same comparison at several layers."""

    kind: Literal["layers"]
    methods: tuple[str, ...] = Field(min_length=1)
    layers: tuple[str, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _layers_are_a_list(self) -> LayersConfig:
        if self.layer is not None:
            raise InputError("layer would change nothing: the key layers says which are shown")
        return self


class AreasConfig(OneNetworkConfig):
    """The zone metrics over the mask's area."""

    kind: Literal["areas"]
    methods: tuple[str, ...] = Field(min_length=1)
    areas: tuple[float, ...] = Field(
        default=(0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9), min_length=2
    )
    metrics: tuple[str, ...] = Field(
        default=("saliency_drop", "context_drop", "saliency_increase", "context_increase"),
        min_length=1,
        description="Metrics of masked predictions.",
    )
    threshold: float = Field(default=0.5, gt=0, le=1, description="Of the mask that is compared.")
    batch_size: int = Field(default=32, ge=1)


KINDS: dict[str, type[FigureConfig]] = {
    "guidance": GuidanceConfig,
    "comparison": ComparisonConfig,
    "interpretation": InterpretationConfig,
    "curves": CurvesConfig,
    "layers": LayersConfig,
    "areas": AreasConfig,
}


def read_figure_config(path: Path, settings: Sequence[str] = ()) -> FigureConfig:
    """Read a figure's configuration.

    Args:
        path: A YAML file.
        settings: Changes as `"key=value"`.

    Raises:
        InputError: As `read_config` says; or if its kind is none of `KINDS`.
    """
    kind = read_keys(path, settings).get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise InputError(
            f"config {path}: key kind must be one of {', '.join(KINDS)}; received {shown(kind)}"
        )
    return read_config(path, KINDS[kind], settings)
