"""What a run's configuration opens: data set, network, methods, and the units of work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from guidedcam_tf import data
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import read_list
from guidedcam_tf.data.splits import select
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import DataConfig
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.evaluation.groups import Group
from guidedcam_tf.evaluation.groups import group_methods
from guidedcam_tf.evaluation.groups import labelled_method
from guidedcam_tf.evaluation.units import Unit
from guidedcam_tf.evaluation.units import plan_units
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.methods import Method
from guidedcam_tf.metrics import ObjectMap

WITHOUT_OBJECTS = ("folder", "imagenet")


@dataclass(frozen=True, eq=False)
class Job:
    """A run's configuration with what it opens; the same in every process that opens it.

    Attributes:
        config: The configuration.
        limit: Take only this many of the pictures.
        data_set: The pictures.
        methods: The methods by their labels.
        explainer: The network.
    """

    config: EvaluationConfig
    limit: int | None
    data_set: DataSet
    methods: dict[str, Method]
    explainer: Explainer

    @cached_property
    def parts(self) -> dict[str, frozenset[str]]:
        """The pictures of each method that takes a part of them only, by the method's label."""
        return {
            entry.label: frozenset(draw(self.data_set, entry.pictures, self.config.seed).ids)
            for entry in self.config.methods
            if isinstance(entry, MethodConfig) and entry.pictures is not None
        }

    @cached_property
    def groups(self) -> list[Group]:
        """The methods that are computed together."""
        return group_methods(self.methods, self.parts)

    @cached_property
    def units(self) -> tuple[Unit, ...]:
        """The units of work, in their order."""
        groups = [tuple(group.methods) for group in self.groups]
        return plan_units(len(self.data_set), self.config.chunk, groups)


def open_job(config: EvaluationConfig, limit: int | None = None) -> Job:
    """Open what a configuration names.

    Raises:
        InputError: If the data set, the network or a method cannot be had, or if a metric needs
            what the data set has not.
    """
    config = config.resolved()
    of_objects = [each.label for each in config.chosen_metrics if each.evidence is ObjectMap]
    if of_objects and config.data.kind in WITHOUT_OBJECTS:
        raise InputError(
            f"metrics {', '.join(of_objects)} need objects, which data of kind "
            f"{config.data.kind} have not; expected voc2012 or coco2014"
        )
    data_set = open_data(config.data, config.seed)
    if limit is not None:
        data_set = select(data_set, data_set.ids[:limit])
    if not data_set.samples:
        raise InputError(f"data set {config.data.root} has no picture to evaluate")
    methods = dict(labelled_method(entry) for entry in config.methods)
    return Job(config, limit, data_set, methods, config.open())


def open_data(config: DataConfig, seed: int) -> DataSet:
    """Open the data set of a configuration, and take its list or its sample.

    Raises:
        InputError: If its folder is missing or laid out otherwise.
    """
    if config.kind == "imagenet":
        found = data.open_imagenet(config.root, config.labels)
    elif config.kind == "voc2012":
        found = data.open_voc(config.root, config.split or "val")
    elif config.kind == "coco2014":
        found = data.open_coco(
            config.root,
            config.split or "val2014",
            annotations=config.annotations,
            pictures=config.pictures,
        )
    else:
        found = data.open_folder(config.root)
    if config.list is not None:
        found = select(found, read_list(config.list), str(config.list))
    return found if config.sample is None else draw(found, config.sample, seed)
