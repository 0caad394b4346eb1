"""Whether what was read of a model computes what the model computes."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.errors import reason_of
from guidedcam_tf.networks.calls import float32_inside
from guidedcam_tf.networks.calls import inference
from guidedcam_tf.networks.calls import is_of_half_floats
from guidedcam_tf.networks.calls import is_same_value
from guidedcam_tf.networks.channels_first import is_channels_first
from guidedcam_tf.networks.graph import Graph
from guidedcam_tf.networks.graph import Role
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step
from guidedcam_tf.networks.keras_graph import all_layers
from guidedcam_tf.networks.keras_graph import functional_of
from guidedcam_tf.networks.picture_values import WithValues
from guidedcam_tf.networks.picture_values import samples
from guidedcam_tf.networks.ports import choose
from guidedcam_tf.networks.ports import named_inputs
from guidedcam_tf.networks.ports import named_outputs
from guidedcam_tf.networks.ports import side_by_side
from guidedcam_tf.networks.tracing import trace


def comparison(
    model: keras.Model, graph: Graph, noise: Callable[[], tf.Tensor], output: str | None
) -> Callable[[], np.ndarray]:
    """Return what compares a graph with its model once; see `compare`."""

    @cache
    def verify() -> np.ndarray:
        # Also where a function is being traced, as for an export.
        with tf.init_scope(), WithValues(samples(graph.specs)):
            return compare(model, graph, noise(), output)

    return verify


def compare(model: keras.Model, graph: Graph, inputs: tf.Tensor, output: str | None) -> np.ndarray:
    """Hold a graph against `model(inputs, training=False)`, both at least in float32.

    Args:
        model: The model.
        graph: What was read of it.
        inputs: What the graph takes, `[N, H, W, C]`.
        output: The name of the output that is explained; of several, all without one.

    Returns:
        What the model gives, float32, channels last.

    Raises:
        InputError: If the model gives something else, gives a picture something else than it would
            alone, changes a variable, or cannot be run. The message names the first layer that
            differs.
    """
    functional = functional_of(model)
    first = functional is not None and is_channels_first(all_layers(functional))
    known = {graph.input: inputs}
    with _unchanged(model):
        _run_steps(model, graph, known)
        expected = _outputs(model, graph, known, output, first)
        alone = [_output_alone(model, graph, picture) for picture in tf.split(inputs, len(inputs))]
    found, tolerance = _as_numbers(known[graph.output]), 1e-2 if first else 1e-3
    if _alike(found, expected, tolerance):
        if not _alike(np.concatenate(alone), found, max(tolerance, 1e-2)):
            raise InputError(
                f"model {model.name!r} gives another output for a picture when another one is "
                "beside it, so there is no one output to explain; let it compute nothing across "
                "the batch, such as a mean over axis 0"
            )
        return expected
    again = _outputs(model, graph, known, output, first)
    if not _alike(expected, again, 1e-3):
        raise InputError(
            f"model {model.name!r} gives another output each time for the same picture with "
            "training=False, so there is no one output to explain; take the random layer out"
        )
    raise InputError(_difference(model, graph, known, found, expected))


@contextmanager
def _unchanged(model: keras.Model) -> Iterator[None]:
    """Leave a model as it was, and refuse one that changes more than its seeds when it is run."""
    for layer in model._flatten_layers():
        if getattr(layer, "stateful", False):
            raise InputError(
                f"layer {layer.name!r} of model {model.name!r} is stateful: it goes on from one "
                "call to the next, so there is no one output to explain; build it with "
                "stateful=False and give it the weights"
            )
    # Layers may hold variables that Keras does not list, such as TensorFlow's own.
    held = tf.train.TrackableView(model).descendants()
    unlisted = [each for each in held if isinstance(each, (keras.Variable, tf.Variable))]
    before = [(each, tf.convert_to_tensor(each)) for each in [*model.variables, *unlisted]]
    try:
        yield
    finally:
        changed = [
            (variable, old)
            for variable, old in before
            if not is_same_value(tf.convert_to_tensor(variable), old)
        ]
        for variable, old in changed:
            variable.assign(old)
    names = [getattr(variable, "path", variable.name) for variable, _ in changed]
    names = [name for name in names if "seed_generator" not in name]
    if names:
        raise InputError(
            f"model {model.name!r} changes its variable {names[0]!r} when it is run with "
            "training=False, so explaining it would change it; let the layer change it in "
            "training only"
        )


def _run_steps(model: keras.Model, graph: Graph, known: dict[Slot, tf.Tensor]) -> None:
    with inference():
        for step in graph.steps:
            try:
                outputs = step.run(known)
                if any(isinstance(each, keras.KerasTensor) for each in outputs):
                    raise TypeError(
                        "a function that it was given holds tensors of the model's graph; hand "
                        "them to it as arguments, or put it into a layer's call"
                    )
                known.update(zip(step.outputs, outputs, strict=True))
            except Exception as error:  # What a layer raises that is not used as Keras expects.
                raise InputError(
                    f"layer {step.name!r} ({type(step.layer).__name__}) of model {model.name!r} "
                    f"cannot be run: {reason_of(error)}{_half_hint(step)}"
                ) from error


def _half_hint(step: Step) -> str:
    if not is_of_half_floats(step.layer):
        return ""
    return (
        "; half floats are computed in float32 here, so let its call cast to the dtype of its "
        "input, and hold nothing in another one"
    )


def _output_alone(model: keras.Model, graph: Graph, picture: tf.Tensor) -> np.ndarray:
    known = {graph.input: picture}
    _run_steps(model, graph, known)
    return _as_numbers(known[graph.output])


def _outputs(
    model: keras.Model, graph: Graph, known: dict[Slot, tf.Tensor], output: str | None, first: bool
) -> np.ndarray:
    """What the model gives for the inputs that a run of the graph knows."""
    functional = functional_of(model) or trace(model)
    steps = {step.name: step for step in graph.steps if step.role is Role.FIXED}

    def value(name: str) -> tf.Tensor:
        tensor = known[steps[name].outputs[0] if name in steps else graph.input]
        turned = first and tensor.shape.rank == 4
        return tf.transpose(tensor, [0, 3, 1, 2]) if turned else tensor

    given: Any = value("")
    if len(functional.inputs) > 1 or isinstance(functional._inputs_struct, dict):
        values = [value(name) for name, _ in named_inputs(functional)]
        given = keras.tree.pack_sequence_as(functional._inputs_struct, values)
    ports = named_outputs(functional)
    try:
        with float32_inside():
            whole = model(given, training=False)
    except Exception as error:  # What Keras and TensorFlow raise for a model that they cannot run.
        if not (first and isinstance(error, tf.errors.UnimplementedError)):
            raise InputError(f"model {model.name!r} cannot be run: {reason_of(error)}") from error
        raise InputError(
            f"model {model.name!r} is channels-first, and TensorFlow lacks an operation of it for "
            "this processor; with the environment variable TF_ENABLE_ONEDNN_OPTS=1, set before "
            "Python starts, it has more of them"
        ) from error
    results = [
        tf.transpose(each, [0, 2, 3, 1]) if first and len(each.shape) == 4 else each
        for each in keras.tree.flatten(whole)
    ]
    if graph.ends:
        return _as_numbers(side_by_side(results))
    wanted = choose("output", ports, output, model.name)
    return _as_numbers(results[[tensor is wanted for _, tensor in ports].index(True)])


def _as_numbers(tensor: Any) -> np.ndarray:
    return np.asarray(tf.cast(tensor, tf.float32))


def _alike(found: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    if found.shape != expected.shape:
        return False
    finite = np.abs(expected[np.isfinite(expected)])
    scale = float(finite.max()) if finite.size else 1.0
    return np.allclose(found, expected, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def _difference(
    model: keras.Model,
    graph: Graph,
    known: dict[Slot, tf.Tensor],
    found: np.ndarray,
    expected: np.ndarray,
) -> str:
    """Say which layer is the first to compute something else when Keras calls it."""
    linear = {s.name: s for s in graph.steps if s.role is Role.LINEAR}
    own = (
        {id(layer) for layer in all_layers(functional_of(model) or model)}
        if (functional_of(model) is not None)
        else set()
    )
    name = ""
    with inference():
        for step in graph.scoring_steps:
            whole = step.role is not Role.END and not step.is_linear_part
            if not isinstance(step.layer, keras.layers.Layer) or not whole:
                continue
            args, kwargs = (linear[step.name] if step.is_activation else step).filled(known)
            if own and id(step.layer) not in own:
                continue
            outputs = keras.tree.flatten(step.layer(*args, **kwargs))
            pairs = zip(step.outputs, outputs, strict=True)
            if not all(_alike(_as_numbers(known[s]), _as_numbers(t), 1e-3) for s, t in pairs):
                name = f"layer {step.name!r} ({type(step.layer).__name__}) is the first to differ"
                break
    largest = np.abs(found - expected).max() if found.shape == expected.shape else np.inf
    return (
        f"model {model.name!r} computes something else than its layers one after another, by up "
        f"to {largest:.3g}: {name or 'each layer by itself agrees'}, so it cannot be explained as "
        "it was read; build it of layers whose call does what their attributes say"
    )
