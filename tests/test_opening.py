"""What is said of a network is the same in Python, in a configuration and on the command line."""

import json

import keras
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

import guidedcam_tf as gcam
from guidedcam_tf.cli import app
from guidedcam_tf.cli.options import NETWORK
from guidedcam_tf.configuring import read_config
from guidedcam_tf.networks import open_network
from guidedcam_tf.opening import KEYS
from guidedcam_tf.opening import NetworkConfig
from guidedcam_tf.opening import open_explainer

layers = keras.layers
NAMES = {"wolf": 2, "fox": 0, "dog": 1}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("own")
    keras.utils.set_random_seed(5)
    picture, table = keras.Input((16, 16, 3), name="picture"), keras.Input((2,), name="table")
    x = layers.Conv2D(6, 3, activation="relu", name="features")(picture)
    x = layers.Concatenate()([layers.Flatten()(x), table])
    outputs = layers.Dense(3, activation="softmax", name="kind")(x)
    keras.Model([picture, table], [outputs, layers.Dense(1, name="age")(x)]).save(
        folder / "m.keras"
    )
    np.savez(folder / "fixed.npz", table=np.array([0.5, -1.0], np.float32))
    (folder / "names.json").write_text(json.dumps(NAMES))
    pixels = np.random.default_rng(3).integers(0, 256, (20, 24, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(folder / "picture.png")
    return folder


def said(folder):
    return {
        "preprocess": "unit",
        "class_names": str(folder / "names.json"),
        "input": "picture",
        "output": "kind",
        "fixed_inputs": str(folder / "fixed.npz"),
    }


def run(*arguments):
    return CliRunner().invoke(app, [str(each) for each in arguments])


def test_the_command_line_has_every_key():
    assert tuple(NETWORK) == KEYS


def test_python_the_command_line_and_a_config_agree(folder, tmp_path):
    model = keras.models.load_model(folder / "m.keras")
    in_python = gcam.Explainer(
        model,
        preprocess=lambda images: images / 255.0,
        class_names=["fox", "dog", "wolf"],
        input="picture",
        output="kind",
        fixed_inputs={"table": np.array([0.5, -1.0], np.float32)},
    ).explain(folder / "picture.png", "wolf")
    config = tmp_path / "network.yaml"
    config.write_text(json.dumps({"model": str(folder / "m.keras"), **said(folder)}))
    in_config = read_config(config, NetworkConfig).open().explain(folder / "picture.png", "wolf")
    options = [f"--{key.replace('_', '-')}={value}" for key, value in said(folder).items()]
    called = run(
        "explain", folder / "picture.png", "--model", folder / "m.keras", *options,
        "--target", "wolf", "--out", tmp_path / "out",
    )  # fmt: skip
    assert called.exit_code == 0, called.output
    (arrays,) = (tmp_path / "out").glob("*.npz")
    with np.load(arrays) as on_the_command_line:
        assert in_python.maps.any()
        np.testing.assert_array_equal(in_config.maps, in_python.maps)
        np.testing.assert_array_equal(on_the_command_line["maps"], in_python.maps)


def test_a_file_beside_the_model_says_it_once(folder, tmp_path):
    own = tmp_path / "own"
    own.mkdir()
    for name in ("m.keras", "names.json", "fixed.npz"):
        (own / name).write_bytes((folder / name).read_bytes())
    lines = {**said(folder), "class_names": "names.json", "fixed_inputs": "fixed.npz"}
    (own / "guidedcam.yaml").write_text(json.dumps(lines))
    opened = open_explainer({"model": str(own / "m.keras")})
    assert opened.network.classes.names == ("fox", "dog", "wolf")
    picture = np.full((16, 16, 3), 90, np.uint8)
    np.testing.assert_array_equal(
        opened.predict(picture[None]),
        open_explainer({"model": str(folder / "m.keras"), **said(folder)}).predict(picture[None]),
    )
    changed = open_explainer({"model": str(own / "m.keras"), "preprocess": "none"})
    assert np.abs(changed.predict(picture[None]) - opened.predict(picture[None])).max() > 1e-3
    (own / "guidedcam.yaml").write_text("model: other.keras")
    with pytest.raises(gcam.InputError, match="remove its key model"):
        open_explainer({"model": str(own / "m.keras")})
    (own / "guidedcam.yaml").write_text("preproces: unit")
    with pytest.raises(gcam.InputError, match="preproces is unknown; nearest: preprocess"):
        open_explainer({"model": str(own / "m.keras")})


def test_custom_objects_come_from_a_module(tmp_path, monkeypatch):
    (tmp_path / "my_layers.py").write_text(
        "import keras\n"
        "class Doubled(keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        return 2 * inputs\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    from my_layers import Doubled

    inputs = keras.Input((8, 8, 3))
    x = Doubled()(layers.Conv2D(4, 3)(inputs))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    with pytest.raises(gcam.InputError, match="custom_objects"):
        open_explainer({"model": str(tmp_path / "m.keras")})
    with pytest.warns(UserWarning, match=r"custom objects come from .*my_layers.py"):
        opened = open_explainer({"model": str(tmp_path / "m.keras"), "custom_objects": "my_layers"})
    assert opened.maps(np.ones((1, 8, 8, 3), np.uint8), [0]).shape == (1, 8, 8)
    with pytest.raises(gcam.InputError, match="importing 'no_such_module' raised ModuleNotFound"):
        open_explainer({"model": str(tmp_path / "m.keras"), "custom_objects": "no_such_module"})


def test_a_lambda_is_loaded_when_the_user_says_so(tmp_path):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3)(layers.Lambda(lambda images: images / 255.0)(inputs))
    keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x))).save(tmp_path / "m.keras")
    with pytest.raises(gcam.InputError, match=r"runs Python code.*unsafe_lambda=True"):
        open_explainer({"model": str(tmp_path / "m.keras")})
    said = {"model": str(tmp_path / "m.keras"), "unsafe_lambda": True, "scores": "logits"}
    assert open_explainer(said).predict(np.ones((1, 8, 8, 3), np.uint8)).shape == (1, 2)


