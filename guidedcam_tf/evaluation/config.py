"""What an evaluation does, read from YAML: every choice that the paper leaves open is a key."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal
from typing import TypeVar

import yaml
from pydantic import BaseModel
from pydantic import ConfigDict
from pydantic import Field
from pydantic import ValidationError
from pydantic import model_validator

from guidedcam_tf.errors import InputError
from guidedcam_tf.metrics import AREAS
from guidedcam_tf.metrics import TOLERANCE
from guidedcam_tf.metrics import MaskRule

MetricName = Literal[
    "saliency_increase",
    "context_drop",
    "pointing_game",
    "dice",
    "iou",
    "saliency_drop",
    "context_increase",
]


class Strict(BaseModel):
    """A part of a configuration; a key that it does not have is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataConfig(Strict):
    """Which pictures are evaluated."""

    kind: Literal["imagenet", "voc2012", "coco2014", "folder"]
    root: Path = Field(description="The data set's folder.")
    split: str | None = Field(
        default=None, description="VOC: val, train, trainval; COCO: val2014, train2014."
    )
    annotations: str | None = Field(
        default=None, description="COCO: the JSON file, from the root, where it is not the usual."
    )
    pictures: str | None = Field(
        default=None, description="COCO: the folder of pictures, from the root, likewise."
    )
    labels: str | None = Field(
        default=None, description="ImageNet: the list of labels or the ground truth, likewise."
    )
    list: Path | None = Field(
        default=None, description="A file with the pictures to take, one identifier a line."
    )
    sample: int | None = Field(
        default=None, ge=1, description="How many pictures to draw with the run's seed."
    )


class MaskConfig(Strict):
    """How a map becomes the mask of the saliency zone."""

    kind: Literal["threshold", "otsu", "mean", "mean+std", "max_fraction", "top", "soft"] = (
        "threshold"
    )
    value: float | None = None

    @model_validator(mode="after")
    def _resolved(self) -> MaskConfig:
        object.__setattr__(self, "value", MaskRule(self.kind, self.value).value)
        return self


class PaperConfig(Strict):
    """One of the paper's tables."""

    file: Path = Field(description="The paper's numbers, from the config's own folder.")
    table: Literal["table1", "table2", "table3"]


class MethodConfig(Strict):
    """A method with options, or on a part of the pictures."""

    name: str
    options: dict[str, Any] = {}
    pictures: int | None = Field(
        default=None, ge=1, description="Draw so many of the pictures with the run's seed."
    )


class Protocol(Strict):
    """The choices of a protocol that METRICS leaves open, with the paper's reading as default."""

    mask: MaskConfig = Field(default=MaskConfig(), description="The saliency zone's mask.")
    fill: Literal["mean", "black"] = Field(
        default="mean", description="What covers masked pixels: the mean colour, or black."
    )
    zone_class: Literal["top1", "object"] = Field(
        default="top1",
        description="The class of drop and increase: the clean prediction, or the object's.",
    )
    object_class: Literal["mapped", "top1"] = Field(
        default="mapped",
        description="The class of pointing game, Dice and IoU: the best-scoring class of the "
        "object's set in the class map, or the clean prediction against the union of all objects.",
    )
    pointing_truth: Literal["boxes", "masks"] = Field(
        default="boxes", description="What a point must hit."
    )
    tolerance: float = Field(
        default=TOLERANCE, ge=0, description="In pixels of the original picture."
    )
    areas: tuple[Annotated[float, Field(gt=0, le=1)], ...] = Field(
        default=AREAS, description="Shares of the picture for the area-matched zone metrics."
    )


PROTOCOLS: dict[str, dict[str, Any]] = {
    "paper": {},
    "gradcampp": {"mask": {"kind": "soft"}},
    "scorecam": {"mask": {"kind": "top", "value": 0.5}},
    "torchray": {"tolerance": TOLERANCE, "pointing_truth": "boxes", "mask": {"kind": "otsu"}},
    "union": {"object_class": "top1"},
}
"""Named protocols: the keys in which they differ from the defaults."""


