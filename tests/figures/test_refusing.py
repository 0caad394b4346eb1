"""Figures that cannot be made say why."""

import sys
from pathlib import Path

import keras
import pytest
from figures.small_figures import network_file

from guidedcam_tf.errors import InputError
from guidedcam_tf.figures.making import make_figure
from guidedcam_tf.figures.pictures import find_picture


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("interpretation", {"models": ["vgg16", "resnet50"]}, "^config .*: model would change"),
        ("layers", {"layer": "conv1"}, "layer would change nothing: the key layers"),
        (
            "interpretation",
            {"pictures": [{"file": "a.png", "model": "vgg16"}]},
            "model vgg16 of picture a.png would change nothing",
        ),
        (
            "guidance",
            {"pictures": [{"file": "a.png", "model": "vgg16"}], "preprocess": "unit"},
            "model, preprocess would change nothing: figure small shows vgg16$",
        ),
    ],
)
def test_keys_that_would_change_nothing_are_refused(config, kind, changes, message):
    with pytest.raises(InputError, match=message):
        config(kind, **changes)


@pytest.mark.parametrize("kind", ["curves", "areas"])
@pytest.mark.parametrize("shown", ["pictures", "demo"])
def test_curves_and_means_are_of_one_network(config, kind, shown):
    """Pictures of two were drawn and averaged under the name of the last one's."""
    pictures = [{"file": "a.png", "model": "vgg16"}, {"file": "b.png", "model": "resnet50"}]
    message = f"pictures of kind {kind} must be of one network; received vgg16, resnet50: make a"
    with pytest.raises(InputError, match=message):
        config(kind, model="vgg16", **{shown: pictures})
    one = [{"file": "a.png", "model": "vgg16"}]
    assert config(kind, pictures=one, demo=[{"file": "b.png"}]).pictures[0].model == "vgg16"


@pytest.mark.parametrize("kind", ["curves", "areas"])
@pytest.mark.parametrize("target", ["top1", "class 1 in 0,0,8,8"])
def test_curves_of_a_network_without_classes_are_refused(config, tmp_path, kind, target):
    """Its targets had ended in a TypeError, or in what `score` must return."""
    file = network_file(tmp_path, "segments", [keras.layers.Conv2D(4, 1)])
    pictures = [{"file": "a.png", "targets": [target]}]
    read = config(kind, model=str(file), preprocess="unit", pictures=pictures)
    message = f"^kind {kind} follows one class of the whole picture; 'segments' has none, but kind"
    with pytest.raises(InputError, match=message):
        make_figure(read, tmp_path)


def test_areas_of_a_regression_are_refused(config, tmp_path):
    """Drops are shares of a probability."""
    file = network_file(tmp_path, "regression", [keras.layers.Flatten(), keras.layers.Dense(3)])
    read = config("areas", model=str(file), scores="regression", preprocess="unit")
    with pytest.raises(InputError, match="measures by probabilities; 'regression' gives values"):
        make_figure(read, tmp_path)


def test_nothing_left_is_an_error(config, tmp_path, no_weights):
    with (
        pytest.warns(UserWarning, match="weights"),
        pytest.raises(InputError, match="nothing left to draw"),
    ):
        make_figure(config("guidance", model="vgg16"), tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "pie"}, "key kind must be one of guidance, comparison"),
        ({"colour_map": "plasma"}, "key colour_map"),
        (
            {"pictures": None},
            r"key pictures: it must be a list, in YAML .*; received None",
        ),
        ({"colours": "jet"}, "key colours is unknown; nearest: colour_map"),
    ],
)
def test_bad_keys_are_named(config, changes, message):
    with pytest.raises(InputError, match=message):
        config("guidance", **changes)


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("none.png", "none.png does not exist; --set root=FOLDER"),
        ("skimage:dog", "photograph 'dog' is not known"),
        ("skimage:coffee+cat/cat", "as many photographs on each line"),
    ],
)
def test_missing_pictures_are_named(file, message, root):
    with pytest.raises(InputError, match=message):
        find_picture(file, root)


def test_without_scikit_image_the_demo_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage.data", None)
    with pytest.raises(InputError, match=r"pip install 'guidedcam-tf\[demo\]'"):
        find_picture("skimage:coffee", Path())
