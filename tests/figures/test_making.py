"""From a configuration to files, with toy networks."""

import json
import shutil
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from figures.small_figures import EXTRA
from figures.small_figures import METHODS
from figures.small_figures import network_file
from PIL import Image

from guidedcam_tf import metrics
from guidedcam_tf.explainer import Explainer
from guidedcam_tf.figures import explaining
from guidedcam_tf.figures import style
from guidedcam_tf.figures.computing import compute
from guidedcam_tf.figures.config import KINDS
from guidedcam_tf.figures.making import make_figure
from guidedcam_tf.figures.pictures import find_picture
from guidedcam_tf.figures.pictures import picture_names
from guidedcam_tf.opening import open_explainer


@pytest.fixture(scope="session")
def made(written, tmp_path_factory):
    """The files of a kind of figure, made once."""
    folder = tmp_path_factory.mktemp("figures")
    return cache(lambda kind: make_figure(written(folder, kind), folder / kind))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_writes_its_files(kind, made):
    files = made(kind)
    assert {file.suffix for file in files} >= {".png", ".pdf", ".csv", ".json"}
    manifest = json.loads(files[-1].read_text())
    assert manifest["figure"] == "small" and manifest["left_out"] == []
    assert set(manifest["files"]) == {file.name for file in files[:-1]}


@pytest.mark.parametrize("kind", ["guidance", "interpretation"])
def test_again_the_files_are_the_same(kind, config, made, tmp_path):
    again = make_figure(config(kind), tmp_path)
    for first, second in zip(made(kind), again, strict=True):
        if first.name != "manifest.json":
            assert first.read_bytes() == second.read_bytes(), first.name


def test_the_numbers_of_maps_are_the_explainers(made, toy_file, root):
    folder = made("comparison")[0].parent
    arrays = np.load(folder / "small.npz")
    explainer = Explainer(toy_file)
    for method in METHODS:
        expected = explainer.explain(root / "a.png", [2, 0], method)
        key = f"a__{explainer.network.name}__conv2__{method}__raw"
        np.testing.assert_allclose(arrays[key], expected.raw, rtol=1e-5, atol=1e-7)
    table = pd.read_csv(folder / "small.csv")
    assert len(table) == 3 * len(METHODS)
    line = table[(table["picture"] == "a") & (table["method"] == METHODS[-1])].iloc[0]
    row, column = np.unravel_index(expected.maps[0].argmax(), expected.maps[0].shape)
    assert (line["class"], line["peak_x"], line["peak_y"]) == (2, column, row)


def test_another_layer_keeps_the_source_of_the_weights_and_the_names(toy_file, tmp_path):
    """What one layer's explanations say of the network, the others' say too."""
    (tmp_path / "names.txt").write_text("tench\ngoldfish\nshark\n")
    said = {"model": str(toy_file), "class_names": tmp_path / "names.txt"}
    raw = {"name": "x", "kind": "layers", **said, **EXTRA["layers"]}
    networks = explaining.Networks(KINDS["layers"].model_validate(raw))
    picture = np.zeros((16, 16, 3), np.uint8)
    for layer in ("conv2", "conv1"):
        explanation = networks.get(str(toy_file)).at(layer).explain(picture, "goldfish")
        assert explanation.layer == layer
        assert explanation.names == ["goldfish"]
        assert explanation.weights == "file"


def test_a_pictures_own_model_is_the_one_of_its_rows_and_shares_the_runtime(
    config, toy_file, root, tmp_path
):
    """At several layers its maps were those of the figure's model, in TensorFlow."""
    other = keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(5, 3, activation="relu", name="conv1"),
            keras.layers.Conv2D(6, 3, activation="relu", name="conv2"),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(4),
        ],
        name="other",
    )
    file = tmp_path / "other.keras"
    other.save(file)
    pictures = [{"file": "b.png"}, {"file": "a.png", "targets": [3], "model": str(file)}]
    read = config("layers", pictures=pictures, methods=["gradcam"], runtime="openvino")
    opened = explaining.Networks(read).get(str(file))
    assert opened.pipeline.network.name == "other"
    for explainer in (opened, explaining.Networks(read).get(str(toy_file))):
        assert explainer.pipeline.runtime.name == "openvino"
    arrays = np.load(make_figure(read, tmp_path)[0].parent / "small.npz")
    for layer in ("conv1", "conv2"):
        with pytest.warns(UserWarning, match="gets pictures as they are"):
            expected = open_explainer({"model": str(file), "layer": layer})
        raw = expected.explain(root / "a.png", 3, "gradcam").raw
        found = arrays[f"a__other__{layer}__gradcam__raw"]
        np.testing.assert_allclose(found, raw, rtol=1e-4, atol=1e-6)


