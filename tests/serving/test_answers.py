"""What an export answers, in a process where this package cannot be imported."""

import io
import shutil
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from PIL import Image
from serving.encoding import decoded
from serving.encoding import encode

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.overlay import overlay
from guidedcam_tf.serving import fresh_process
from guidedcam_tf.serving.check import NEXT_COLOUR
from guidedcam_tf.serving.check import answers_of
from guidedcam_tf.serving.check import check_export

BATCHES = (1, 2, 5)


def of_one_size(pictures):
    return np.stack([np.asarray(Image.fromarray(p).resize((230, 210))) for p in pictures])


def requests_for(pictures, class_ids):
    """Requests for the maps, of pixels and of JPEG files, in batches; one to each signature."""
    images, files = of_one_size(pictures), [encode(picture) for picture in pictures]
    requests = []
    for count in BATCHES:
        ids = class_ids[:count]
        floats = images[:count].astype(np.float32)
        encoded = np.array(files[:count], object)
        requests += [
            ("explain", {"images": floats, "class_ids": ids}),
            ("explain_bytes", {"image_bytes": encoded, "class_ids": ids}),
        ]
        if count == 2:
            requests += [
                ("serving_default", {"images": floats, "class_ids": ids}),
                ("explain_uint8", {"images": images[:count], "class_ids": ids}),
                ("overlay_bytes", {"image_bytes": encoded, "class_ids": ids}),
                ("predict", {"images": floats}),
            ]
    return requests


def check_answers(explainer, pictures, class_ids, requests, answers):
    """Compare every answer with the live Explainer; return the largest difference of a map."""
    fit = explainer.network.fit
    from_files = np.stack([fit(decoded(encode(p))[None]).numpy()[0] for p in pictures])
    live = {}
    for kind, fitted in (("images", fit(of_one_size(pictures)).numpy()), ("files", from_files)):
        probabilities = explainer.predict(fitted)
        targets = np.where(class_ids < 0, probabilities.argmax(axis=1), class_ids)
        maps = explainer.maps(fitted, targets)
        live[kind] = fitted, probabilities, targets, maps
    largest = 0.0
    for (signature, inputs), answer in zip(requests, answers, strict=True):
        count = len(next(iter(inputs.values())))
        kind = "files" if "image_bytes" in inputs else "images"
        fitted, probabilities, targets, maps = (part[:count] for part in live[kind])
        top5 = np.argsort(-probabilities, kind="stable")[:, :5]
        names = np.array(explainer.network.classes.names)[top5]
        assert np.array_equal(np.char.decode(answer["top5_names"].astype(bytes), "utf-8"), names)
        np.testing.assert_array_equal(answer["top5_indices"], top5)
        best = np.take_along_axis(probabilities, top5, axis=1)
        np.testing.assert_allclose(answer["top5_probabilities"], best, atol=1e-5)
        if signature == "predict":
            np.testing.assert_allclose(answer["probabilities"], probabilities, atol=1e-5)
            continue
        np.testing.assert_array_equal(answer["target"], targets)
        of_targets = probabilities[np.arange(count), targets]
        np.testing.assert_allclose(answer["probability"], of_targets, atol=1e-5)
        if signature == "overlay_bytes":
            assert "saliency" not in answer
        else:
            np.testing.assert_allclose(answer["saliency"], maps, atol=1e-5)
            assert answer["saliency"].dtype == np.float32
            largest = max(largest, np.abs(answer["saliency"] - maps).max())
        if kind == "files":
            shown = np.round(np.clip(fitted, 0, 255)).astype(np.uint8)
            for file, picture, saliency in zip(
                answer["overlay_png_bytes"], shown, maps, strict=True
            ):
                drawn = np.asarray(Image.open(io.BytesIO(file))).astype(int)
                difference = np.abs(drawn - overlay(picture, saliency))
                assert difference.max() <= NEXT_COLOUR
                assert (difference > 0).mean() < 1e-3
    return largest


def compare(explainer, folder, pictures):
    """Every third picture is explained for class 1, the others for their best class."""
    class_ids = np.where(np.arange(len(pictures)) % 3 == 1, 1, -1).astype(np.int32)
    requests = requests_for(pictures, class_ids)
    answers = answers_of(folder, requests)
    return check_answers(explainer, pictures, class_ids, requests, answers)


def test_a_small_network_on_photographs(toy_explainer, toy_export, pictures):
    compare(toy_explainer, toy_export, pictures)


@pytest.mark.slow
def test_resnet50_on_photographs(resnet50, resnet50_export, pictures, capsys):
    largest = compare(resnet50, resnet50_export, pictures)
    with capsys.disabled():
        print(f"\nResNet50's export, batches of {BATCHES}: maps differ by up to {largest:.2g}")


@pytest.mark.slow
def test_vgg16_on_photographs(vgg16_model, pictures, tmp_path):
    explainer = gcam.Explainer(vgg16_model, layer="block5_conv3", preprocess="caffe")
    folder = gcam.export(explainer, tmp_path / "vgg16")
    try:
        compare(explainer, folder, pictures[:3])
    finally:
        shutil.rmtree(folder)


