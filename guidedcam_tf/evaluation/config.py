"""What an evaluation does, read from YAML: every choice that the paper leaves open is a key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from typing import Any
from typing import Literal

from pydantic import Field
from pydantic import field_validator
from pydantic import model_validator

from guidedcam_tf.configuring import EACH_ONCE
from guidedcam_tf.configuring import FolderName
from guidedcam_tf.configuring import Strict
from guidedcam_tf.configuring import validate
from guidedcam_tf.data.kinds import DataConfig
from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.evaluation.run_files import read_configuration
from guidedcam_tf.evaluation.work.executors import executor_names
from guidedcam_tf.metrics import AREAS
from guidedcam_tf.metrics import TOLERANCE
from guidedcam_tf.metrics import MaskRule
from guidedcam_tf.metrics import Metric
from guidedcam_tf.metrics import get_metric
from guidedcam_tf.opening import NetworkConfig


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


class _Labelled(Strict):
    """Something by its name, with options."""

    name: str
    options: dict[str, Any] = Field(default={})

    @property
    def label(self) -> str:
        """What a table calls it: the name, with the options in brackets."""
        options = ", ".join(f"{key}={value}" for key, value in self.options.items())
        return f"{self.name} ({options})" if options else self.name


class MethodConfig(_Labelled):
    """A method with options, or on a part of the pictures."""

    pictures: int | None = Field(
        default=None, ge=1, description="Draw so many of the pictures with the run's seed."
    )


class MetricConfig(_Labelled):
    """A metric with options."""


class Protocol(Strict):
    """The choices of a protocol that METRICS leaves open, with the paper's reading as default."""

    mask: MaskConfig = Field(default=MaskConfig(), description="The saliency zone's mask.")
    fill: Literal["mean", "black", "blur"] = Field(
        default="mean",
        description="What covers masked pixels: black, the picture blurred (11 x 11 Gaussian, "
        "sigma 5), or the mean colour: that which preprocessing takes to 0 or, where it takes "
        "black there, each picture's own.",
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
    areas: Annotated[tuple[Annotated[float, Field(gt=0, le=1)], ...], EACH_ONCE] = Field(
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


class ExecutorConfig(Strict):
    """Who computes the units of a run; the results are the same."""

    kind: str = Field(default="local", description="A file of `evaluation/work/executors`.")
    address: str | None = Field(
        default=None, description="Of the cluster; by default one is started here and stopped."
    )
    workers: int | None = Field(
        default=None, ge=1, description="By default as many as the cluster has room for."
    )
    cpus_per_worker: int = Field(default=1, ge=1)
    gpus_per_worker: float = Field(default=0.0, ge=0)

    @field_validator("kind")
    @classmethod
    def _known(cls, kind: str) -> str:
        if kind not in executor_names():
            raise InputError(f"expected one of {', '.join(executor_names())}")
        return kind

    @model_validator(mode="after")
    def _is_of_use(self) -> ExecutorConfig:
        defaults = type(self).model_fields
        given = sorted(
            name
            for name in self.model_fields_set - {"kind"}
            if getattr(self, name) != defaults[name].default
        )
        if self.kind == "local" and given:
            raise InputError(
                f"{', '.join(given)} is for a cluster; give kind: ray too (--executor ray)"
            )
        return self


class EvaluationConfig(NetworkConfig):
    """One evaluation: a data set, a network at a layer, methods, metrics and a protocol."""

    name: FolderName = Field(description="The run's folder below `runs/`.")
    data: DataConfig
    methods: Annotated[tuple[str | MethodConfig, ...], EACH_ONCE] = Field(min_length=1)
    metrics: Annotated[tuple[str | MetricConfig, ...], EACH_ONCE] = Field(min_length=1)
    fusion: Literal["mean", "layercam"] | None = Field(
        default=None,
        description="Of several layers, what is measured: the mean of their maps, or LayerCAM's "
        "maximum of scaled maps.",
    )
    preset: Literal["paper", "gradcampp", "scorecam", "torchray", "union"] = "paper"
    protocol: Protocol = Protocol()
    paper: PaperConfig | None = Field(
        default=None, description="The paper's table that stands beside the results."
    )
    seed: int = Field(default=0, ge=0)
    chunk: int = Field(
        default=16, ge=1, description="Pictures that are computed and kept at a time."
    )
    batch_size: int = Field(
        default=32, ge=1, description="Masked pictures that go through together."
    )
    executor: ExecutorConfig = ExecutorConfig()
    bootstrap: int = Field(
        default=1000, ge=0, description="Resamples of the 95 % intervals and of the tests."
    )
    compare_to: str | None = Field(
        default=None, description="The method that all are compared with, beside the best."
    )

    @model_validator(mode="before")
    @classmethod
    def _with_preset(cls, raw: Any) -> Any:
        """Put the preset's choices below those that the configuration makes itself."""
        if not isinstance(raw, dict) or not isinstance(raw.get("protocol", {}), dict):
            return raw
        if "kind" in raw and "data" not in raw:
            raise InputError(
                f"it has kind: {shown(raw['kind'])} and no data, as a figure's: that is for "
                "`guidedcam figure`; an evaluation needs data and methods"
            )
        preset = raw.get("preset", "paper")
        chosen = PROTOCOLS.get(preset, {}) if isinstance(preset, str) else {}
        return {**raw, "protocol": _below(chosen, raw.get("protocol", {}))}

    @field_validator("metrics")
    @classmethod
    def _known(cls, entries: tuple[str | MetricConfig, ...]) -> tuple[str | MetricConfig, ...]:
        for entry in entries:
            _metric(entry)
        return entries

    @model_validator(mode="after")
    def _compares_to_a_method(self) -> EvaluationConfig:
        if self.compare_to is not None and self.compare_to not in self.ranked:
            raise InputError(
                "compare_to must be one of the methods of all pictures, "
                f"{', '.join(self.ranked)}; received {shown(self.compare_to)}"
            )
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """What tables call the methods."""
        return tuple(each if isinstance(each, str) else each.label for each in self.methods)

    @property
    def ranked(self) -> tuple[str, ...]:
        """The labels of the methods that are measured on all pictures."""
        return tuple(
            each if isinstance(each, str) else each.label
            for each in self.methods
            if isinstance(each, str) or each.pictures is None
        )

    @property
    def chosen_metrics(self) -> tuple[Metric, ...]:
        """The metrics, with their options."""
        return tuple(_metric(entry) for entry in self.metrics)


def _below(chosen: Any, own: Any) -> Any:
    """Put chosen keys below one's own, group by group, unless these make it another kind."""
    if not (isinstance(chosen, dict) and isinstance(own, dict)):
        return own
    if own.get("kind", chosen.get("kind")) != chosen.get("kind"):
        return own
    both = {key: _below(chosen[key], own[key]) for key in chosen.keys() & own.keys()}
    return {**chosen, **own, **both}


def _metric(entry: str | MetricConfig) -> Metric:
    if isinstance(entry, str):
        return get_metric(entry)
    return get_metric(entry.name, **entry.options)


def read_config_of(folder: Path) -> EvaluationConfig:
    """Read the configuration of a run, without what is no key of it.

    Raises:
        InputError: If it is missing or damaged.
    """
    raw = read_configuration(folder)
    known = {key: value for key, value in raw.items() if key in EvaluationConfig.model_fields}
    return validate(known, EvaluationConfig, f"config {folder / 'config.yaml'}")