@pytest.mark.parametrize(
    ("key", "content", "message"),
    [
        ("class_names", '["a", "b"]', "class_names has 2 names, the network 3 classes"),
        ("class_names", '{"a": 0, "b": 1, "c": 3}', "indices 0 to 2 once each"),
        ("class_names", '{"a": 0, "b": 1, "c": 1}', "indices 0 to 2 once each"),
        ("class_names", '{"a": "b", "b": "c", "c": "a"}', "between names and indices"),
        ("class_names", "[[1]]", "must hold a list of names"),
        ("class_names", '{"a":', "is not JSON"),
        ("fixed_inputs", "no zip", "must be an NPZ"),
    ],
)
def test_files_of_another_form(folder, tmp_path, key, content, message):
    file = tmp_path / "file.json"
    file.write_text(content)
    with pytest.raises(gcam.InputError, match=message):
        open_explainer({"model": str(folder / "m.keras"), **said(folder), key: str(file)})


def test_a_mapping_counts_by_index():
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.Flatten(), layers.Dense(3)])
    for given in (NAMES, {"0": "fox", "2": "wolf", "1": "dog"}, {2: "wolf", 1: "dog", 0: "fox"}):
        opened = open_network(model, class_names=given, scores="logits")
        assert opened.classes.names == ("fox", "dog", "wolf")


@pytest.mark.parametrize(
    ("first", "said", "told"),
    [
        ([], {}, True),
        ([layers.Resizing(8, 8)], {}, True),
        ([], {"preprocess": "unit"}, False),
        ([], {"preprocess": "none"}, False),
        ([layers.Rescaling(1 / 255)], {}, False),
        ([layers.BatchNormalization()], {}, False),
    ],
)
def test_pictures_that_nothing_scales_are_told_of(tmp_path, recwarn, first, said, told):
    head = [layers.Flatten(), layers.Dense(2, activation="softmax")]
    model = keras.Sequential([keras.Input((16, 16, 3)), *first, layers.Conv2D(2, 3), *head])
    model.save(tmp_path / "m.keras")
    open_explainer({"model": str(tmp_path / "m.keras"), **said})
    notes = [str(each.message) for each in recwarn if "as they are, 0..255" in str(each.message)]
    assert len(notes) == told
    assert all("preprocess unit (x / 255)" in note for note in notes)