def test_a_regressions_curves_are_of_its_value(config, tmp_path, root):
    """They were drawn from 0 to 1, where none of them is, as probabilities."""
    last = [keras.layers.Flatten(), keras.layers.Dense(3, bias_initializer="ones")]
    file = network_file(tmp_path, "regression", last)
    pictures = [{"file": "a.png", "targets": ["unit 1"]}]
    read = config(
        "curves", model=str(file), scores="regression", preprocess="none", pictures=pictures
    )
    result = compute(read, explaining.Networks(read), demo=False, full=False)
    explainer = Explainer(file, scores="regression", preprocess="none")
    value = explainer.explain(root / "a.png", 1).probabilities[0]
    assert abs(value) > 2
    axes = result.figure.axes[1:]
    assert [each.get_ylabel() for each in axes] == ["value of the class"] * 2
    for each in axes:
        drawn = np.concatenate([line.get_ydata() for line in each.lines])
        low, high = each.get_ylim()
        assert low < drawn.min() and drawn.max() < high
        assert np.isclose(drawn, value, rtol=1e-4).any()
    assert f"class 1\n{value:.4g}" in [text.get_text() for text in result.figure.texts]


def computed(read):
    """A figure's result, and all its texts."""
    result = compute(read, explaining.Networks(read), demo=False, full=False)
    return result, [text.get_text() for text in result.figure.texts]


def test_pictures_of_one_stem_are_told_apart(config, toy_file, tmp_path, root):
    """One key had the second one's arrays only, and lines that did not say which they are of."""
    for name in "ab":
        (tmp_path / name).mkdir()
        shutil.copy(root / f"{name}.png", tmp_path / name / "cat.png")
    shutil.copy(root / "b.png", tmp_path)
    pictures = ["a/cat.png", "b/cat.png", "b.png"]
    pictures = [{"file": file, "targets": [1]} for file in pictures]
    # A further class of the first one: its map is put beside the other.
    pictures.append({"file": "a/cat.png", "targets": [0]})
    read = config("comparison", root=str(tmp_path), pictures=pictures, methods=["gradcam"])
    result, _ = computed(read)
    names = ["a/cat.png", "b/cat.png", "b", "a/cat.png"]
    assert list(result.table["picture"]) == names
    assert list(result.table["class"]) == [1, 1, 1, 0]
    end = "toy_flatten__conv2__gradcam__raw"
    assert sorted(result.arrays) == sorted(f"{name}__{end}" for name in set(names))
    explainer = Explainer(toy_file)
    for name, file, targets in zip(names, "abb", ([1, 0], [1], [1]), strict=False):
        expected = explainer.explain(root / f"{file}.png", targets, "gradcam").raw
        np.testing.assert_allclose(result.arrays[f"{name}__{end}"], expected, rtol=1e-4, atol=1e-6)
    areas, _ = computed(config("areas", root=str(tmp_path), pictures=pictures[:2]))
    assert list(dict.fromkeys(areas.table["picture"])) == names[:2]


def test_short_names_are_kept_where_they_are_of_one_picture():
    files = ["skimage:cat+coffee", "x/a.png", "y/a.png", "b.png", "x/a.png"]
    assert picture_names(files) == {
        "skimage:cat+coffee": "cat_coffee",
        "x/a.png": "x/a.png",
        "y/a.png": "y/a.png",
        "b.png": "b",
    }


@pytest.fixture
def checkpoints(tmp_path):
    """Two files of networks with one name, of which the second's best class is class 1."""
    last = [keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(3)]
    files = [network_file(tmp_path, "net", last, seed) for seed in range(2)]
    for best, file in enumerate(files):
        model = keras.saving.load_model(file)
        kernel, _ = model.layers[-1].get_weights()
        model.layers[-1].set_weights([np.abs(kernel) / 1000, 2 * np.eye(3)[best]])
        model.save(file)
    return [str(file) for file in files]


def expected_of(checkpoints, root, target, method="gradcam"):
    """What the Explainer gives for each, by the array's name in a figure."""
    explained = {
        file: Explainer(file, preprocess="none").explain(root / "a.png", target, method)
        for file in checkpoints
    }
    return {f"a__{file}__conv2__{method}__raw": each for file, each in explained.items()}


def interpreted(checkpoints, root, targets):
    """The figure of both checkpoints on one picture."""
    raw = {"name": "small", "kind": "interpretation", "root": root, "methods": ["gradcam"]}
    raw |= {"models": checkpoints, "pictures": [{"file": "a.png", "targets": targets}]}
    return computed(KINDS["interpretation"].model_validate(raw))