class EvaluationConfig(Strict):
    """One evaluation: a data set, a network at a layer, methods, metrics and a protocol."""

    name: str = Field(description="The run's folder below `runs/`.")
    data: DataConfig
    model: str = "resnet50"
    weights: str = "imagenet"
    preprocess: Literal["caffe", "tf", "torch"] | None = Field(
        default=None, description="For a model file: a mode of Keras Applications."
    )
    layer: str | None = None
    postprocessing: Literal["default", "paper"] = "default"
    fit: Literal["squash", "crop"] = "squash"
    methods: tuple[str | MethodConfig, ...] = Field(min_length=1)
    metrics: tuple[MetricName, ...] = Field(min_length=1)
    preset: Literal["paper", "gradcampp", "scorecam", "torchray", "union"] = "paper"
    protocol: Protocol = Protocol()
    paper: PaperConfig | None = Field(
        default=None, description="The paper's table that stands beside the results."
    )
    seed: int = 0
    chunk: int = Field(
        default=16, ge=1, description="Pictures that are computed and kept at a time."
    )
    batch_size: int = Field(
        default=32, ge=1, description="Masked pictures that go through together."
    )
    bootstrap: int = Field(default=1000, ge=0, description="Resamples of the 95 % interval.")


Config = TypeVar("Config", bound=BaseModel)


def read_config(path: Path, model: type[Config], settings: Sequence[str] = ()) -> Config:
    """Read a configuration.

    Args:
        path: A YAML file. With a key `extends`, which names another file from this one's folder,
            it holds only the top-level keys that differ.
        model: What it must be.
        settings: Changes as `"key.key=value"`, the value in YAML.

    Raises:
        InputError: If the file or a setting cannot be read, or if a key is unknown, missing, or of
            another type. The message names the key's path, and the nearest keys.
    """
    raw = _read(path)
    for setting in settings:
        _apply(raw, setting)
    preset = PROTOCOLS.get(raw.get("preset", "paper")) if "protocol" in model.model_fields else None
    if preset is not None and isinstance(raw.get("protocol", {}), dict):
        raw["protocol"] = {**preset, **raw.get("protocol", {})}
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        lines = [_explain(problem, model) for problem in error.errors()]
        raise InputError(f"config {path}: " + "; ".join(lines)) from None


def _read(path: Path, extending: tuple[Path, ...] = ()) -> dict[str, Any]:
    if path.resolve() in extending:
        raise InputError(f"config {path} extends itself")
    try:
        raw = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"config {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"config {path} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict):
        raise InputError(f"config {path} must hold keys and values; received {raw!r}")
    if isinstance(raw.get("paper"), dict) and "file" in raw["paper"]:
        raw["paper"]["file"] = path.parent / str(raw["paper"]["file"])
    base = raw.pop("extends", None)
    if base is None:
        return raw
    return {**_read(path.parent / str(base), (*extending, path.resolve())), **raw}


def _apply(raw: dict[str, Any], setting: str) -> None:
    key, equals, value = setting.partition("=")
    if not equals:
        raise InputError(f"setting {setting!r} must have the form key=value or key.key=value")
    *parents, last = key.split(".")
    for parent in parents:
        raw = raw.setdefault(parent, {})
        if not isinstance(raw, dict):
            raise InputError(f"setting {setting!r}: {parent} is no group of keys")
    try:
        raw[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise InputError(f"setting {setting!r}: the value is not YAML") from error


def _explain(problem: Any, model: type[BaseModel]) -> str:
    *parents, key = problem["loc"] or ("",)
    path = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        known = _keys(model, parents)
        nearest = difflib.get_close_matches(str(key), known, n=3, cutoff=0.5) or known
        return f"key {path} is unknown; nearest: {', '.join(nearest)}"
    if problem["type"] == "missing":
        return f"key {path} is missing (--set {path}=... gives it)"
    return f"key {path}: {problem['msg']}; received {problem['input']!r}"


def _keys(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    for part in path:
        inner = model.model_fields[part].annotation if part in model.model_fields else None
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            model = inner
    return list(model.model_fields)
