"""A run that is continued after its pictures, their annotations or the code have changed."""

import json
import shutil

import numpy as np
import pytest
from common import build_toy
from data.trees import palette
from data.trees import voc_picture
from data.trees import xml
from PIL import Image

from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.evaluation.work import worker

pytestmark = pytest.mark.usefixtures("compiled")

NAMES = ("a", "b", "c", "d")
BOX = ("dog", 0, 2, 2, 5, 5)


def paint(file, seed):
    pixels = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), np.uint8)
    Image.fromarray(pixels).save(file)


@pytest.fixture
def root(tmp_path):
    """A VOC tree of four pictures with a dog each, one of which cannot be read."""
    build_toy("flatten").save(tmp_path / "toy.keras")
    (tmp_path / "names.txt").write_text("cat\ndog\nbird")
    for seed, name in enumerate(NAMES):
        values = np.zeros((6, 9), np.uint8)
        values[1:5, 1:5] = 12
        voc_picture(tmp_path / "voc", name, values)
        paint(tmp_path / "voc" / "JPEGImages" / f"{name}.jpg", seed)
        xml(tmp_path / "voc" / "Annotations" / f"{name}.xml", BOX)
    (tmp_path / "voc" / "JPEGImages" / "d.jpg").write_text("no picture")
    return tmp_path


def run(root, out="runs"):
    config = EvaluationConfig(
        name="toy",
        data={"kind": "voc2012", "root": root / "voc"},
        model=str(root / "toy.keras"),
        class_names=root / "names.txt",
        methods=["guided", {"name": "gradcam", "pictures": 2}],
        metrics=["saliency_drop", "dice", "pointing_game"],
        protocol={"tolerance": 0},
        chunk=1,
        bootstrap=0,
    )
    return evaluate(config, root / out)


def written(folder):
    """When each shard was written."""
    return {file.name: file.stat().st_mtime_ns for file in (folder / "shards").glob("*.json")}


def recolour(root):
    paint(root / "voc" / "JPEGImages" / "b.jpg", 9)


def move_mask(root):
    values = np.zeros((6, 9), np.uint8)
    values[:, 6:] = 12
    palette(root / "voc" / "SegmentationClass" / "b.png", values)


def widen_box(root):
    xml(root / "voc" / "Annotations" / "b.xml", ("dog", 0, 1, 1, 9, 6))


@pytest.mark.parametrize("change", [recolour, move_mask, widen_box])
def test_a_changed_picture_or_annotation_is_measured_again_and_nothing_else(root, change):
    folder = run(root)
    before, rows = written(folder), (folder / "rows.csv").read_text()
    change(root)
    with pytest.warns(UserWarning, match=r"1 of 4 pictures.* not what they were.*'b' the first"):
        run(root)
    again = {name for name, time in written(folder).items() if time != before[name]}
    assert again and {name[:6] for name in again} == {"000001"}
    assert (folder / "rows.csv").read_text() != rows
    fresh = run(root, "fresh")
    for table in ("rows.csv", "skipped.csv", "table.csv"):
        assert (folder / table).read_bytes() == (fresh / table).read_bytes()


def test_a_mended_picture_is_measured(root):
    folder = run(root)
    assert list(read_left_out(folder)["image"]) == ["d"]
    paint(root / "voc" / "JPEGImages" / "d.jpg", 3)
    with pytest.warns(UserWarning, match=r"1 of 4 .*'d' the first"):
        run(root)
    assert read_left_out(folder).empty
    assert set(read_rows(folder).query("method == 'guided'")["image"]) == set(NAMES)


def test_the_same_files_elsewhere_are_the_same(root, recwarn):
    """Neither the time nor the place of a file is its content."""
    folder = run(root)
    before = written(folder)
    shutil.copytree(root / "voc" / "JPEGImages", root / "copies")
    shutil.rmtree(root / "voc" / "JPEGImages")
    shutil.move(root / "copies", root / "voc" / "JPEGImages")
    run(root)
    assert written(folder) == before
    assert not [each for each in recwarn if "not what they were" in str(each.message)]


def test_a_unit_that_fails_when_it_is_computed_again_leaves_no_old_rows(root, monkeypatch):
    folder = run(root)
    recolour(root)

    def fail(*_):
        raise RuntimeError("no memory")

    with monkeypatch.context() as patched:
        patched.setattr(worker.Scorer, "rows", fail)
        with pytest.warns(UserWarning, match="not what they were"):
            run(root)
    assert "b" not in set(read_rows(folder)["image"])
    assert "failed" in (folder / "table.md").read_text()
    run(root)
    assert "b" in set(read_rows(folder)["image"])


def test_units_of_different_versions_are_told_apart(root, monkeypatch):
    folder = run(root)
    (made_with,) = json.loads((folder / "manifest.json").read_text())["units_made_with"]
    assert "keras" in made_with and "tensorflow" in made_with
    assert "different versions" not in (folder / "table.md").read_text()
    recolour(root)
    monkeypatch.setattr(worker, "made_with", lambda: "keras 99")
    with pytest.warns(UserWarning, match="not what they were"):
        run(root)
    units = json.loads((folder / "manifest.json").read_text())["units_made_with"]
    again, kept = units["keras 99"], units[made_with]
    assert again + kept == len(written(folder)) and kept > again > 0
    line = f"different versions: {kept} with {made_with}; {again} with keras 99."
    assert line in (folder / "table.md").read_text()


def test_another_list_of_imagenet_is_another_run(root):
    pictures = root / "imagenet"
    (pictures / "images").mkdir(parents=True)
    paint(pictures / "images" / "a.png", 0)
    (pictures / "labels.csv").write_text("file,index\na.png,281\n")
    config = EvaluationConfig(
        name="listed",
        data={"kind": "imagenet", "root": pictures, "class_map": None},
        model=str(root / "toy.keras"),
        methods=["guided"],
        metrics=["saliency_drop"],
        bootstrap=0,
    )
    evaluate(config, root / "runs")
    (pictures / "labels.csv").write_text("file,index\na.png,282\n")
    with pytest.raises(ValueError, match="holds a run with another annotations"):
        evaluate(config, root / "runs")
