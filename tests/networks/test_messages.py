"""What a user is told about a model that cannot be used as asked."""

import json
import os
import re
import subprocess
import sys

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

import guidedcam_tf as gcam
from guidedcam_tf.errors import check_backend
from guidedcam_tf.errors import reason_of

layers = keras.layers


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (3, 16, 16, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def model():
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    x = layers.DepthwiseConv2D(3)(x)
    return keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))


def told(call):
    with pytest.raises(gcam.InputError) as caught:
        call()
    message = str(caught.value)
    assert len(message) < 700
    assert "\n" not in message
    return message


@pytest.mark.parametrize("ending", [".h5", ".hdf5", ".H5", ".KERAS", ".keras"])
def test_model_files_of_every_ending(model, pictures, tmp_path, ending):
    saved = tmp_path / ("saved.keras" if ending.lower() == ".keras" else "saved.h5")
    model.save(saved)
    file = saved.rename(tmp_path / f"net{ending}")
    found = gcam.Explainer(file).predict(pictures)
    np.testing.assert_allclose(found, model.predict(pictures, verbose=0), atol=1e-6)


def saved(model, folder, suffix):
    file = folder / f"saved{suffix}"
    model.save_weights(file) if "weights" in suffix else model.save(file)
    return file.read_bytes()


