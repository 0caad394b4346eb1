"""The simulated bfloat16 rounds where OpenVINO's does, by value."""

import importlib

import numpy as np
import pytest
from common import REPOSITORY

openvino = pytest.importorskip("openvino")
bfloat16 = importlib.import_module("ml_dtypes").bfloat16

RANDOM = np.random.default_rng(0)


@pytest.fixture
def simulated(monkeypatch):
    monkeypatch.syspath_prepend(str(REPOSITORY / "scripts"))
    return importlib.import_module("simulated_bfloat16")


def rounded(array):
    return array.astype(bfloat16).astype(np.float32)


def run(simulated, outputs, parameters, *arguments):
    model = openvino.Model(outputs, parameters)
    simulated.round_tensors(model)
    hint = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(model, "CPU", hint)(arguments)[0]


def test_between_heavy_operations_all_is_rounded_and_after_the_last_nothing(simulated):
    from openvino import opset14 as ops

    given, first, second = (
        RANDOM.normal(size=size).astype(np.float32) for size in ((5, 8), (8, 16), (16, 4))
    )
    bias, factor = np.float32(0.3), np.float32(1.7)
    parameter = ops.parameter([-1, 8], np.float32)
    hidden = ops.relu(ops.add(ops.matmul(parameter, first, False, False), bias))
    last = ops.matmul(ops.multiply(hidden, factor), second, False, False)
    result = ops.multiply(ops.reduce_mean(last, ops.constant([1])), factor)
    found = run(simulated, [result], [parameter], given)
    exact = np.maximum(rounded(given) @ rounded(first) + bias, 0) * factor
    expected = rounded(rounded(exact) @ rounded(second)).mean(axis=1) * factor
    np.testing.assert_allclose(found, expected, rtol=2e-6)
    assert (found != rounded(expected)).any()
    plain = (np.maximum(given @ first + bias, 0) * factor @ second).mean(axis=1) * factor
    assert np.abs(found / plain - 1).max() > 1e-3


def test_what_has_several_readers_is_rounded_once_and_padding_stays(simulated):
    """As behind a residual connection, and where a pool's padding is float32's smallest number."""
    from openvino import opset14 as ops

    given = RANDOM.normal(size=(2, 3, 6, 6)).astype(np.float32)
    filters = RANDOM.normal(size=(3, 3, 1, 1)).astype(np.float32)
    parameter = ops.parameter([-1, 3, 6, 6], np.float32)

    def convolution(tensor):
        return ops.convolution(tensor, filters, [1, 1], [0, 0], [0, 0], [1, 1])

    shortcut = ops.relu(convolution(parameter))
    padded = ops.pad(
        ops.add(convolution(shortcut), shortcut),
        *([0, 0, 1, 1], [0, 0, 1, 1], "constant"),
        np.finfo(np.float32).min,
    )
    pooled = ops.max_pool(padded, [1, 1], [1, 1], [0, 0], [0, 0], [3, 3], axis=2).output(0)
    found = run(simulated, [convolution(pooled)], [parameter], given)

    def by_hand(tensor):
        return np.einsum("nchw,kc->nkhw", rounded(tensor), rounded(filters[:, :, 0, 0]))

    first = rounded(np.maximum(by_hand(given), 0))
    second = np.pad(
        rounded(by_hand(first) + first), ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf
    )
    windows = np.lib.stride_tricks.sliding_window_view(second, (3, 3), axis=(2, 3))
    expected = rounded(by_hand(windows.max(axis=(-1, -2))))
    near = np.isclose(found, expected, rtol=1e-6)
    assert near.mean() > 0.97, "sums in another order may round to the neighbour"
    np.testing.assert_allclose(found, expected, rtol=2**-7)


def test_it_computes_where_the_processor_does_and_simulates_elsewhere(simulated):
    from guidedcam_tf.runtimes import open_runtime
    from guidedcam_tf.runtimes.openvino_model import usable_precisions

    able = "bfloat16" in usable_precisions()
    with simulated.bfloat16_everywhere() as how:
        assert how == ("computed" if able else "simulated")
        assert open_runtime("openvino", "bfloat16").precision == "bfloat16"
    if not able:
        with pytest.warns(UserWarning, match="does not compute in bfloat16"):
            assert open_runtime("openvino", "bfloat16").precision == "float32"
