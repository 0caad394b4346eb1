"""What a run's configuration opens: data set, network, methods, and the units of work."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import get_args

from guidedcam_tf.arrays import check_sees_pictures
from guidedcam_tf.data.kinds import KINDS
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.skipped import count_reasons
from guidedcam_tf.data.splits import draw
from guidedcam_tf.data.splits import select
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.config import MethodConfig
from guidedcam_tf.evaluation.measuring.groups import Group
from guidedcam_tf.evaluation.measuring.groups import group_methods
from guidedcam_tf.evaluation.measuring.groups import labelled_method
from guidedcam_tf.evaluation.measuring.inputs import with_values
from guidedcam_tf.evaluation.measuring.maps import MapMaker
from guidedcam_tf.evaluation.measuring.pairs import class_names
from guidedcam_tf.evaluation.work.units import Unit
from guidedcam_tf.evaluation.work.units import plan_units
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.fusing import matching_layers
from guidedcam_tf.methods import Method
from guidedcam_tf.metrics import METRICS
from guidedcam_tf.metrics import ObjectMap
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.weights import RANDOM

_OF_OBJECTS = (
    f"the metrics of objects, "
    f"{', '.join(name for name, each in METRICS.items() if each.evidence is ObjectMap)}, measure it"
)


@dataclass(frozen=True, eq=False)
class Job:
    """A run's configuration with what it opens; the same in every process that opens it.

    Attributes:
        config: The configuration.
        limit: Take only this many of the pictures.
        data_set: The pictures.
        methods: The methods by their labels.
        explainer: The network, at the first of several layers.
        layers: The names of the layers, where several are fused.
    """

    config: EvaluationConfig
    limit: int | None
    data_set: DataSet
    methods: dict[str, Method]
    explainer: Explainer
    layers: tuple[str, ...] = ()

    @cached_property
    def parts(self) -> dict[str, frozenset[str]]:
        """The pictures of each method that takes a part of them only, by the method's label."""
        return {
            entry.label: frozenset(draw(self.data_set, entry.pictures, self.config.seed).ids)
            for entry in self.config.methods
            if isinstance(entry, MethodConfig) and entry.pictures is not None
        }

    @cached_property
    def maker(self) -> MapMaker:
        """What makes the maps."""
        pipeline = self.explainer.pipeline
        at = tuple(pipeline.at(name) for name in self.layers) or (pipeline,)
        return MapMaker(at, self.config.fusion)

    @property
    def layer(self) -> str:
        """What the run is explained at, in words."""
        if not self.layers:
            return self.explainer.layer
        return f"{' + '.join(self.layers)} ({self.config.fusion})"

    @cached_property
    def classes(self) -> ClassNames:
        """The names of the network's classes."""
        return class_names(self.explainer.network)

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


def open_network(config: EvaluationConfig) -> Explainer:
    """Open a configuration's network, at its layer where that is one."""
    return config.open(layer=None if config.fusion else config.layer)


def open_job(
    config: EvaluationConfig, limit: int | None = None, explainer: Explainer | None = None
) -> Job:
    """Open what a configuration names, or take an explainer that was opened of such a one.

    Raises:
        InputError: If the data set, the network or a method cannot be had, or if a metric needs
            what the data set has not.
    """
    if limit is not None and limit < 1:
        raise InputError(f"limit must be at least 1; received {limit}")
    config = config.resolved()
    if config.has_several_layers != (config.fusion is not None):
        raise InputError(
            "several layers and fusion, mean or layercam, go together, for a run measures one map "
            f"of each picture and method; received layer {config.layer!r} and fusion "
            f"{config.fusion!r}. To compare layers, run each by itself (--set layer=... --set "
            "name=...)"
        )
    of_objects = [each.label for each in config.chosen_metrics if each.evidence is ObjectMap]
    if of_objects and not config.data.has_objects:
        fields = [kind.model_fields["kind"] for kind in KINDS if kind.has_objects]
        having = sorted(name for field in fields for name in get_args(field.annotation))
        raise InputError(
            f"metrics {', '.join(of_objects)} need objects, which data of kind "
            f"{config.data.kind} have not; expected one of {', '.join(having)}"
        )
    explainer = explainer or _open(config)
    check_sees_pictures(explainer.network, "evaluate")
    classes = class_names(explainer.network)
    _check_measurable(config, explainer.network)
    layers: tuple[str, ...] = ()
    if config.fusion and config.layer:
        layers = tuple(matching_layers(explainer.network, config.layer))
        if len(layers) == 1:
            raise InputError(
                f"layer {config.layer!r} is {layers[0]} alone, and fusion goes with several"
            )
        explainer = explainer.at(layers[0])
    named = bool(of_objects) or config.protocol.zone_class == "object"
    mapped = named and config.protocol.object_class == "mapped"
    data_set = config.data.open(config.seed, classes if mapped else None)
    data_set = with_values(data_set, explainer.network)
    if limit is not None:
        data_set = select(data_set, data_set.ids[:limit])
    if not data_set.samples:
        counted = [f"{why}: {n}" for why, n in count_reasons(data_set.skipped).items()]
        first = f" ({', '.join(counted)}); {data_set.skipped[0].message}" if counted else ""
        raise InputError(f"data set {config.data.root} has no picture to evaluate{first}")
    methods = dict(labelled_method(entry) for entry in config.methods)
    return Job(config, limit, data_set, methods, explainer, layers)


def _open(config: EvaluationConfig) -> Explainer:
    """Open a network that is the same each time it is opened."""
    explainer = open_network(config)
    if explainer.network.weights.source == RANDOM:
        raise InputError(
            "weights: null draws other weights at each start, so that a run which goes on, or has "
            "several processes, would measure several networks; save the model to a .keras file, "
            "and name that as model"
        )
    return explainer


def _check_measurable(config: EvaluationConfig, network: Network) -> None:
    """Refuse what is not defined for what the network gives."""
    wrong = [each.label for each in config.chosen_metrics if each.evidence is not ObjectMap]
    if network.has_classes:
        if network.meaning.kind == "values" and wrong:
            raise InputError(
                f"metrics {', '.join(wrong)} measure by probabilities; {network.name!r} gives "
                f"values (scores: regression): {_OF_OBJECTS}"
            )
        return
    if wrong or config.protocol.object_class == "top1":
        asked = f"metrics {', '.join(wrong)} are" if wrong else "protocol.object_class: top1 is"
        raise InputError(
            f"{asked} about one class of the whole picture; {network.name!r} gives classes at each "
            f"position, {network.graph.output_shape}, and the map of an object is that of its "
            f"class where it is predicted: {_OF_OBJECTS}"
        )
