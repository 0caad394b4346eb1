"""What a run's configuration opens: data set, network, methods, and the units of work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from guidedcam_tf.arrays import check_sees_pictures
from guidedcam_tf.data.kinds import KINDS
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import select
from guidedcam_tf.errors import InputError
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
        return plan_units(len(self.data_set), self.chunk, groups)

    @property
    def chunk(self) -> int:
        """How many pictures are computed at a time: one where each keeps its own size."""
        fits = None not in self.explainer.network.input_size
        return self.config.chunk if fits else 1


def open_job(config: EvaluationConfig, limit: int | None = None) -> Job:
    """Open what a configuration names.

    Raises:
        InputError: If the data set, the network or a method cannot be had, or if a metric needs
            what the data set has not.
    """
    config = config.resolved()
    of_objects = [each.label for each in config.chosen_metrics if each.evidence is ObjectMap]
    if of_objects and not config.data.has_objects:
        having = sorted(kind.model_fields["kind"].default for kind in KINDS if kind.has_objects)
        raise InputError(
            f"metrics {', '.join(of_objects)} need objects, which data of kind "
            f"{config.data.kind} have not; expected one of {', '.join(having)}"
        )
    explainer = config.open()
    check_sees_pictures(explainer.network, "evaluate")
    named = bool(of_objects) or config.protocol.zone_class == "object"
    mapped = named and config.protocol.object_class == "mapped"
    classes = explainer.network.classes if mapped else None
    data_set = config.data.open(config.seed, classes)
    if limit is not None:
        data_set = select(data_set, data_set.ids[:limit])
    if not data_set.samples:
        raise InputError(f"data set {config.data.root} has no picture to evaluate")
    methods = dict(labelled_method(entry) for entry in config.methods)
    return Job(config, limit, data_set, methods, explainer)
