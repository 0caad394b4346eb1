"""The export's folder: layout, versions, whole or not at all, and what is refused."""

import json
import os
import re
import stat

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method
from guidedcam_tf.serving import saved_model
from guidedcam_tf.serving.litert import export_litert

FILES = {
    "saved_model.pb",
    "fingerprint.pb",
    "variables/variables.index",
    "variables/variables.data-00000-of-00001",
    "assets/class_names.txt",
    "assets.extra/tf_serving_warmup_requests",
    "assets.extra/guidedcam.json",
}


@pytest.fixture(scope="module")
def explainer():
    return gcam.Explainer(build_toy("gap"))


def umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_the_folder_s_layout(toy_export):
    found = {str(f.relative_to(toy_export)) for f in toy_export.rglob("*") if f.is_file()}
    assert found == FILES
    assert (toy_export / "assets/class_names.txt").read_text("utf-8").splitlines() == [
        "ant",
        "bee",
        "große Wespe",
    ]
    assert [child.name for child in toy_export.parent.iterdir()] == ["1"]
    readable = stat.S_IROTH | stat.S_IXOTH
    assert toy_export.stat().st_mode & readable == readable & ~umask()


def test_the_class_names_are_an_asset(toy_export):
    graphs = SavedModel.FromString((toy_export / "saved_model.pb").read_bytes()).meta_graphs
    assert [asset.filename for asset in graphs[0].asset_file_def] == ["class_names.txt"]


def test_signatures(toy_export):
    signatures = tf.saved_model.load(str(toy_export)).signatures
    explained = {
        "saliency": ((None, 8, 8), tf.float32),
        "guidance": ((None, 4, 4), tf.float32),
        "target": ((None,), tf.int32),
        "probability": ((None,), tf.float32),
    }
    top5 = {
        "top5_indices": ((None, 3), tf.int32),
        "top5_names": ((None, 3), tf.string),
        "top5_probabilities": ((None, 3), tf.float32),
    }
    overlays = {"overlay_png_bytes": ((None,), tf.string)}
    ids = {"class_ids": ((None,), tf.int32)}
    floats = {"images": ((None, None, None, 3), tf.float32)}
    uint8 = {"images": ((None, None, None, 3), tf.uint8)}
    files = {"image_bytes": ((None,), tf.string)}
    without_maps = {name: explained[name] for name in ("target", "probability")}
    expected = {
        "serving_default": ({**floats, **ids}, {**explained, **top5}),
        "explain": ({**floats, **ids}, {**explained, **top5}),
        "explain_uint8": ({**uint8, **ids}, {**explained, **top5}),
        "explain_bytes": ({**files, **ids}, {**explained, **top5, **overlays}),
        "overlay_bytes": ({**files, **ids}, {**without_maps, **top5, **overlays}),
        "predict": (floats, {"probabilities": ((None, 3), tf.float32), **top5}),
    }
    found = {
        name: (
            described(signature.structured_input_signature[1]),
            described(signature.structured_outputs),
        )
        for name, signature in signatures.items()
    }
    assert found == expected


def described(specs):
    return {name: (tuple(spec.shape), spec.dtype) for name, spec in specs.items()}


def test_versions_are_counted_and_never_overwritten(explainer, tmp_path):
    base = tmp_path / "models" / "toy"
    assert gcam.export(explainer, base) == base / "1"
    assert gcam.export(explainer, str(base / "7"), "gradcam") == base / "7"
    before = (base / "7" / "saved_model.pb").read_bytes()
    with pytest.raises(gcam.InputError, match=r"7 exists already.*free is .*toy/8"):
        gcam.export(explainer, base / "7")
    assert (base / "7" / "saved_model.pb").read_bytes() == before
    assert saved_model.free_version(base) == base / "8"
    assert saved_model.served_version(base) == base / "7"
    assert saved_model.served_version(base / "1") == base / "1"
    record = json.loads((base / "7" / saved_model.MANIFEST).read_text())
    assert (record["method"], record["layer"], record["model"]) == ("gradcam", "conv2", "toy_gap")


