"""Relevance on its way back through a network: what the methods of that kind share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.methods.relevance_rules import PassBack
from guidedcam_tf.methods.relevance_rules import Rule
from guidedcam_tf.methods.relevance_rules import is_weighted
from guidedcam_tf.networks.class_pair import ClassPair
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step

Known = dict[Slot, tf.Tensor]
Passes = dict[Step, PassBack]
Record = Callable[[tf.Tensor, Sequence[Slot]], tuple[Known, Passes]]


def recorder(
    graph: Graph, rules: Mapping[Step, Rule], conv_bias: Literal["twice", "none"] = "none"
) -> Record:
    """Return what runs a network once and makes each step's way back.

    Args:
        graph: The network's graph.
        rules: The steps that relevance goes through, first to last, and the rule of each.
        conv_bias: As in `Call`.

    Returns:
        A function from preprocessed pictures, float32 `[N, H, W, C]`, and slots to the tensors in
        these slots, in the logits' and in what the steps read, float32, and the steps' ways back.
    """
    reads = dict.fromkeys(slot for step in rules for slot in step.inputs)
    nonnegative = {step: _takes_nonnegative(graph, step) for step in rules}

    def record(inputs: tf.Tensor, wanted: Sequence[Slot]) -> tuple[Known, Passes]:
        slots = [*dict.fromkeys([*wanted, graph.logits, *reads])]
        tensors = graph.run({graph.input: inputs}, slots)
        known = {s: tf.cast(t, tf.float32) for s, t in zip(slots, tensors, strict=True)}
        passes = {
            step: rule(Call(step, [known[s] for s in step.inputs], nonnegative[step], conv_bias))
            for step, rule in rules.items()
        }
        return known, passes

    return record


def _takes_nonnegative(graph: Graph, step: Step) -> bool:
    sources = [graph.source(slot) for slot in step.inputs]
    return all(source is not None and graph.is_nonnegative(source) for source in sources)


def has_pair(steps: Iterable[Step]) -> bool:
    """Whether the classes are the two of one unit."""
    return any(isinstance(step.layer, ClassPair) for step in steps)


def of_one_unit(rules: Mapping[Step, Rule]) -> dict[Step, Rule]:
    """The rules by which the two classes of one unit get what those of two units would.

    `ClassPair` makes the relevance of the class that the unit speaks against a negative one of the
    unit. It stays so down to the layers with weights, which pass it on by -w, as positive.

    Args:
        rules: As `recorder` takes them.

    Returns:
        The same rules where no step is a `ClassPair`.
    """
    found, signed = dict(rules), set[Slot]()
    for step in reversed(list(rules)):
        if isinstance(step.layer, ClassPair):
            signed.update(step.inputs)
        elif signed.intersection(step.outputs):
            found[step] = by_sign(rules[step], 1.0 if is_weighted(step) else -1.0)
            signed.update(() if is_weighted(step) else step.inputs)
    return found


def by_sign(rule: Rule, passed_on: float = 1.0) -> Rule:
    """Where relevance is negative, go by the negated layer.

    Args:
        rule: The layer's rule.
        passed_on: 1 to pass what is negative on as positive, -1 as negative.

    Returns:
        The rule of relevance of both signs.
    """

    def signed(call: Call) -> PassBack:
        as_it_is, negated = rule(call), rule(replace(call, sign=-1.0))

        def pass_back(relevance: tf.Tensor) -> list[tf.Tensor]:
            above, below = as_it_is(tf.nn.relu(relevance)), negated(tf.nn.relu(-relevance))
            return [a + passed_on * b for a, b in zip(above, below, strict=True)]

        return pass_back

    return signed


def propagate(passes: Passes, relevance: Known) -> Known:
    """Pass relevance back through steps, the last one first.

    A tensor that several steps read gets the sum of what they pass back.
    """
    found = dict(relevance)
    for step, pass_back in reversed(passes.items()):
        shares = pass_back(found[step.outputs[0]])
        for slot, share in zip(step.inputs, shares, strict=True):
            found[slot] = found[slot] + share if slot in found else share
    return found
