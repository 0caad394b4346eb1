"""A map is made again from its record, or the record says why not."""

import json

import numpy as np
import pytest
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.again import explain_again
from guidedcam_tf.opening import open_explainer


@pytest.fixture
def record(tmp_path, rng):
    build_toy("flatten").save(tmp_path / "toy.keras")
    Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8)).save(tmp_path / "a.png")
    said = {"model": str(tmp_path / "toy.keras"), "preprocess": "signed", "fit": "crop"}
    said |= {"layer": "conv1", "postprocessing": "paper"}
    explanation = open_explainer(said).explain(
        tmp_path / "a.png", [0, "top2"], "integrated_gradcam", steps=4, rule="right"
    )
    assert explanation.maps.any()
    return explanation.save(tmp_path / "out")


def test_it_is_the_same_map_under_the_same_name(record, tmp_path, run):
    again = explain_again(record[-1])
    assert again.maps.shape == (3, 20, 30)
    np.testing.assert_array_equal(again.maps, np.load(record[-2])["maps"])
    assert [file.name for file in again.save(tmp_path / "two")] == [file.name for file in record]
    code, _, err = run("explain", "--again", record[-1], "--out", "three")
    assert code == 0, err
    assert sorted(file.name for file in (tmp_path / "three").iterdir()) == sorted(
        file.name for file in record
    )
    code, _, err = run("explain", "a.png", "--again", record[-1])
    assert code == 2
    assert "--again goes with --out, --colour-map, --opacity and --figure only" in err


def rewrite(file, change):
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))


def test_what_has_changed_is_named(record, tmp_path):
    build_toy("gap").save(tmp_path / "toy.keras")
    with pytest.raises(gcam.InputError, match=r"toy.keras are not those of the record"):
        explain_again(record[-1])
    Image.new("RGB", (30, 20)).save(tmp_path / "a.png")
    with pytest.raises(gcam.InputError, match=r"a.png has changed since"):
        explain_again(record[-1])
    (tmp_path / "a.png").unlink()
    with pytest.raises(gcam.InputError, match=r"a.png does not exist"):
        explain_again(record[-1])


def test_other_versions_are_a_note(record):
    rewrite(record[-1], lambda content: content["versions"].update(keras="2.0.0"))
    with pytest.warns(UserWarning, match="was made with keras 2.0.0, here 3"):
        explain_again(record[-1])


def test_objects_of_a_program_are_no_record(tmp_path, rng):
    explainer = gcam.Explainer(build_toy("flatten"))
    picture = rng.integers(0, 256, (9, 9, 3)).astype(np.uint8)
    file = explainer.explain(picture, lambda logits: logits[:, 0]).save(tmp_path)[-1]
    with pytest.raises(gcam.InputError, match="network and picture and target came from a Python"):
        explain_again(file)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"origin": 3}', '{"origin": {}, "versions": {}}'])
def test_other_files_are_no_record(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(gcam.InputError, match="is no record that"):
        explain_again(tmp_path / "a.json")
