"""What a network's further inputs get with each picture: columns of the data set's list."""

from __future__ import annotations

import math
from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import tensorflow as tf

from guidedcam_tf.data.orientation import Frame
from guidedcam_tf.data.samples import Annotation
from guidedcam_tf.data.samples import DataSet
from guidedcam_tf.data.samples import Sample
from guidedcam_tf.data.skipped import SampleError
from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import Network


def with_values(data_set: DataSet, network: Network) -> DataSet:
    """Return a data set whose samples have a value for each of the network's further inputs.

    An input `[N]` or `[N, 1]` is the column of its name; one of k values the columns `name_0` to
    `name_(k - 1)`, its last axis first. A picture with a bad value cannot be read,
    and is left out by its name.

    Raises:
        InputError: If the data set has no such columns.
    """
    if not network.inputs:
        return data_set
    columns = {name: _columns(name, spec, network) for name, spec in network.inputs.items()}
    _check_columns(data_set, network, [each for names in columns.values() for each in names])
    samples = []
    for sample in data_set.samples:
        try:
            values = {
                name: _value(sample, columns[name], spec) for name, spec in network.inputs.items()
            }
        except SampleError as error:
            samples.append(replace(sample, annotate=partial(_refuse, error=error)))
        else:
            samples.append(replace(sample, values=values))
    return replace(data_set, samples=tuple(samples))


def _refuse(frame: Frame, error: SampleError) -> Annotation:
    raise error


def stacked(values: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Put the values of N pictures together, `[N, ...]` by name."""
    return {name: np.stack([each[name] for each in values]) for name in values[0]}


def _columns(name: str, spec: tf.TensorSpec, network: Network) -> list[str]:
    shape = list(spec.shape[1:])
    if None in shape:
        raise InputError(
            f"input {name!r} of model {network.name!r} has the open shape {tuple(spec.shape)}, and "
            "evaluate takes a fixed number of values of each picture: give one value for all "
            "pictures with fixed_inputs"
        )
    count = math.prod(shape)
    return [name.lower()] if count == 1 else [f"{name.lower()}_{place}" for place in range(count)]


def _check_columns(data_set: DataSet, network: Network, wanted: Sequence[str]) -> None:
    having = data_set.samples[0].columns if data_set.samples else dict.fromkeys(wanted)
    missing = [name for name in wanted if name not in having]
    if missing:
        raise InputError(
            f"model {network.name!r} has further inputs, {', '.join(network.inputs)}: evaluate "
            f"takes them from columns of the list of data of kind labels, here "
            f"{', '.join(wanted):.200}; {data_set.name} in {data_set.root} lacks "
            f"{', '.join(missing):.200}, and has {', '.join(having) or 'no such columns'}. Or give "
            "one value for all pictures with fixed_inputs"
        )


def _value(sample: Sample, columns: Sequence[str], spec: tf.TensorSpec) -> np.ndarray:
    numbers = [_number(sample, column) for column in columns]
    value = np.array(numbers, spec.dtype.as_numpy_dtype)
    if not np.array_equal(value, np.array(numbers, np.float32)):
        message = f"{', '.join(columns):.100} must be of type {spec.dtype.name}; received {numbers}"
        raise SampleError("bad value", f"{message:.300}")
    return value.reshape(spec.shape[1:])


def _number(sample: Sample, column: str) -> float:
    texts = sample.columns[column]
    try:
        (number,) = map(float, texts)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        said = " and ".join(map(repr, texts))
        raise SampleError("bad value", f"{column} must be one number; received {said:.200}")
    return number
