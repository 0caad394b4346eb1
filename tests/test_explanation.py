"""What an explanation leaves on disk."""

import json
import os

import numpy as np
import pytest
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.overlay import colour
from guidedcam_tf.overlay import overlay


@pytest.fixture
def explanation(rng, tmp_path):
    picture = rng.integers(0, 256, (20, 30, 3), np.uint8)
    Image.fromarray(picture).save(tmp_path / "my picture.png")
    explainer = gcam.Explainer(build_toy("flatten"), class_names=["a/b: c", "bee", "wasp"])
    return explainer.explain(tmp_path / "my picture.png", [0, "bee"])


def test_save_writes_overlays_maps_and_a_record(explanation, tmp_path):
    out = tmp_path / "new" / "folder"
    files = explanation.save(out)
    assert [file.name for file in files] == [
        "my picture_guided_0-a-b-c.png",
        "my picture_guided_1-bee.png",
        "my picture_guided.npz",
        "my picture_guided.json",
    ]
    assert sorted(out.iterdir()) == sorted(files)
    for file, saliency in zip(files[:2], explanation.maps, strict=True):
        expected = overlay(explanation.picture, saliency)
        np.testing.assert_array_equal(np.asarray(Image.open(file)), expected)
    arrays = np.load(files[2])
    assert set(arrays) == {"maps", "raw", "guidance", "unguided", "activation_sum"}
    np.testing.assert_array_equal(arrays["maps"], explanation.maps)
    np.testing.assert_array_equal(arrays["guidance"], explanation.guidance)
    record = json.loads(files[3].read_text())
    assert record["layer"] == "conv2"
    assert record["picture"] == {"stem": "my picture", "height": 20, "width": 30}
    for i, target in enumerate(record["targets"]):
        column, row = target["peak_xy"]
        assert explanation.maps[i, row, column] == explanation.maps[i].max()
        assert target["overlay"] == files[i].name
        assert target["probability"] == pytest.approx(float(explanation.probabilities[i]))


def test_an_interrupted_save_leaves_no_half_file(explanation, tmp_path, monkeypatch):
    def interrupted(self, path, *args, **kwargs):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Image.Image, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        explanation.save(tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(explanation, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"output folder .*file/out cannot be written: Not a dir"):
        explanation.save(tmp_path / "file" / "out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission_is_named(explanation, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(ValueError, match="locked cannot be written: Permission denied"):
        explanation.save(tmp_path / "locked")


def test_hot_is_red_in_rgb_order():
    hot, cold = colour(np.array([[1.0, 0.0]]), "jet")[0]
    assert hot[0] > hot[2]
    assert cold[2] > cold[0]


def test_an_unknown_colour_map_is_named(explanation, tmp_path):
    with pytest.raises(ValueError, match="'grey' is unknown; expected inferno, "):
        explanation.save(tmp_path, colour_map="grey")
