"""Networks of other kinds than a classifier of ImageNet, from their files, as a new user tries."""

import re

import keras
import numpy as np
import pytest
import yaml
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.opening import open_explainer

layers = keras.layers
NAMES = ("red", "green", "blue", "bright", "dark")
METRIC = "energy_pointing_game"


def trunk(x):
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv1")(x)
    return layers.MaxPooling2D(2)(x)


def pooled(x):
    return layers.GlobalAveragePooling2D()(trunk(x))


def build(kind):
    keras.utils.set_random_seed(11)
    inputs = keras.Input((16, 16, 1 if kind == "grey" else 3), name="picture")
    if kind == "binary":
        return keras.Model(inputs, layers.Dense(1, activation="sigmoid")(pooled(inputs)))
    if kind == "multi":
        return keras.Model(inputs, layers.Dense(5, activation="sigmoid")(pooled(inputs)))
    if kind == "unet":
        x = layers.UpSampling2D(2)(layers.Conv2D(4, 3, padding="same")(trunk(inputs)))
        return keras.Model(inputs, layers.Conv2D(2, 1, activation="softmax")(x))
    if kind == "two":
        age = keras.Input((2,), name="age")
        x = layers.Concatenate()([pooled(inputs), age])
        return keras.Model([inputs, age], layers.Dense(5, activation="softmax")(x))
    if kind == "signal":
        inputs = keras.Input((50, 2))
        x = layers.Conv1D(4, 5, activation="relu")(inputs)
        x = layers.GlobalAveragePooling1D()(x)
        return keras.Model(inputs, layers.Dense(5, activation="softmax")(x))
    x = layers.Rescaling(1 / 65535)(inputs) if kind == "grey" else inputs
    return keras.Model(inputs, layers.Dense(5, activation="softmax")(pooled(x)))


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Networks, and pictures in a folder a class: RGB, grey of 16 bits, and signals."""
    place, rng = tmp_path_factory.mktemp("user"), np.random.default_rng(0)
    for number, name in enumerate(NAMES):
        for folder in ("rgb", "deep", "signals"):
            (place / folder / name).mkdir(parents=True)
        pixels = rng.integers(0, 256, (20, 24, 3), np.uint8)
        Image.fromarray(pixels).save(place / "rgb" / name / f"{number}.png")
        deep = rng.integers(0, 65536, (16, 16), np.uint16)
        Image.fromarray(deep).save(place / "deep" / name / f"{number}.png")
        signal = rng.normal(size=(50, 2)).astype(np.float32)
        np.save(place / "signals" / name / f"{number}.npy", signal)
    (place / "names.txt").write_text("\n".join(NAMES))
    np.savez(place / "age.npz", age=np.array([0.5, 0.2], np.float32))
    for kind in ("five", "binary", "multi", "unet", "two", "grey", "signal"):
        build(kind).save(place / f"{kind}.keras")
    return place


@pytest.fixture
def run(run, place, monkeypatch):
    monkeypatch.chdir(place)
    return run


UNIT, NAMED = ("--preprocess", "unit"), ("--class-names", "names.txt")
CASES = {
    "five": ("rgb/red/0.png", *UNIT, *NAMED),
    "binary": ("rgb/red/0.png", *UNIT, "--target", "0", "--target", "1"),
    "multi": ("rgb/red/0.png", *UNIT, *NAMED, "--target", "green", "--target", "dark"),
    "two": ("rgb/red/0.png", *UNIT, "--input", "picture", "--fixed-inputs", "age.npz"),
    "grey": ("deep/red/0.png", *NAMED),
    "signal": ("signals/red/0.npy", *NAMED),
}


@pytest.mark.parametrize("kind", CASES)
def test_maps_of_the_command_line_the_config_and_the_api_are_equal(run, place, kind, monkeypatch):
    picture, *options = CASES[kind]
    out = place / "out" / kind
    monkeypatch.chdir(place)
    code, _, complaint = run("explain", picture, "--model", f"{kind}.keras", *options, "--out", out)
    assert code == 0, complaint
    (arrays,) = out.glob("*.npz")
    said = dict(zip(options[::2], options[1::2], strict=True))
    targets = [options[at + 1] for at, each in enumerate(options) if each == "--target"] or "top1"
    if kind == "binary":
        targets = [0, 1]
    keys = {key[2:].replace("-", "_"): value for key, value in said.items() if key != "--target"}
    configured = open_explainer({"model": f"{kind}.keras", **keys})
    arguments = dict(keys)
    if "class_names" in keys:
        arguments["class_names"] = list(NAMES)
    if "fixed_inputs" in keys:
        arguments["fixed_inputs"] = dict(np.load(place / "age.npz"))
    explainer = gcam.Explainer(f"{kind}.keras", **arguments)
    for each in (configured, explainer):
        np.testing.assert_array_equal(np.load(arrays)["maps"], each.explain(picture, targets).maps)


def test_a_segmentation_says_what_its_targets_are(run):
    code, _, complaint = run("explain", "rgb/red/0.png", "--model", "unet.keras", *UNIT)
    assert code == 2
    assert "targets.region of a segmentation ('class 7', 'class 7 in mask.png' or" in complaint
    code, _, complaint = run("export", "served/unet/1", "--model", "unet.keras", *UNIT)
    assert code == 2
    assert "an export explains classes; expected [N, classes]" in complaint
    code, _, complaint = run("sanity", "rgb/red/0.png", "--model", "unet.keras", *UNIT)
    assert code == 2
    assert "a sanity check compares maps of each picture's best class" in complaint


def test_signals_are_listed_and_refused_where_pictures_are_meant(run, place):
    code, table, _ = run("layers", "signal.keras")
    assert code == 0
    assert "length x channels" in table
    assert "46 x 4" in table
    code, _, complaint = run("export", "served/signal/1", "--model", "signal.keras")
    assert code == 2
    assert "an export takes networks of pictures [N, H, W, C]" in complaint
    config = {
        "name": "signal",
        "model": "signal.keras",
        "class_names": "names.txt",
        "data": {"kind": "class_folders", "root": "signals"},
        "methods": ["gradcam"],
        "metrics": ["insertion"],
    }
    (place / "signal.yaml").write_text(yaml.safe_dump(config))
    code, _, complaint = run("evaluate", "signal.yaml")
    assert code == 2
    assert "evaluate takes networks of pictures [N, H, W, C]" in complaint
    code, _, complaint = run("sanity", "signals/red/0.npy", "--model", "signal.keras")
    assert code == 2
    assert "a sanity check takes networks of pictures [N, H, W, C]" in complaint
    code, _, complaint = run(
        "explain", "signals/red/0.npy", "--model", "signal.keras", "--method", "rise"
    )
    assert code == 2
    assert "method 'rise' explains networks of pictures" in complaint


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ("signal", "the page takes networks of pictures"),
        ("unet", "the page shows classes, [N, classes]"),
    ],
)
def test_the_page_is_for_classes_of_pictures(run, model, message):
    pytest.importorskip("gradio")
    code, _, complaint = run("app", "--model", f"{model}.keras", *UNIT)
    assert code == 2
    assert message in complaint


def test_figures_and_sanity_checks_take_grey_as_explain_does(run, place):
    code, table, complaint = run(
        "sanity", "deep/red/0.png", "--model", "grey.keras", "--stages", "1", "--method", "gradcam"
    )
    assert code == 0, complaint
    assert table.count("gradcam") == 1
    config = {
        "name": "deep",
        "kind": "comparison",
        "model": "grey.keras",
        "root": ".",
        "pictures": [{"file": "deep/red/0.png", "targets": [1]}],
        "methods": ["gradcam"],
    }
    (place / "figure.yaml").write_text(yaml.safe_dump(config))
    code, _, complaint = run("figure", "figure.yaml", "--out", "figures")
    assert code == 0, complaint
    raw = gcam.Explainer(place / "grey.keras").explain("deep/red/0.png", 1, "gradcam").raw
    with np.load(place / "figures" / "deep" / "deep.npz") as arrays:
        assert any(np.array_equal(arrays[name], raw) for name in arrays.files)


def test_another_input_without_values_is_named(run):
    code, _, complaint = run("explain", "rgb/red/0.png", "--model", "two.keras", *UNIT)
    assert code == 2
    assert "age" in complaint
    assert "fixed_inputs=" in complaint


def test_several_layers_and_their_fusion(run, place):
    given = ("explain", "rgb/red/0.png", "--model", "five.keras", *UNIT, "--method", "layercam")
    code, table, complaint = run(
        *given, "--layer", "conv1,max*", "--fusion", "layercam", "--figure", "--out", "fused"
    )
    assert code == 0, complaint
    assert "(layercam)" in table
    assert len(list((place / "fused").glob("*.npz"))) == 3
    records = {file: file.read_text() for file in (place / "fused").glob("*.json")}
    (record,) = [file for file, text in records.items() if '"fusion"' in text]
    before = np.load(record.with_suffix(".npz"))["maps"]
    code, _, complaint = run("explain", "--again", record, "--out", "again")
    assert code == 0, complaint
    (made,) = (place / "again").glob("*.npz")
    np.testing.assert_array_equal(np.load(made)["maps"], before)
    code, _, complaint = run(*given, "--fusion", "mean")
    assert code == 2
    assert "--fusion goes with several layers" in complaint


def test_layers_are_said_alike_by_options_and_beside_the_model(run, place):
    given = ("explain", "rgb/red/0.png", *UNIT, "--method", "layercam")
    network = ("--model", "five.keras", "--layer", "conv1", "--layer", "max*")
    code, _, complaint = run(*given, *network, "--out", "by_options")
    assert code == 0, complaint
    (place / "beside").mkdir()
    (place / "beside" / "five.keras").write_bytes((place / "five.keras").read_bytes())
    (place / "beside" / "guidedcam.yaml").write_text("layer: [conv1, max*]")
    code, _, complaint = run(*given, "--model", "beside/five.keras", "--out", "by_file")
    assert code == 0, complaint
    of_options, of_file = (
        sorted(np.load(file)["maps"].tobytes() for file in (place / out).glob("*.npz"))
        for out in ("by_options", "by_file")
    )
    assert len(of_options) == 2
    assert of_options == of_file
    code, _, complaint = run("export", "served/several/1", *network, *UNIT)
    assert code == 2
    assert "layer must be the name of one layer here; received ('conv1', 'max*')" in complaint
    assert "`guidedcam explain --layer` give" in complaint


@pytest.mark.parametrize("layer", [["conv1", "max_pooling2d"], "conv*"])
def test_several_layers_of_one_explainer_are_refused_with_the_way_out(place, layer):
    explainer, model = gcam.Explainer(place / "five.keras"), build("five")
    for call in (
        lambda: gcam.Explainer(model, layer=layer),
        lambda: explainer.at(layer),
        lambda: gcam.guided_cam(model, np.zeros((1, 16, 16, 3)), layer=layer),
    ):
        with pytest.raises(gcam.InputError, match=r"layer must be the name of one.*explain_layers"):
            call()


def evaluated(run, place, name, **keys):
    config = {
        "name": name,
        "preprocess": "unit",
        "data": {"kind": "labels", "root": "rgb"},
        "methods": ["gradcam"],
        "metrics": [METRIC],
        "bootstrap": 0,
        **keys,
    }
    lines = [f"{each}/{number}.png,{each},2,3,12,11" for number, each in enumerate(NAMES)]
    header = "picture,class,x_min,y_min,x_max,y_max"
    (place / "rgb" / "labels.csv").write_text("\n".join([header, *lines]))
    (place / f"{name}.yaml").write_text(yaml.safe_dump(config))
    return run("evaluate", f"{name}.yaml")


def drawn(run, place, name):
    """How many pictures the report of a run shows."""
    code, _, complaint = run("report", f"runs/{name}", "--out", f"{name}.html", "--metric", METRIC)
    assert code == 0, complaint
    return (place / f"{name}.html").read_text("utf-8").partition("Best and worst")[2].count("<img")


def test_evaluate_measures_a_fused_map_and_refuses_several(run, place):
    network = {"model": "five.keras", "class_names": "names.txt", "layer": ["conv1", "max*"]}
    code, table, complaint = evaluated(run, place, "fused", **network, fusion="mean")
    assert code == 0, complaint
    assert re.search(r"conv1 \+ max_pooling2d\w* \(mean\)", table)
    assert evaluated(run, place, "fused", **network, fusion="mean")[0] == 0
    assert drawn(run, place, "fused") > 0
    for changed in ({}, {"layer": "conv1", "fusion": "mean"}):
        code, _, complaint = evaluated(run, place, "several", **{**network, **changed})
        assert code == 2
        assert "several layers and fusion, mean or layercam, go together" in complaint


def test_evaluate_measures_regions_and_units_by_objects_alone(run, place):
    (place / "two_names.txt").write_text("red\ngreen")
    network = {"model": "unet.keras", "class_names": "two_names.txt"}
    code, _, complaint = evaluated(run, place, "regions", **network)
    assert code == 0, complaint
    assert "3 of 5 class names of the data set are no class of the network" in complaint
    assert drawn(run, place, "regions") > 0
    for change, said in (
        ({"metrics": ["deletion"]}, "metrics deletion are about one class of the whole picture"),
        ({"preset": "union"}, "protocol.object_class: top1 is about one class"),
        (
            {"model": "multi.keras", "class_names": None, "metrics": ["saliency_drop"]}
            | {"scores": "regression"},
            "metrics saliency_drop measure by probabilities",
        ),
    ):
        code, _, complaint = evaluated(run, place, "wrong", **{**network, **change})
        assert code == 2
        assert said in complaint
        assert METRIC in complaint