def test_guidance_is_the_live_explainer_s(toy_explainer, toy_export, pictures):
    images = of_one_size(pictures[:3]).astype(np.float32)
    ids = np.array([0, 1, 2], np.int32)
    explain = tf.saved_model.load(str(toy_export)).signatures["explain"]
    answer = explain(images=tf.constant(images), class_ids=tf.constant(ids))
    kernel = toy_explainer.pipeline.kernel(get_method("guided"))
    live = kernel(toy_explainer.network.fit(images), ids[:, None])["guidance"][:, 0]
    np.testing.assert_allclose(answer["guidance"], live, rtol=1e-5, atol=1e-6)


METHODS = {
    "gradcam++": {"alpha_normalize": False},
    "relevance_cam": {"init": "sglrp"},
    "eigencam": {},
    "cam": {},
}
"""Of each kind of formula one: of gradients, of relevance, of activations, of the last weights."""


@pytest.fixture(scope="module")
def smoothing():
    """An explainer that smooths as the paper does."""
    return gcam.Explainer(build_toy("gap"), preprocess="torch", postprocessing="paper")


@pytest.mark.parametrize("name", METHODS)
def test_every_kind_of_method(name, smoothing, pictures, tmp_path):
    explainer, options = smoothing, METHODS[name]
    folder = gcam.export(explainer, tmp_path / "toy", name, **options)
    images = of_one_size(pictures[:3])
    explain = tf.saved_model.load(str(folder)).signatures["explain_uint8"]
    answer = explain(images=tf.constant(images), class_ids=tf.constant([-1, 1, 2]))
    fitted = explainer.network.fit(images).numpy()
    live = explainer.maps(fitted, answer["target"].numpy(), name, **options)
    np.testing.assert_allclose(answer["saliency"], live, atol=1e-5)
    assert "guidance" not in answer
    assert live.any()


def test_a_grey_network(pictures, tmp_path):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    explainer = gcam.Explainer(model)
    folder = gcam.export(explainer, tmp_path / "grey")
    explain_bytes = tf.saved_model.load(str(folder)).signatures["explain_bytes"]
    file = encode(pictures[0], "PNG")
    answer = explain_bytes(image_bytes=tf.constant([file]), class_ids=tf.constant([1]))
    expected = explainer.pipeline.postprocessing(explainer.explain(pictures[0], [1]).raw, (8, 8))
    np.testing.assert_allclose(answer["saliency"], expected, atol=1e-5)
    drawn = Image.open(io.BytesIO(answer["overlay_png_bytes"].numpy()[0]))
    assert (drawn.size, drawn.mode) == ((8, 8), "RGB")


def small(outputs, activation, extra=None):
    """A small network; with `extra`, a second input of as many numbers."""
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3), name="picture")
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.Flatten()(x)
    everything = [inputs]
    if extra is not None:
        everything.append(keras.Input((extra,), name="numbers"))
        x = keras.layers.Concatenate()([x, everything[1]])
    scores = keras.layers.Dense(outputs, activation=activation)(x)
    return keras.Model(everything, scores)


OTHERS = {
    "labels that do not exclude each other": lambda: gcam.Explainer(small(3, "sigmoid")),
    "one output": lambda: gcam.Explainer(small(1, "sigmoid")),
    "another input that is fixed": lambda: gcam.Explainer(
        small(7, "softmax", extra=2), input="picture", fixed_inputs={"numbers": np.ones(2)}
    ),
}


@pytest.mark.filterwarnings("ignore:not compared in OpenVINO")
@pytest.mark.parametrize("kind", OTHERS)
def test_other_kinds_of_classifiers(kind, pictures, tmp_path, answers_here):
    explainer = OTHERS[kind]()
    signatures = tf.saved_model.load(str(gcam.export(explainer, tmp_path / "net"))).signatures
    images = of_one_size(pictures[:3])
    fitted = explainer.network.fit(images).numpy()
    logits = explainer.pipeline.logits(fitted)
    probabilities = explainer.network.probabilities(logits).numpy()
    best = logits.numpy().argmax(axis=1)
    predicted = signatures["predict"](images=tf.constant(images, tf.float32))
    np.testing.assert_allclose(predicted["probabilities"], probabilities, atol=1e-5)
    answer = signatures["explain_uint8"](images=images, class_ids=tf.constant([-1, -1, 0]))
    targets = np.array([best[0], best[1], 0])
    np.testing.assert_array_equal(answer["target"], targets)
    np.testing.assert_allclose(answer["probability"], probabilities[range(3), targets], atol=1e-5)
    np.testing.assert_allclose(answer["saliency"], explainer.maps(fitted, targets), atol=1e-5)
    assert answer["top5_indices"].shape == (3, min(5, probabilities.shape[1]))
    np.testing.assert_array_equal(answer["top5_indices"][:2, 0], targets[:2])
    assert all(row.right for row in check_export(tmp_path / "net", explainer))


def test_the_fresh_process_cannot_import_the_package():
    code = (
        f"import runpy, sys; module = runpy.run_path({fresh_process.__file__!r})\n"
        "sys.meta_path.insert(0, module['Absent']())\n"
        "try: import guidedcam_tf.ops\n"
        "except ModuleNotFoundError: sys.exit(7)"
    )
    assert subprocess.run([sys.executable, "-I", "-c", code], check=False).returncode == 7
