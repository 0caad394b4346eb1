"""Relevance on its way back through a network: what the methods of that kind share."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Literal

import tensorflow as tf

from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.methods.relevance_rules import PassBack
from guidedcam_tf.methods.relevance_rules import Rule
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