def test_versions_are_numbers_not_words(tmp_path):
    for name in ("9", "10", "2", "latest"):
        (tmp_path / name / saved_model.EXTRA).mkdir(parents=True)
        (tmp_path / name / saved_model.MANIFEST).touch()
    assert saved_model.served_version(tmp_path) == tmp_path / "10"
    assert saved_model.free_version(tmp_path) == tmp_path / "11"


def test_versions_are_those_that_a_server_takes(tmp_path):
    for name in ("007", "9" * 23):
        (tmp_path / name / saved_model.EXTRA).mkdir(parents=True)
        (tmp_path / name / saved_model.MANIFEST).touch()
    assert saved_model.served_version(tmp_path) == tmp_path / "007"
    assert saved_model.free_version(tmp_path) == tmp_path / "8"
    for name, message in (("7", "007 exists already.*free is .*/8"), ("9" * 20, "from 1 to 92")):
        with pytest.raises(gcam.InputError, match=message):
            saved_model.free_version(tmp_path / name)


def test_of_two_exports_at_once_the_later_is_told_a_free_version(explainer, tmp_path, monkeypatch):
    base = tmp_path / "toy"

    def other(*arguments):
        original(*arguments)
        (base / "1" / "variables").mkdir(parents=True)

    original = saved_model.write_warm_up
    monkeypatch.setattr(saved_model, "write_warm_up", other)
    with pytest.raises(gcam.InputError, match=r"1 exists already.*free is .*toy/2"):
        gcam.export(explainer, base)
    assert [child.name for child in base.iterdir()] == ["1"]


def test_an_export_that_fails_leaves_nothing(explainer, tmp_path, monkeypatch):
    def broken(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(saved_model, "write_warm_up", broken)
    with pytest.raises(OSError, match="no space"):
        gcam.export(explainer, tmp_path / "toy" / "1")
    assert list((tmp_path / "toy").iterdir()) == []


def test_the_version_appears_whole(explainer, tmp_path, monkeypatch):
    """While the files are written, the model's folder has no child that a server would load."""
    seen = []

    def spy(file, *rest):
        seen.extend(child.name for child in (tmp_path / "toy").iterdir())
        original(file, *rest)

    original = saved_model.write_warm_up
    monkeypatch.setattr(saved_model, "write_warm_up", spy)
    gcam.export(explainer, tmp_path / "toy" / "1")
    assert len(seen) == 1
    assert seen[0].startswith(".partial-")


MANY_PASSES = {name for name, method in METHODS.items() if method.many_passes}


@pytest.mark.parametrize("name", sorted(MANY_PASSES))
def test_methods_of_many_passes_are_refused_with_the_reason(explainer, tmp_path, name):
    with pytest.raises(
        gcam.InputError, match=f"'{re.escape(name)}'.*needs .*pass.*expected one of guided"
    ):
        gcam.export(explainer, tmp_path / "toy" / "1", name)
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("name", sorted(set(METHODS) - MANY_PASSES))
def test_the_kernels_of_a_few_passes_are_one_function(explainer, name):
    kernel = explainer.pipeline.kernel(get_method(name))
    assert isinstance(kernel, tf.types.experimental.GenericFunction)


def any_size():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    return keras.Model(
        inputs, keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x)), name="any"
    )


def without_gradient():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.Lambda(lambda x: tf.cast(x > 0, tf.float32), name="gate")(x)
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))


def segments():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    return keras.Model(inputs, keras.layers.Conv2D(2, 1)(x), name="segments")


