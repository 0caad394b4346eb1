"""Targets in words: the same maps from the command line, a configuration and Python."""

import json

import keras
import numpy as np
import pytest
from keras import layers
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.again import explain_again
from guidedcam_tf.data.pictures import read
from guidedcam_tf.errors import InputError
from guidedcam_tf.figures.explaining import LoadedPicture
from guidedcam_tf.figures.explaining import explain


@pytest.fixture
def segmenter(tmp_path, rng):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="conv")(inputs / 64)
    outputs = layers.Conv2D(3, 3, padding="same", activation="softmax", name="out")(x)
    keras.Model(inputs, outputs).save(tmp_path / "net.keras")
    mask = np.zeros((20, 30), np.uint8)
    mask[3:15, 8:20] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / "p.png")
    return tmp_path / "net.keras"


def test_a_region_is_the_same_everywhere(segmenter, tmp_path, run):
    words = ["class 1 in mask.png", "class 2 in 8,3,20,15", "class 1 in 8,3,20,15"]
    given = [part for word in words for part in ("--target", word)]
    network = ("--model", segmenter, "--layer", "conv")
    code, out, err = run("explain", "p.png", *network, "--method", "hirescam", *given)
    assert code == 0, err
    assert "value" in out
    (arrays,) = (tmp_path / "out").glob("*.npz")
    maps = np.load(arrays)["maps"]
    assert maps.any(axis=(1, 2)).all()

    explainer = gcam.Explainer(segmenter, layer="conv")
    region = gcam.targets.region
    targets = [region(1, "mask.png"), region(2, (8, 3, 20, 15)), region(1, (8, 3, 20, 15))]
    in_python = explainer.explain(tmp_path / "p.png", targets, "hirescam")
    np.testing.assert_array_equal(in_python.maps, maps)
    file = tmp_path / "p.png"
    loaded = LoadedPicture("p", file, read(file), words, explainer, "net")
    (drawn,) = explain(loaded, ["hirescam"])
    np.testing.assert_array_equal(drawn.maps, maps)
    assert drawn.names == ["class 1 in mask.png", "class 2 in 8,3,20,15", "class 1 in 8,3,20,15"]
    np.testing.assert_array_equal(maps[0], maps[2])

    record = next((tmp_path / "out").glob("*.json"))
    np.testing.assert_array_equal(explain_again(record).maps, maps)
    Image.new("L", (30, 20), 255).save(tmp_path / "mask.png")
    with pytest.raises(InputError, match=r"its target's mask .*mask.png is gone or has changed"):
        explain_again(record)


def test_masks_of_one_name_keep_their_own_files(segmenter, tmp_path, run):
    for folder, level in (("a", 255), ("b", 1)):
        (tmp_path / folder).mkdir()
        Image.new("L", (30, 20), level).save(tmp_path / folder / "mask.png")
    given = ("--target", "class 1 in a/mask.png", "--target", "class 1 in b/mask.png")
    code, _, err = run("explain", "p.png", "--model", segmenter, "--layer", "conv", *given)
    assert code == 0, err
    record = json.loads(next((tmp_path / "out").glob("*.json")).read_text("utf-8"))
    assert len({target["overlay"] for target in record["targets"]}) == 2


def test_what_cannot_be_asked_for_is_said_in_one_line(segmenter, run):
    network = ("--model", segmenter, "--layer", "conv")
    for target, message in (
        ("top1", "gcam.targets.region of a segmentation ('class 7', 'class 7 in mask.png'"),
        ("box 3", "target box needs the scores of each box"),
        ("class 1 in 0,0,31,9", "must lie in the picture, 30 pixels wide and 20 high"),
        ("class 1 in none.png", "none.png does not exist"),
        ("class 5", "out of range"),
    ):
        code, _, err = run("explain", "p.png", *network, "--target", target)
        assert code == 2
        assert message in err
