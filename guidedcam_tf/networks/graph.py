"""A network as a flat list of steps that can be run, cut and watched."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from dataclasses import replace
from enum import Enum
from functools import cached_property
from functools import partial
from typing import Any

import keras
import tensorflow as tf

from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.picture_values import Specs
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.picture_values import samples
from guidedcam_tf.networks.target_functions import ARGUMENT
from guidedcam_tf.networks.target_functions import Question
from guidedcam_tf.networks.target_functions import ask
from guidedcam_tf.networks.traits import NONNEGATIVE
from guidedcam_tf.networks.traits import Trait
from guidedcam_tf.networks.traits import traits_of

TARGET = "target function"
"""What the step of `Graph.scored_by` is called."""

ALL = "all outputs"
"""What the step is called that puts several outputs side by side."""


class Role(Enum):
    """What a step is."""

    CALL = "a whole layer or operation"
    LINEAR = "a layer without the activation that it holds"
    ACTIVATION = "the activation that a layer holds"
    END = "the end of a layer whose inside is steps of its own"
    FIXED = "another input than the picture, or made of weights alone"


@dataclass(frozen=True)
class Slot:
    """The place of one tensor in a run: `index` counts the tensors of the flat graph."""

    index: int


@dataclass(frozen=True, eq=False)
class Step:
    """One call of an operation.

    Attributes:
        name: The layer's path, such as `"conv5_block3_out"` or `"resnet50/conv5_block3_out"`; the
            second call of a layer has `"#2"` after the layer's name. A layer that holds its
            activation is two steps of that name.
        layer: The Keras operation that the step belongs to; `None` where there is none.
        call: What computes the step's value.
        args, kwargs: The call's arguments, with a `Slot` wherever a tensor goes.
        outputs: The slots that the call fills.
        shape: The static shape of the first output, `None` where unknown.
        role: What part of the layer the step is.
        turned: Whether `call` turns its data, to a layer that sees channels first and back.
    """

    name: str
    layer: Any
    call: Callable[..., Any]
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    outputs: tuple[Slot, ...]
    shape: tuple[int | None, ...]
    role: Role = Role.CALL
    turned: bool = False

    @cached_property
    def inputs(self) -> tuple[Slot, ...]:
        """The slots that the step reads."""
        leaves = keras.tree.flatten((self.args, dict(self.kwargs)))
        return tuple(leaf for leaf in leaves if isinstance(leaf, Slot))

    @cached_property
    def traits(self) -> Trait:
        """What is known of the step's layer; nothing of an activation."""
        return Trait.NONE if self.is_activation else traits_of(self.layer)

    @property
    def is_trained(self) -> bool:
        """Whether the step's layer has weights, and not to prepare pictures."""
        return bool(getattr(self.layer, "weights", None)) and Trait.PREPARES not in self.traits

    @property
    def is_linear_part(self) -> bool:
        """Whether the step is a layer without the activation that the layer holds."""
        return self.role is Role.LINEAR

    @property
    def is_activation(self) -> bool:
        """Whether the step is the activation that a layer holds."""
        return self.role is Role.ACTIVATION

    def run(self, known: Mapping[Slot, tf.Tensor]) -> list[tf.Tensor]:
        """Compute the outputs from the tensors that are known."""
        args, kwargs = self.filled(known)
        return keras.tree.flatten(self.call(*args, **kwargs))

    def filled(self, known: Mapping[Slot, tf.Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Return the arguments with the tensors in the slots' places."""
        return keras.tree.map_structure(
            lambda leaf: known[leaf] if isinstance(leaf, Slot) else leaf,
            (self.args, dict(self.kwargs)),
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """The steps of a network in an order in which they can be run.

    Attributes:
        steps: The steps.
        input, output: The slots of the picture, and of what the model returns for it.
        input_shape, output_shape: Their static shapes, channels last.
        logits: The slot of the scores before a final softmax or sigmoid.
        score_activation: What makes the output of the logits: `"softmax"`, `"sigmoid"`, or `""`
            where they are the output itself.
        ends: Where there are several outputs and all are explained, the scores of each, by name.
        activations: What makes each of these outputs of its scores, by name.
        specs: The values that come with each picture, by name.
        picture_name: The name of the picture's input.
        picture_dtype: What the model casts pictures to.
    """

    steps: tuple[Step, ...]
    input: Slot
    output: Slot
    logits: Slot
    input_shape: tuple[int | None, ...]
    output_shape: tuple[int | None, ...]
    score_activation: str = ""
    ends: Mapping[str, Slot] = field(default_factory=dict)
    activations: Mapping[str, str] = field(default_factory=dict)
    specs: Specs = field(default_factory=dict)
    picture_name: str = ""
    picture_dtype: tf.DType = tf.float32

    @cached_property
    def _by_slot(self) -> dict[Slot, Step]:
        return {slot: step for step in self.steps for slot in step.outputs}

    def new_slot(self) -> Slot:
        """Return a slot that no step fills."""
        return Slot(1 + max([self.input.index, *(slot.index for slot in self._by_slot)]))

    def scored_by(self, question: Question) -> Graph:
        """Return the graph with the answer to a question in the logits' place, `[N, T]`."""
        asked = self.ends or self.logits
        graph = self.followed_by(TARGET, None, partial(ask, question), (None, None), asked)
        arguments = {ARGUMENT.format(name): spec for name, spec in question.arguments}
        return replace(graph, specs={**self.specs, **arguments})

    def followed_by(
        self,
        name: str,
        layer: Any,
        call: Callable[..., Any],
        shape: tuple[int | None, ...],
        reads: Any = None,
    ) -> Graph:
        """Return the graph with one more step, whose output takes the logits' place.

        It reads the logits, or the slots that are given.
        """
        slot = self.new_slot()
        step = Step(name, layer, call, (reads or self.logits,), {}, (slot,), shape)
        return replace(
            self, steps=(*self.steps, step), output=slot, logits=slot, output_shape=shape
        )

    @cached_property
    def scoring_steps(self) -> list[Step]:
        """The steps that the logits depend on, in the order in which they run."""
        return self._needed({self.logits}, available=set())

    @cached_property
    def picture_steps(self) -> list[Step]:
        """Those of the `scoring_steps` that depend on the picture, not on fixed inputs alone."""
        return self._reached([self.input])

    def downstream(self, step: Step) -> list[Step]:
        """Return the steps between a step's output and the logits that depend on that output."""
        return self._reached(step.outputs)

    def _reached(self, slots: Sequence[Slot]) -> list[Step]:
        reached, found = set(slots), []
        for later in self.scoring_steps:
            if later.role is not Role.FIXED and reached.intersection(later.inputs):
                reached.update(later.outputs)
                found.append(later)
        return found

    def frontier(self, step: Step) -> list[Slot]:
        """Return what else crosses from before a step's first output to the logits.

        With these tensors and that output given, `run` computes the logits from the steps after it
        alone. The list is empty where the output is a cut of the graph.
        """
        later = self.downstream(step)
        made = {step.outputs[0]}.union(*(each.outputs for each in later))
        read = dict.fromkeys(slot for each in later for slot in each.inputs)
        return [slot for slot in read if slot not in made]

    @cached_property
    def cuts(self) -> list[Step]:
        """The steps through whose first output all paths from the picture to the logits pass."""
        reads = {step: set(step.inputs) for step in self.picture_steps}
        last_use = {slot: i for i, step in enumerate(reads) for slot in reads[step]}
        last_use[self.logits] = len(reads)
        furthest, found = last_use.get(self.input, 0), []
        for place, step in enumerate(reads):
            used = [slot for slot in step.outputs if slot in last_use]
            if furthest <= place and self.logits not in used and used == [step.outputs[0]]:
                found.append(step)
            furthest = max([furthest, *(last_use.get(slot, 0) for slot in step.outputs)])
        return found

    def source(self, slot: Slot) -> Step | None:
        """Return the step that fills a slot; `None` for the model's input."""
        return self._by_slot.get(slot)

    def is_nonnegative(self, step: Step) -> bool:
        """Whether a step's output is certain not to be negative, as after a ReLU.

        That is so for activation functions without negative values, and for pooling, sums and
        concatenations of what is not negative.
        """
        if type(step.layer) is keras.layers.ReLU:
            return not step.layer.negative_slope
        if step.is_activation or type(step.layer) is keras.layers.Activation:
            return any(step.layer.activation is function for function in NONNEGATIVE)
        sources = [self._by_slot.get(slot) for slot in step.inputs]
        return Trait.KEEPS_SIGN in step.traits and all(
            source is not None and self.is_nonnegative(source) for source in sources
        )

    def needed(self, slot: Slot) -> list[Step]:
        """The steps that a tensor depends on, in the order in which they run."""
        return self._needed({slot}, available=set())

    def _needed(self, wanted: set[Slot], available: set[Slot]) -> list[Step]:
        missing, steps = set(wanted) - available, []
        for step in reversed(self.steps):
            if missing.intersection(step.outputs):
                steps.append(step)
                missing.difference_update(step.outputs)
                missing.update(set(step.inputs) - available)
        return steps[::-1]

    def tried(self, *arguments: Any) -> list[tf.Tensor]:
        """As `run`, to try a network out: what else comes with pictures is the same for all."""
        with WithValues(samples(self.specs)):
            return self.run(*arguments)

    def run(
        self,
        values: Mapping[Slot, tf.Tensor],
        wanted: Sequence[Slot],
        edits: Mapping[Slot, Callable[[tf.Tensor], tf.Tensor]] | None = None,
    ) -> list[tf.Tensor]:
        """Compute tensors of the model, in inference mode.

        Args:
            values: What is known: the model's input, or a layer's output to go on from.
            wanted: The slots to compute.
            edits: What to do to a computed tensor before anything reads it.

        Returns:
            One tensor for each wanted slot, float32 where the model's policy has half floats.
        """
        known = dict(values)
        with inference():
            for step in self._needed(set(wanted), available=set(known)):
                for slot, tensor in zip(step.outputs, step.run(known), strict=True):
                    known[slot] = edits[slot](tensor) if edits and slot in edits else tensor
        return [known[slot] for slot in wanted]
