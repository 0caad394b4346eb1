"""The training callback: which epochs, which files, what TensorBoard reads, an untouched model."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.callback import _shown
from guidedcam_tf.methods import get_method
from guidedcam_tf.overlay import overlay

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture
def pictures(rng):
    return rng.integers(0, 256, (2, 8, 8, 3), np.uint8)


def train(callback, pictures, epochs=3, model=None):
    model = model or build_toy("flatten")
    model.compile("sgd", "sparse_categorical_crossentropy")
    history = model.fit(
        pictures / 255.0, np.array([0, 1]), epochs=epochs, verbose=0, callbacks=[callback]
    )
    return model, history.history["loss"]


def files(folder):
    return sorted(file.name for file in folder.iterdir())


def test_epochs_are_shown_as_overlays_of_the_weights_by_then(tmp_path, pictures):
    callback = gcam.SaliencyCallback(
        pictures, [0, 1], folder=tmp_path, preprocess=lambda images: images / 255.0
    )
    model, _ = train(callback, pictures)
    assert files(tmp_path) == ["epoch_0001.png", "epoch_0002.png", "epoch_0003.png"]
    maps = gcam.Explainer(model, preprocess=lambda images: images / 255.0).maps(pictures, [0, 1])
    expected = np.hstack([overlay(p, m, "inferno") for p, m in zip(pictures, maps, strict=True)])
    last = np.asarray(Image.open(tmp_path / "epoch_0003.png")).astype(int)
    np.testing.assert_allclose(last, expected, atol=1)


def test_it_does_not_disturb_the_training(tmp_path, pictures):
    _, plain = train(keras.callbacks.Callback(), pictures)
    _, watched = train(gcam.SaliencyCallback(pictures, folder=tmp_path), pictures)
    np.testing.assert_array_equal(plain, watched)


@pytest.mark.parametrize(
    ("options", "shown"), [({"every": 2}, [2, 4]), ({"epochs": [1, 4]}, [1, 4])]
)
def test_chosen_epochs(tmp_path, pictures, options, shown):
    train(gcam.SaliencyCallback(pictures, 1, folder=tmp_path, **options), pictures, epochs=5)
    assert files(tmp_path) == [f"epoch_{number:04d}.png" for number in shown]


def test_it_is_compiled_once(tmp_path, pictures):
    callback = gcam.SaliencyCallback(pictures, folder=tmp_path)
    train(callback, pictures)
    kernel = callback._explainer.pipeline.kernel(get_method("guided"))
    assert kernel.experimental_get_tracing_count() == 1


def test_tensorboard_reads_the_pictures(tmp_path, pictures):
    train(gcam.SaliencyCallback(pictures, folder=None, log_dir=tmp_path), pictures, epochs=2)
    (file,) = tmp_path.iterdir()
    summaries = [
        (event.step, value)
        for event in tf.compat.v1.train.summary_iterator(str(file))
        for value in event.summary.value
    ]
    assert [step for step, _ in summaries] == [1, 2]
    value = summaries[0][1]
    assert value.tag == "saliency"
    assert value.metadata.plugin_data.plugin_name == "images"
    width, height, *encoded = tf.make_ndarray(value.tensor)
    assert (width, height) == (b"8", b"8")
    assert [tf.io.decode_png(png).shape for png in encoded] == [(8, 8, 3)] * 2


def test_a_model_that_training_builds(tmp_path, pictures):
    layers = keras.layers
    steps = [layers.Conv2D(3, 3, activation="relu"), layers.Flatten(), layers.Dense(2, "softmax")]
    train(gcam.SaliencyCallback(pictures, folder=tmp_path), pictures, 1, keras.Sequential(steps))
    assert files(tmp_path) == ["epoch_0001.png"]


def test_names_and_functions_as_targets(tmp_path, pictures):
    names = ["ant", "bee", "wasp"]
    for targets in (["bee", "ant"], "wasp", lambda logits: logits[:, 1] - logits[:, 0]):
        callback = gcam.SaliencyCallback(
            pictures, targets, folder=tmp_path, class_names=names, method="gradcam"
        )
        train(callback, pictures, 1)


BAD = {
    "images": (lambda p: gcam.SaliencyCallback(p[0]), r"images must be \[N, H, W, 3\]"),
    "a data set": (
        lambda p: gcam.SaliencyCallback(tf.data.Dataset.from_tensor_slices(p).batch(2)),
        r"images must be an array .*received a _BatchDataset: .*next\(iter\(dataset\)\)",
    ),
    "with labels": (lambda p: gcam.SaliencyCallback((p, [0, 1])), "received a tuple that makes"),
    "binary labels": (
        lambda p: train(gcam.SaliencyCallback(p, np.float32([[0], [1]]), folder="."), p),
        r"targets look like labels in floats, \(2, 1\)",
    ),
    "targets": (
        lambda p: train(gcam.SaliencyCallback(p, [1], folder="."), p),
        "one entry for each of the 2; received 1",
    ),
    "every": (lambda p: gcam.SaliencyCallback(p, every=0), "every must be a whole number from 1"),
    "text": (lambda p: gcam.SaliencyCallback(p, every="2"), "number from 1; received '2'"),
    "epochs": (lambda p: gcam.SaliencyCallback(p, epochs=3), "whole numbers from 1; received 3"),
    "no epochs": (lambda p: gcam.SaliencyCallback(p, epochs=[]), r"from 1; received \[\]"),
    "epoch 0": (lambda p: gcam.SaliencyCallback(p, epochs=[0, 2]), r"from 1; received \[0, 2\]"),
    "half an epoch": (lambda p: gcam.SaliencyCallback(p, epochs=[1.5]), r"received \[1.5\]"),
    "epochs in words": (lambda p: gcam.SaliencyCallback(p, epochs="12"), "received '12'"),
    "nowhere": (lambda p: gcam.SaliencyCallback(p, folder=None), "give a folder, a log_dir"),
    "layer": (
        lambda p: train(gcam.SaliencyCallback(p, layer="conv9", folder="."), p),
        "'conv9' is not in",
    ),
    "class": (
        lambda p: train(gcam.SaliencyCallback(p, 7, folder="."), p),
        "target 7 is out of range",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_say_what_is_wrong(name, pictures):
    call, message = BAD[name]
    with pytest.raises(gcam.InputError, match=message):
        call(pictures)


@pytest.mark.parametrize("targets", ["top2", [["top1", "wasp"], ["bee", 0]]])
def test_several_targets_of_each_picture_are_side_by_side(tmp_path, pictures, targets):
    names = ["ant", "bee", "wasp"]
    train(gcam.SaliencyCallback(pictures, targets, folder=tmp_path, class_names=names), pictures, 1)
    assert Image.open(tmp_path / "epoch_0001.png").size == (4 * 8, 8)


def test_the_best_class_of_one_picture_and_a_class_of_another(tmp_path, pictures):
    callback = gcam.SaliencyCallback(pictures, ["top1", 2], folder=tmp_path)
    model, _ = train(callback, pictures, 1)
    explainer = gcam.Explainer(model)
    maps = [explainer.maps(pictures[:1])[0], explainer.maps(pictures[1:], [2])[0]]
    expected = np.hstack([overlay(p, m) for p, m in zip(pictures, maps, strict=True)])
    written = np.asarray(Image.open(tmp_path / "epoch_0001.png")).astype(int)
    assert np.abs(written - expected).max() <= 2


@pytest.mark.parametrize(
    ("scale", "shift"), [(1, 0), (1 / 255, 0), (2 / 255, -1)], ids=["0..255", "0..1", "-1..1"]
)
def test_pictures_of_any_usual_range_are_shown_as_they_are(tmp_path, pictures, scale, shift):
    pictures[0, 0, 0], pictures[0, 0, 1] = 0, 255
    callback = gcam.SaliencyCallback(pictures * scale + shift, folder=None, log_dir=tmp_path)
    np.testing.assert_array_equal(_shown(callback.images), pictures)


@pytest.mark.parametrize("divisor", [1, 255])
def test_a_grey_network_sees_the_pictures_luminance(tmp_path, pictures, divisor):
    model = build_toy("flatten", channels=1)
    images = pictures if divisor == 1 else pictures / divisor
    train_on = np.zeros((2, 8, 8, 1), np.uint8)
    callback = gcam.SaliencyCallback(images, folder=tmp_path)
    train(callback, train_on, 1, model)
    grey = np.stack([np.asarray(Image.fromarray(p).convert("L")) for p in pictures])[..., None]
    maps = gcam.Explainer(model).maps(grey / divisor)
    expected = np.hstack([overlay(p, m) for p, m in zip(pictures, maps, strict=True)])
    written = np.asarray(Image.open(tmp_path / "epoch_0001.png")).astype(int)
    assert np.abs(written - expected).max() <= 3