BAD = {
    "gradient": (
        lambda path: gcam.export(gcam.Explainer(without_gradient(), layer="conv"), path),
        "no gradient of the scores reaches layer 'conv': layer 'gate'",
    ),
    "method": (lambda path: gcam.export(gcam.Explainer(build_toy()), path, "gr"), "not known"),
    "option": (
        lambda path: gcam.export(gcam.Explainer(build_toy()), path, "gradcam", x=1),
        "no option 'x'",
    ),
    "version 0": (lambda path: gcam.export(gcam.Explainer(build_toy()), path / "0"), "from 1"),
    "pixels": (
        lambda path: gcam.export(gcam.Explainer(build_toy()), path, max_pixels=0),
        "max_pixels must be a whole number from 1; received 0",
    ),
    "merge": (
        lambda path: gcam.export(gcam.Explainer(build_toy()), path, merge=-1),
        "merge must be a whole number from 0; received -1",
    ),
    "colours": (
        lambda path: gcam.export(gcam.Explainer(build_toy()), path, colour_map="hot"),
        "colour map 'hot' is unknown; expected inferno",
    ),
}


def with_ages():
    inputs, age = keras.Input((8, 8, 3)), keras.Input((1,), name="age")
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    x = keras.layers.Concatenate()([keras.layers.GlobalAveragePooling2D()(x), age])
    return keras.Model([inputs, age], keras.layers.Dense(2)(x), name="ages")


NO_EXPORT = {
    "segments": (
        lambda: gcam.Explainer(segments(), layer="conv"),
        "the output of 'segments' is .*, and an export explains classes",
    ),
    "any size": (lambda: gcam.Explainer(any_size()), "any takes pictures"),
    "crop": (
        lambda: gcam.Explainer(build_toy(), fit="crop"),
        "an export squashes pictures to .*fit='crop'",
    ),
    "values": (
        lambda: gcam.Explainer(with_ages(), scores="logits"),
        "ages has further inputs, 'age', and an export takes pictures alone",
    ),
}


@pytest.mark.parametrize("write", [gcam.export, export_litert])
@pytest.mark.parametrize("name", NO_EXPORT)
def test_what_no_export_can_hold_is_refused_by_each(tmp_path, name, write):
    make, message = NO_EXPORT[name]
    with pytest.raises(gcam.InputError, match=message):
        write(make(), tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


@pytest.mark.parametrize("name", BAD)
def test_bad_calls_say_what_is_wrong_and_write_nothing(tmp_path, name):
    call, message = BAD[name]
    with pytest.raises(gcam.InputError, match=message):
        call(tmp_path / "toy")
    assert not (tmp_path / "toy").exists()


def test_a_network_of_other_channels_has_no_signatures_of_files(tmp_path):
    inputs = keras.Input((8, 8, 4))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    folder = gcam.export(gcam.Explainer(model), tmp_path / "four")
    signatures = tf.saved_model.load(str(folder)).signatures
    assert set(signatures) == {"serving_default", "explain", "explain_uint8", "predict"}
    images = tf.constant(np.random.default_rng(0).uniform(0, 255, (2, 9, 7, 4)), tf.float32)
    answer = signatures["explain"](images=images, class_ids=tf.constant([-1, 1]))
    assert answer["saliency"].shape == (2, 8, 8)


def test_without_merging_the_graph_has_no_batching(explainer, toy_export, tmp_path):
    def operations(folder):
        graph = tf.saved_model.load(str(folder)).signatures["explain_bytes"].graph.as_graph_def()
        return {node.op for function in graph.library.function for node in function.node_def}

    assert "BatchFunction" in operations(toy_export)
    assert "BatchFunction" not in operations(gcam.export(explainer, tmp_path / "toy", merge=0))


def test_the_explainer_is_unchanged(explainer, toy_images, tmp_path):
    before = explainer.maps(toy_images, [0, 1, 2])
    weights = explainer.network.model.get_weights()
    gcam.export(explainer, tmp_path / "toy")
    np.testing.assert_array_equal(explainer.maps(toy_images, [0, 1, 2]), before)
    for old, new in zip(weights, explainer.network.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