def test_networks_of_one_name_are_told_apart(config, checkpoints, root):
    """One name had the arrays of the second, and one heading the rows of both."""
    expected = expected_of(checkpoints, root, 2)
    pictures = [{"file": "a.png", "targets": [2], "model": file} for file in checkpoints]
    made = {"model": checkpoints[0], "pictures": pictures}
    compared, headings = computed(config("comparison", **made, methods=["gradcam"]))
    guided, headings_of_guided = computed(config("guidance", **made))
    several, columns = interpreted(checkpoints, root, [2])
    for result in (compared, several):
        assert list(result.table["model"]) == checkpoints
        assert list(result.arrays) == list(expected)
        for key, explanation in expected.items():
            np.testing.assert_allclose(result.arrays[key], explanation.raw, rtol=1e-4, atol=1e-6)
    assert list(guided.table["model"]) == checkpoints
    for found, words in (
        (headings, "{}, conv2"),
        (headings_of_guided, "{}, conv2"),
        (columns, "Grad-CAM, {}"),
    ):
        plain = ["".join(each.split()) for each in found]
        for file in checkpoints:
            assert "".join(words.format(file).split()) in plain
    own = [style.shown_probability(each.probabilities[0]) for each in expected.values()]
    assert [each for each in columns if each.startswith("p = ")] == own


def test_where_the_networks_best_classes_differ_each_map_says_its_own(checkpoints, root):
    """The first one's stood beside the maps of both."""
    result, texts = interpreted(checkpoints, root, ["top1", 2])
    assert list(result.table["class"]) == [0, 2, 1, 2]
    first, second = (
        [style.shown_probability(each) for each in explanation.probabilities]
        for explanation in expected_of(checkpoints, root, ["top1", 2]).values()
    )
    captions = [f"class 0\n{first[0]}", f"class 1\n{second[0]}", first[1], second[1]]
    assert [each for each in texts if "p = " in each] == captions
    assert [each for each in texts if each.startswith("class ")] == [*captions[:2], "class 2"]


def test_full_adds_the_slow_columns(config, made, tmp_path):
    few = {"methods": METHODS[:1], "pictures": [{"file": "b.png"}]}
    full = make_figure(config("comparison", **few), tmp_path, full=True)
    for files, expected in ((made("comparison"), METHODS), (full, [METHODS[0], "scorecam"])):
        table = pd.read_csv(files[0].parent / "small.csv")
        assert list(dict.fromkeys(table["method"])) == expected


def test_curves_begin_and_end_at_the_clean_probability(made, toy_file, root):
    table = pd.read_csv(made("curves")[0].parent / "small.csv")
    images = np.array(Image.open(root / "a.png"))[None]
    clean = Explainer(toy_file).predict(images)[0, 2]
    for (_, curve), lines in table[table["picture"] == "a"].groupby(["method", "curve"]):
        scores = lines["score"].to_numpy()
        np.testing.assert_allclose(scores[0 if curve == "deletion" else -1], clean, rtol=1e-4)
        np.testing.assert_allclose(lines["auc"], metrics.auc(scores), rtol=1e-5)
        assert lines["fraction"].iloc[0] == 0 and lines["fraction"].iloc[-1] == 1


def test_area_lines_are_the_zone_metrics(made, toy_file, root):
    table = pd.read_csv(made("areas")[0].parent / "small.csv")
    explainer = Explainer(toy_file)
    pixels = np.array(Image.open(root / "a.png"))
    inputs = explainer.pipeline.fitted(pixels[None]).numpy()
    raw = explainer.explain(pixels, 2, "gradcam").raw
    saliency = explainer.pipeline.finish(raw, (8, 8)).numpy()
    clean = explainer.predict(inputs)[:, 2]
    for name, mask in (
        ("0.5", metrics.top_mask(saliency, 0.5)),
        ("threshold", metrics.threshold_mask(saliency, 0.5)),
    ):
        kept = explainer.predict(inputs * mask[..., None])[:, 2]
        rest = explainer.predict(inputs * ~mask[..., None])[:, 2]
        evidence = metrics.MaskedPredictions(clean, kept, rest)
        line = table[
            (table["picture"] == "a") & (table["method"] == "gradcam") & (table["mask"] == name)
        ].iloc[0]
        for zone in ("saliency_drop", "context_drop", "saliency_increase", "context_increase"):
            expected = metrics.METRICS[zone].measure(evidence)[0]
            np.testing.assert_allclose(line[zone], expected, rtol=1e-4, atol=1e-6)


def test_rows_without_weights_are_left_out_with_one_line(config, tmp_path, no_weights):
    pictures = [{"file": "a.png", "targets": [1]}]
    pictures += [{"file": "b.png", "targets": [1], "model": "vgg16"} for _ in range(2)]
    with pytest.warns(UserWarning, match="VGG16's weights are not here") as told:
        files = make_figure(config("comparison", pictures=pictures), tmp_path)
    assert len([one for one in told if "VGG16" in str(one.message)]) == 1
    assert json.loads(files[-1].read_text())["left_out"] == [
        "VGG16's weights are not here, so its part of small is left out"
    ]
    assert set(pd.read_csv(tmp_path / "small" / "small.csv")["picture"]) == {"a"}


def test_photographs_lie_side_by_side_and_in_lines():
    both = find_picture("skimage:coffee+chelsea/chelsea+coffee", Path())
    assert both.shape == (600, 600, 3)
    np.testing.assert_array_equal(both[:300, :300], both[300:, 300:])
    assert np.abs(both[:300, :300].astype(int) - both[:300, 300:]).mean() > 10
