"""Where a network's scores are, and what its output means: found by value, not by name alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import replace
from typing import Any
from typing import Literal
from typing import get_args

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import shown
from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.class_pair import ClassPair
from guidedcam_tf.networks.graph import ALL
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.ports import side_by_side
from guidedcam_tf.networks.traits import Trait

Scores = Literal["logits", "probabilities", "sigmoid", "regression"]
"""What a network's output is."""

Kind = Literal["softmax", "sigmoid", "probabilities", "values"]
"""How probabilities are made of what `Graph.logits` holds; `"probabilities"` are there already."""

Shape = tuple[int | None, ...]

MAKERS = {
    "softmax": tf.nn.softmax,
    "sigmoid": tf.sigmoid,
    "log_softmax": tf.nn.log_softmax,
}


def find_logits(graph: Graph) -> Graph:
    """Return the graph with the scores before a final softmax or sigmoid as its logits.

    The last step counts as one of these if it computes it, whatever it is called. What only
    reshapes the probabilities then reshapes the scores; what casts them is left out.
    """
    last = graph.source(graph.output)
    reshaping: list[Step] = []
    while last is not None and (source := _handed_on(graph, last)) is not None:
        if last.shape != source.shape:
            reshaping.append(last)
        last = source
    activation = "" if last is None else _maker(graph, last)
    if last is None or not activation:
        return graph
    scores = last.inputs[0]
    for step in reversed(reshaping):
        slot = graph.new_slot()
        step = replace(step, args=(scores, *step.args[1:]), outputs=(slot,))
        graph, scores = replace(graph, steps=(*graph.steps, step)), slot
    kind = activation.removeprefix("log_")
    return replace(graph, logits=scores, score_activation=kind)


def find_all_logits(graph: Graph, ends: Mapping[str, tuple[Slot, Shape]]) -> Graph:
    """Return the graph of several outputs, all of which are explained, side by side.

    Args:
        graph: The graph.
        ends: The outputs by name, and their shapes.
    """
    found, activations = {}, {}
    for name, (slot, shape) in ends.items():
        one = replace(graph, output=slot, logits=slot, output_shape=shape, score_activation="")
        one = find_logits(one)
        graph, found[name] = replace(graph, steps=one.steps), one.logits
        activations[name] = one.score_activation
    outputs = [slot for slot, _ in ends.values()]
    whole = graph.followed_by(ALL, None, side_by_side, (None, None), outputs)
    scores = whole.followed_by(ALL, None, side_by_side, (None, None), list(found.values()))
    return replace(scores, output=whole.output, ends=found, activations=activations)


def _handed_on(graph: Graph, step: Step) -> Step | None:
    """The step whose scores a step hands on, but for their shape or dtype, if it does that."""
    layer = step.layer
    is_linear = type(layer) is keras.layers.Activation and (
        layer.activation is keras.activations.linear
    )
    hands_on = is_linear or Trait.SAME_VALUES in step.traits or type(layer).__name__ == "Cast"
    scores, found = _tried(graph, step, 3.0)
    hands_on = hands_on or (found is not None and np.array_equal(scores, found))
    if not hands_on or step.args[:1] != step.inputs:
        return None
    source = graph.source(step.inputs[0])
    return source if source is not None and source.shape[-1] == step.shape[-1] else None


def _maker(graph: Graph, step: Step) -> str:
    """Which of `MAKERS` a step computes on random scores; empty for none."""
    scores, found = _tried(graph, step, 3.0)
    if found is None:
        return ""
    for name, maker in MAKERS.items():
        if np.allclose(found, maker(scores), rtol=2e-2, atol=1e-3):
            return name
    return ""