UNREADABLE = {
    "HDF5 as .keras": ("net.keras", ".h5", "it is HDF5: rename it to net.h5"),
    "HDF5 as .hdf": ("net.hdf", ".h5", "it is HDF5: rename it to net.h5"),
    ".keras as .h5": ("net.h5", ".keras", "it is a .keras file: rename it to net.keras"),
    ".keras as .zip": ("net.zip", ".keras", "it is a .keras file: rename it to net.keras"),
    "weights": ("net.weights.h5", ".weights.h5", "it holds weights and no network.*--weights"),
    "cut .keras": ("net.keras", lambda whole: whole[: len(whole) // 2], "whose end is missing"),
    "cut .h5": ("net.h5", lambda whole: whole[: len(whole) // 2], "truncated file"),
    "empty": ("net.keras", lambda _: b"", r"it is empty \(0 bytes\); expected what model.save"),
    "text": ("net.keras", lambda _: b"see net.h5", "it is text; expected what model.save"),
    "text as .h5": ("net.h5", lambda _: b"see net.keras", "it is text; expected what model.save"),
    "web page": ("net.keras", lambda _: b"\n<!DOCTYPE html>", "it is a web page"),
    "Git LFS": ("net.h5", lambda _: b"version https://git-lfs.github.com/spec/v1", "git lfs pull"),
    "other bytes": ("net.keras", lambda _: b"\x00\xff" * 99, "it is neither HDF5 nor a .keras"),
    "other ZIP": ("net.keras", "npz", "a ZIP archive without a network of Keras's"),
    "JSON": ("net.json", lambda _: b'{"class_name": "Functional"}', "JSON, which holds no weights"),
    "ONNX": ("net.onnx", lambda _: b"\x08\x07\x12\x04", "an ONNX model"),
    "LiteRT": ("net.tflite", lambda _: b"\x1c\x00\x00\x00TFL3", r"a LiteRT \(TensorFlow Lite\)"),
    "npz": ("net.npz", "npz", "a ZIP archive without a network of Keras's"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_a_file_that_is_no_model_is_told_by_its_content(model, tmp_path, kind):
    name, content, expected = UNREADABLE[kind]
    file = tmp_path / name
    if content == "npz":
        with file.open("wb") as opened:
            np.savez(opened, np.zeros(3))
    elif callable(content):
        file.write_bytes(
            content(saved(model, tmp_path, ".keras" if file.suffix == ".keras" else ".h5"))
        )
    else:
        file.write_bytes(saved(model, tmp_path, content))
    message = told(lambda: gcam.Explainer(file))
    assert message.startswith(f"model file {file} cannot be read: ")
    assert re.search(expected, message), message


def as_keras_2(file, kind="DepthwiseConv2D", **options):
    """Make a file look as Keras 2 wrote it."""
    with h5py.File(file, "r+") as opened:
        config = json.loads(opened.attrs["model_config"])
        for layer in config["config"]["layers"]:
            if layer["class_name"] == kind:
                layer["config"] |= options
        opened.attrs["model_config"] = json.dumps(config).encode()
        opened.attrs["keras_version"] = b"2.15.0"


def test_a_file_of_keras_2_is_read(model, pictures, tmp_path):
    file = tmp_path / "net.h5"
    model.save(file)
    as_keras_2(file, groups=1)
    found = gcam.Explainer(file).predict(pictures)
    np.testing.assert_allclose(found, model.predict(pictures, verbose=0), atol=1e-6)


@pytest.mark.parametrize("kind", ["SeparableConv2D", "Conv2DTranspose"])
def test_other_convolutions_of_keras_2_are_read(pictures, tmp_path, kind):
    """As they are in Xception's files, and in those of U-Nets."""
    x = inputs = keras.Input(pictures.shape[1:])
    x = layers.GlobalAveragePooling2D()(getattr(layers, kind)(4, 3, activation="relu")(x))
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    file = tmp_path / "net.h5"
    model.save(file)
    zeros = {"class_name": "Zeros", "config": {}}
    gone = {"kernel_initializer": zeros, "kernel_regularizer": None, "kernel_constraint": None}
    as_keras_2(file, kind, groups=1, **gone)
    found = gcam.Explainer(file).predict(pictures)
    np.testing.assert_allclose(found, model.predict(pictures, verbose=0), atol=1e-6)


def test_a_file_of_keras_2_that_cannot_be_read_is_named(model, tmp_path):
    file = tmp_path / "net.h5"
    model.save(file)
    as_keras_2(file, groups=2)
    message = told(lambda: gcam.Explainer(file))
    assert "{'groups': 2}" in message
    assert "The file was written by Keras 2.15.0" in message
    assert "save the model again with Keras 3" in message


@pytest.mark.parametrize(
    ("preprocess", "message"),
    [
        (lambda x: np.clip(x, 0, 1), "preprocess raised NotImplementedError.*not NumPy's"),
        (lambda x: x.numpy() / 255, "preprocess raised AttributeError.*has no attribute 'numpy'"),
        (lambda x: None, "preprocess raised ValueError.*None"),
        (lambda x: x / 0.0 * 0.0, "preprocess must return finite numbers"),
        (
            lambda x: x + tf.random.normal(tf.shape(x)),
            "preprocess must return the same for the same",
        ),
        (lambda x: x[..., :1], r"preprocess must return .*\(None, 16, 16, 3\).*16, 16, 1\)"),
        (lambda x: tf.image.resize(x, [20, 20]), r"it returned \(None, 20, 20, 3\)"),
        ("imagenet", "preprocess 'imagenet' is not known.*unit, signed"),
    ],
)
def test_preprocess_that_does_not_fit(model, preprocess, message):
    assert re.search(message, told(lambda: gcam.Explainer(model, preprocess=preprocess)))


@pytest.mark.parametrize(
    ("mode", "by_hand"), [("unit", lambda x: x / 255), ("signed", lambda x: x / 127.5 - 1)]
)
def test_modes_of_other_ranges(pictures, mode, by_hand):
    inputs = keras.Input((16, 16, 3))
    net = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(layers.Conv2D(4, 3)(inputs))))
    explainer = gcam.Explainer(net, preprocess=mode)
    expected = net.predict(by_hand(pictures), verbose=0)
    np.testing.assert_allclose(explainer.forward(pictures), expected, atol=1e-5)


def test_scaled_pictures_are_refused_where_they_are_scaled_again(model, pictures):
    for scaled in (pictures / 255, pictures / 127.5 - 1):
        assert "0..255" in told(lambda: gcam.Explainer(model, preprocess="tf").maps(scaled))  # noqa: B023


class TwoResults(keras.Model):
    """Returns a dictionary."""

    def __init__(self):
        super().__init__()
        self.conv, self.flat, self.head = layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)

    def call(self, inputs):
        return {"scores": self.head(self.flat(self.conv(inputs))), "features": inputs}


def test_outputs_by_name(pictures):
    net = TwoResults()
    expected = net(pictures)["scores"]
    np.testing.assert_allclose(
        gcam.Explainer(net, output="scores").forward(pictures), expected, rtol=1e-4, atol=1e-3
    )
    for wrong in (["scores"], 1):
        message = told(lambda: gcam.Explainer(net, output=wrong))  # noqa: B023
        assert f"output must be one name, one of features, scores; received {wrong!r}" in message


class Split(layers.Layer):
    """Returns a dictionary, and keeps an activation that it does not use."""

    activation = staticmethod(keras.activations.relu)

    def call(self, inputs):
        return {"whole": inputs, "half": inputs / 2}


def test_layers_that_return_dictionaries_and_models_called_by_keyword(pictures):
    inputs = keras.Input((16, 16, 3))
    base = keras.Model(
        inputs, layers.Conv2D(4, 3, activation="relu", name="conv")(inputs), name="b"
    )
    parts = Split()(base(inputs=inputs))
    x = layers.Flatten()(layers.Add()([parts["half"], parts["whole"]]))
    net = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    explainer = gcam.Explainer(net, layer="b/conv")
    np.testing.assert_allclose(
        explainer.predict(pictures), net.predict(pictures, verbose=0), atol=1e-6
    )
    assert explainer.maps(pictures, [0, 1, 2], "hirescam").shape == (3, 16, 16)


@pytest.mark.parametrize(
    ("received", "message"),
    [
        (None, "received builtins.NoneType"),
        (lambda x: x, "received builtins.function"),
        ("model.onnx", "'model.onnx' is not known.*a file that ends in .keras, .h5 or .hdf5"),
    ],
)
def test_what_is_no_model(received, message):
    assert re.search(message, told(lambda: gcam.Explainer(received)))


def test_a_model_of_tf_keras_is_named():
    old = type("Functional", (), {"__module__": "tf_keras.src.engine.functional"})()
    message = told(lambda: gcam.Explainer(old))
    assert "received tf_keras.src.engine.functional.Functional, a model of Keras 2" in message
    assert "save it as .h5" in message


def test_custom_objects_that_are_a_list(model, tmp_path):
    model.save(tmp_path / "net.keras")
    message = told(lambda: gcam.Explainer(tmp_path / "net.keras", custom_objects=[Split]))
    assert "custom_objects must be your classes and functions by name" in message


def test_a_class_that_is_not_given_is_asked_for(pictures, tmp_path):
    inputs = keras.Input((16, 16, 3))
    x = Split()(layers.Conv2D(4, 3)(inputs))["half"]
    net = keras.Model(inputs, layers.Dense(3, activation="softmax")(layers.Flatten()(x)))
    net.save(tmp_path / "own.h5")
    message = told(lambda: gcam.Explainer(tmp_path / "own.h5"))
    assert "Unknown layer: 'Split'" in message
    assert "custom_objects={'Name': Class}" in message
    explainer = gcam.Explainer(tmp_path / "own.h5", custom_objects={"Split": Split})
    np.testing.assert_allclose(
        explainer.predict(pictures), net.predict(pictures, verbose=0), atol=1e-6
    )


@pytest.mark.usefixtures("compiled")
def test_functions_of_the_output(model, pictures):
    explainer = gcam.Explainer(model)
    held = tf.constant([1.0, 2.0, 3.0])

    def nearness(outputs):
        return -tf.abs(outputs[:, 0] - held)

    assert explainer.maps(pictures, nearness).any()
    message = told(lambda: explainer.maps(pictures, nearness, batch_size=2))
    assert "target 'nearness' cannot be computed for a batch of 2 pictures: Incompatible" in message
    assert "is to be an argument, gcam.targets.function(name, argument=values)" in message
    message = told(lambda: explainer.maps(pictures, lambda outputs: np.asarray(outputs)[:, 0]))
    assert "target '<lambda>' raised NotImplementedError" in message
    message = told(lambda: explainer.maps(pictures, nearness, "relevance_cam"))
    assert (
        "relevance_cam explains classes: it has no rule for a target that is a function" in message
    )


def test_pictures_too_small_for_any_size(pictures):
    inputs = keras.Input((None, None, 3))
    x = layers.Conv2D(4, 5)(layers.Conv2D(4, 7, strides=2)(inputs))
    net = keras.Model(inputs, layers.Dense(3)(layers.GlobalMaxPooling2D()(x)), name="any")
    explainer = gcam.Explainer(net)
    for call in (explainer.maps, explainer.predict):
        message = told(lambda: call(pictures[:, :8, :8]))  # noqa: B023
        assert "pictures of 8 x 8 do not go through layer 'conv2d" in message
        assert "' of 'any', which takes any size: " in message


def test_the_reason_is_found_in_what_tensorflow_raises():
    text = (
        "Graph execution error:\n\nDetected at node add defined at (most recent call last):\n"
        '  File "a.py", line 1, in f\n\nIncompatible shapes: [2] vs. [3]\n\t [[{{node add}}]]'
    )
    assert reason_of(ValueError(text)) == "Incompatible shapes: [2] vs. [3]"
    assert reason_of(ValueError()) == "ValueError"


class Failing(layers.Layer):
    def __init__(self, error):
        super().__init__()
        self.error = error

    def call(self, x):
        raise self.error


def failing(error):
    return lambda: Failing(error)(tf.zeros((1, 2)))


TRACED = 'in user code:\n\n    File "a.py", line 2, in f  *\n        g(x)\n\n    ValueError: no\n'
EMBEDDING = layers.Embedding(10, 3)
OUT_OF_RANGE = tf.constant([[50]])
RAISED = {
    "Keras's": (lambda: layers.Reshape((7,))(tf.zeros((1, 16))), "The total size of the tensor"),
    "KeyError": (failing(KeyError("a\nb")), "a"),
    "operation": (lambda: EMBEDDING(OUT_OF_RANGE), "indices[0,0] = 50 is not in [0, 10)"),
    "graph": (
        lambda: tf.function(EMBEDDING)(OUT_OF_RANGE),
        "indices[0,0] = 50 is not in [0, 10)",
    ),
    "several lines": (failing(IndexError("no such row\nsecond line")), "no such row"),
    "tracing": (failing(ValueError(TRACED)), "ValueError: no"),
}


@pytest.mark.parametrize("kind", RAISED)
def test_the_reason_is_found_in_what_is_raised(kind):
    call, expected = RAISED[kind]
    with pytest.raises(Exception) as caught:
        call()
    assert reason_of(caught.value).startswith(expected)


def test_a_long_reason_is_cut():
    assert len(reason_of(ValueError("x" * 10_000))) < 310


def test_the_reason_of_a_layer_is_told():
    inputs = keras.Input(batch_shape=(1, 8, 8, 3))
    maps = keras.ops.reshape(layers.Conv2D(4, 3)(inputs), (1, 144))
    fixed = keras.Model(inputs, layers.Dense(2)(maps))
    message = told(lambda: gcam.Explainer(fixed))
    assert "cannot be run: " in message
    assert "reshape" in message
    assert "Exception encountered" not in message


def test_another_backend_of_keras(tmp_path, monkeypatch):
    environment = {**os.environ, "KERAS_BACKEND": "torch"}
    command = [sys.executable, "-m", "guidedcam_tf", "layers", "mobilenetv2"]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == (
        "guidedcam: Keras is set to run on 'torch', by KERAS_BACKEND or by keras.json; expected "
        "'tensorflow': set the environment variable KERAS_BACKEND=tensorflow\n"
    )
    monkeypatch.delitem(sys.modules, "keras")
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    check_backend()
    (tmp_path / "keras.json").write_text('{"backend": "jax"}')
    assert "run on 'jax'" in told(check_backend)
    with pytest.raises(gcam.InputError, match="run on 'jax'"):
        _ = gcam.Explainer