def _tried(graph: Graph, step: Step, scale: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Random scores, and what a step without weights makes of them; `None` where it cannot."""
    source = graph.source(step.inputs[0]) if len(step.inputs) == 1 else None
    shape = graph.input_shape if source is None else source.shape
    has_weights = getattr(step.layer, "weights", None) and not step.is_activation
    if len(step.inputs) != 1 or has_weights or shape != step.shape or not shape[-1]:
        return np.zeros(0), None
    size = [4, *(3 for _ in shape[1:-1]), shape[-1]]
    scores = np.random.default_rng(0).normal(0, scale, size).astype(np.float32)
    try:
        with inference():
            (found,) = step.run({step.inputs[0]: tf.constant(scores)})
        return scores, np.asarray(tf.cast(found, tf.float32))
    except Exception:  # A step may not run on other extents.
        return scores, None


def paired(graph: Graph) -> Graph:
    """Return the graph of a network of one unit with the scores of two classes as its logits."""
    pair = ClassPair(name="two_classes", dtype="float32")
    return graph.followed_by(pair.name, pair, pair, (None, 2))


@dataclass(frozen=True)
class Meaning:
    """What a network's output means.

    Attributes:
        kind: How probabilities are made of the scores; `"values"` are none.
        reason: One line that says so.
        sure: Whether neither the end of the network nor its values leave a doubt.
    """

    kind: Kind
    reason: str
    sure: bool = True

    def probabilities(self, scores: tf.Tensor, *, has_pair: bool) -> tf.Tensor:
        """Turn scores `[N, classes]` into probabilities; numbers that are none stay as they are.

        Args:
            scores: What the graph gives as logits.
            has_pair: Whether they are the two that `paired` makes of one unit.
        """
        if self.kind == "softmax":
            return tf.nn.softmax(scores)
        if self.kind == "sigmoid":
            return tf.sigmoid(scores)
        if self.kind == "probabilities" and has_pair:
            return scores + tf.constant([1.0, 0.0])
        return scores


def meaning_of(
    graph: Graph, outputs: np.ndarray | None, scores: Scores | None, loss: Any = None
) -> tuple[Graph, Meaning]:
    """Find out what an output means.

    Args:
        graph: The network.
        outputs: What the model gives for some pictures, `[N, ...]`; `None` where it is not known.
        scores: What the user says it is.
        loss: What the model was compiled with.

    Returns:
        The graph, with the output itself as its logits where the user says that no activation is
        to be undone, and the meaning.

    Raises:
        InputError: If `scores` is none of the four, or a softmax is over one unit.
    """
    if graph.ends:
        return graph, Meaning("values", "has several outputs, which are no classes")
    if scores is not None:
        return _as_told(graph, scores)
    if graph.score_activation == "softmax":
        if graph.output_shape[-1] == 1:
            raise InputError(
                "the network ends in a softmax over one unit, which is 1 for every picture, so it "
                "has learned nothing: train it with activation='sigmoid', or with two units"
            )
        return graph, Meaning("softmax", "ends in a softmax")
    if graph.score_activation == "sigmoid":
        several = graph.output_shape[-1] not in (None, 1)
        each = ": multi-label, each class is decided by itself" if several else ": two classes"
        return graph, Meaning("sigmoid", f"ends in a sigmoid{each}")
    if len(graph.output_shape) != 2:
        return graph, Meaning("values", "gives numbers that are no classes")
    return graph, _by_loss(loss) or _by_value(graph, outputs)


def _as_told(graph: Graph, scores: Scores) -> tuple[Graph, Meaning]:
    if scores not in get_args(Scores):
        choices = ", ".join(map(repr, get_args(Scores)))
        raise InputError(f"scores must be one of {choices}; received {shown(scores)}")
    told = f"is said to give {scores}"
    found = graph.score_activation
    if found and (scores == "probabilities" or scores == found):
        return graph, Meaning("softmax" if found == "softmax" else "sigmoid", told)
    graph = replace(graph, logits=graph.output, score_activation="")
    kinds: dict[str, Kind] = {
        "logits": "softmax",
        "sigmoid": "sigmoid",
        "regression": "values",
        "probabilities": "probabilities",
    }
    one_logit = scores == "logits" and graph.output_shape[-1] == 1
    return graph, Meaning("sigmoid" if one_logit else kinds[scores], told)


def _by_loss(loss: Any) -> Meaning | None:
    """The meaning of an output without softmax or sigmoid, from the loss that it is trained by."""
    name = loss if isinstance(loss, str) else getattr(loss, "name", "")
    if getattr(loss, "from_logits", False):
        return Meaning("sigmoid" if "binary" in name else "softmax", f"is trained by {name}")
    if name.startswith(("mean_", "mse", "mae", "huber", "log_cosh")):
        return Meaning("values", f"is trained by {name}")
    return None


def _range_of(graph: Graph) -> tuple[float, float]:
    """What the last step keeps its output within, as far as trying it shows."""
    last, found = graph.source(graph.output), None
    while last is not None:
        scores, found = _tried(graph, last, 30.0)
        moves = found is not None and np.isin(found, scores).all()
        if not moves and Trait.SAME_VALUES not in last.traits:
            break
        last = graph.source(last.inputs[0])
    if last is None or Trait.LINEAR in last.traits:
        return -np.inf, np.inf
    return (-np.inf, 1.0) if found is None else (found.min(), found.max())


def _by_value(graph: Graph, outputs: np.ndarray | None) -> Meaning:
    units, (lowest, highest) = graph.output_shape[1], _range_of(graph)
    goes_below = -np.inf < lowest < -1e-6
    if (
        outputs is not None
        and np.isfinite(outputs).all()
        and not goes_below
        and outputs.min() >= -1e-6
    ):
        if units != 1 and np.abs(outputs.sum(axis=1) - 1).max() < 1e-3:
            return Meaning(
                "probabilities", "gives rows that sum to 1: they are taken for probabilities", False
            )
        if max(outputs.max(), highest) <= 1 + 1e-6:
            return Meaning(
                "probabilities", "gives values in 0..1: they are taken for probabilities", False
            )
    if units == 1:
        return Meaning("values", "gives one number, which is taken for a value, no logit", False)
    if lowest >= 0:
        return Meaning("values", "gives numbers from 0 up: they are taken for values", False)
    return Meaning("softmax", f"has no softmax: its {units} outputs are taken for logits", False)
