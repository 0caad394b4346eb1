"""MS-COCO: boxes, polygons, run lengths and crowds, and every fault named."""

import json
import sys
import unicodedata

import numpy as np
import pytest
from data.trees import HEIGHT
from data.trees import WIDTH
from data.trees import coco_json
from data.trees import faults
from data.trees import picture
from data.trees import read_all
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from guidedcam_tf.data import load
from guidedcam_tf.data import open_coco
from guidedcam_tf.data.coco_masks import decode

masks = pytest.importorskip("pycocotools.mask")

# The rectangle of rows 1 and 2, columns 3 to 6.
POLYGON = [3, 1, 7, 1, 7, 3, 3, 3]
RECTANGLE = np.zeros((HEIGHT, WIDTH), bool)
RECTANGLE[1:3, 3:7] = True
DOG = {"image_id": 1, "bbox": [3, 1, 4, 2], "segmentation": [POLYGON]}

# Down the columns: 12 pixels, then the whole third column, then the rest.
CROWD = {
    "image_id": 1,
    "bbox": [2, 0, 1, 6],
    "iscrowd": 1,
    "segmentation": {"size": [HEIGHT, WIDTH], "counts": [12, 6, 36]},
}


@pytest.fixture
def tree(tmp_path):
    """A folder with the pictures a.jpg and b.jpg."""
    for name in ("a.jpg", "b.jpg"):
        picture(tmp_path / "val2014" / name)
    return tmp_path


def test_a_picture(tree):
    coco_json(
        tree,
        ["b.jpg", "a.jpg"],
        [CROWD, {**DOG, "image_id": 2}, DOG, {**DOG, "category_id": 1}],
        [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}],
    )
    data_set = open_coco(tree)
    assert (data_set.name, data_set.ids) == ("coco2014", ("b.jpg", "a.jpg"))
    (first, second), skipped = read_all(data_set)
    assert not skipped
    person, dog = first.labels
    assert (person.name, person.class_ids) == ("person", ())
    assert (dog.name, dog.class_ids) == ("dog", tuple(range(151, 269)))
    assert dog.boxes == ((2, 0, 3, 6), (3, 1, 7, 3))
    assert dog.crowd == (True, False)
    assert dog.difficult == (False, False)
    expected = RECTANGLE.copy()
    expected[:, 2] = True
    np.testing.assert_array_equal(dog.mask, expected)
    assert first.void is None
    np.testing.assert_array_equal(second.labels[0].mask, RECTANGLE)


def test_numbers_may_be_written_as_floats(tree):
    """As pandas writes those of a column that has a gap."""
    coco_json(
        tree,
        ["b.jpg"],
        [{**DOG, "image_id": 1.0, "category_id": 18.0}],
        [{"id": 18, "name": "dog"}],
    )
    ((loaded,), skipped) = read_all(open_coco(tree))
    assert [label.name for label in loaded.labels] == ["dog"] and not skipped


def test_categories_of_one_name_are_one_class(tree):
    box = [0, 0, 2, 1]
    twin = {
        "image_id": 1,
        "category_id": 2,
        "bbox": box,
        "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]],
    }
    coco_json(tree, ["a.jpg"], [DOG, twin], [{"id": 18, "name": "dog"}, {"id": 2, "name": "dog"}])
    ((loaded,), skipped) = read_all(open_coco(tree))
    (dog,) = loaded.labels
    both = RECTANGLE.copy()
    both[0, :2] = True
    assert not skipped
    assert (dog.name, dog.boxes) == ("dog", ((3, 1, 7, 3), (0, 0, 2, 1)))
    assert np.array_equal(dog.mask, both)


@pytest.mark.parametrize("key", ["images", "categories"])
def test_an_id_that_is_there_twice_is_refused(tree, key):
    file = coco_json(tree, ["a.jpg", "b.jpg"], [DOG], [{"id": 1}, {"id": 2}])
    document = json.loads(file.read_text())
    document[key][1]["id"] = 1
    file.write_text(json.dumps(document))
    with pytest.raises(ValueError, match=f"{key} has the id 1 twice"):
        open_coco(tree)


def test_a_picture_without_objects(tree):
    coco_json(tree, ["a.jpg"], [])
    (loaded,), _ = read_all(open_coco(tree))
    assert loaded.labels == ()


def test_other_places_and_no_masks(tree):
    file = coco_json(tree, ["a.jpg"], [DOG])
    file.rename(tree / "my.json")
    (tree / "val2014").rename(tree / "my pictures")
    data_set = open_coco(tree, annotations="my.json", pictures="my pictures", masks=False)
    (loaded,), _ = read_all(data_set)
    assert loaded.labels[0].boxes == ((3, 1, 7, 3),)
    assert loaded.labels[0].mask is None


def test_a_category_that_is_not_coco_s_is_unmapped(tree):
    coco_json(tree, ["a.jpg"], [DOG], [{"id": 18, "name": "unicorn"}])
    (loaded,), _ = read_all(open_coco(tree))
    assert (loaded.labels[0].name, loaded.labels[0].class_ids) == ("unicorn", ())


def test_polygons_of_one_object_join(tree):
    two = [[0, 0, 2, 0, 2, 2, 0, 2], POLYGON]
    coco_json(tree, ["a.jpg"], [{**DOG, "segmentation": two}])
    (loaded,), _ = read_all(open_coco(tree))
    expected = RECTANGLE.copy()
    expected[0:2, 0:2] = True
    np.testing.assert_array_equal(loaded.labels[0].mask, expected)


SHAPES = arrays.array_shapes(min_dims=2, max_dims=2, max_side=40)


@given(arrays.arrays(bool, SHAPES))
def test_run_lengths_match_pycocotools(mask):
    encoded = masks.encode(np.asfortranarray(mask, np.uint8))
    text = {"size": list(mask.shape), "counts": encoded["counts"].decode()}
    np.testing.assert_array_equal(decode(text, mask.shape), mask)
    # Plain run lengths, by a loop down the columns.
    counts, value = [0], False
    for pixel in mask.T.ravel():
        if pixel != value:
            counts.append(0)
            value = pixel
        counts[-1] += 1
    plain = {"size": list(mask.shape), "counts": np.array(counts, float)}
    np.testing.assert_array_equal(decode(plain, mask.shape), mask)


@given(st.text(st.characters(min_codepoint=40, max_codepoint=120), max_size=12))
def test_any_text_is_run_lengths_or_refused(text):
    try:
        mask = decode({"size": [4, 5], "counts": text}, (4, 5))
    except ValueError:
        return
    encoded = masks.encode(np.asfortranarray(mask, np.uint8))
    assert masks.area(encoded) == mask.sum()


BAD_ENTRIES = {
    "box outside": ({"bbox": [3, 1, 40, 2]}, "box outside the picture", "leaves the picture"),
    "box empty": ({"bbox": [3, 1, 0, 2]}, "box outside the picture", "is empty or"),
    "box short": ({"bbox": [3, 1, 4]}, "bad annotation", "expected four numbers"),
    "box of text": ({"bbox": ["a", 1, 4, 2]}, "bad annotation", "expected four numbers"),
    "box missing": ({"bbox": None}, "bad annotation", "expected four numbers"),
    "category": ({"category_id": 99}, "bad annotation", "no known category: 99"),
    "crowd": ({"iscrowd": "maybe"}, "bad annotation", "has iscrowd maybe; expected 0 or 1"),
    "category list": ({"category_id": [18]}, "bad annotation", "no known category"),
    "text": ({"segmentation": "x"}, "bad mask", "no polygon and no run lengths"),
    "odd": ({"segmentation": [[1, 1, 2, 2, 3]]}, "bad mask", "three or more pairs"),
    "two points": ({"segmentation": [[1, 1, 2, 2]]}, "bad mask", "three or more pairs"),
    "words": ({"segmentation": [["a"] * 6]}, "bad mask", "three or more pairs"),
    "far": ({"segmentation": [[0, 0, 1e12, 0, 1, 1]]}, "bad mask", "far outside the picture"),
    "parts": ({"segmentation": [[0.1, 0.2, 0.8, 0.2, 1, 0.9]]}, "bad mask", "parts of the picture"),
    "corners": (
        {"bbox": [3, 1, 6, 3], "segmentation": [[3, 1, 6, 1, 6, 3, 3, 3]]},
        "bad mask",
        "bbox [3.0, 1.0, 6.0, 3.0] are the corners of its mask",
    ),
    "rows and columns": (
        {"bbox": [5, 0, 4, 3], "segmentation": [[0, 5, 0, 6, 3, 6, 3, 5]]},
        "bad mask",
        "lies outside of its bbox [5.0, 0.0, 4.0, 3.0]",
    ),
    "long": ({"segmentation": {"size": [6, 9], "counts": [12, 6, 99]}}, "bad mask", "do not fill"),
    "short": ({"segmentation": {"size": [6, 9], "counts": [1]}}, "bad mask", "do not fill"),
    "negative": ({"segmentation": {"size": [6, 9], "counts": [60, -6]}}, "bad mask", "do not fill"),
    "turned": ({"segmentation": {"size": [9, 6], "counts": [54]}}, "bad mask", "size [9, 6]"),
    "no counts": ({"segmentation": {"size": [6, 9]}}, "bad mask", "and None"),
    "damaged": ({"segmentation": {"size": [6, 9], "counts": "!!"}}, "bad mask", "are damaged"),
    "cut": ({"segmentation": {"size": [6, 9], "counts": "`"}}, "bad mask", "in the middle"),
    "endless": ({"segmentation": {"size": [6, 9], "counts": "`" * 99}}, "bad mask", "are damaged"),
}


@pytest.mark.parametrize("name", BAD_ENTRIES)
def test_bad_annotations_are_named(tree, name):
    change, reason, message = BAD_ENTRIES[name]
    coco_json(tree, ["a.jpg", "b.jpg"], [{**DOG, **change}, {**DOG, "image_id": 2}])
    loaded, skipped = read_all(open_coco(tree))
    assert [entry.id for entry in loaded] == ["b.jpg"]
    assert [(entry.id, entry.reason) for entry in skipped] == [("a.jpg", reason)]
    assert message in skipped[0].message
    assert "a.jpg" in skipped[0].message


def test_missing_and_strange_files_are_named(tree):
    (tree / "secret.jpg").write_bytes((tree / "val2014" / "a.jpg").read_bytes())
    coco_json(tree, ["lost.jpg", "../secret.jpg", "a.jpg", str(tree / "secret.jpg"), "a.jpg"], [])
    assert faults(open_coco(tree)) == [
        ("lost.jpg", "missing picture"),
        ("../secret.jpg", "bad annotation"),
        (str(tree / "secret.jpg"), "bad annotation"),
        ("a.jpg", "bad annotation"),
    ]
    assert open_coco(tree).ids == ("a.jpg",)


@pytest.mark.parametrize(("file", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_a_name_are_composed_or_not(tree, file, listed):
    picture(tree / "val2014" / unicodedata.normalize(file, "é.jpg"))
    name = unicodedata.normalize(listed, "é.jpg")
    coco_json(tree, [name], [DOG])
    (loaded,), skipped = read_all(open_coco(tree))
    assert not skipped
    assert loaded.id == name


def test_a_file_that_is_gone_by_the_time_it_is_read(tree):
    coco_json(tree, ["a.jpg", "b.jpg"], [])
    data_set = open_coco(tree)
    (tree / "val2014" / "a.jpg").unlink()
    assert faults(data_set) == [("a.jpg", "missing picture")]


def test_a_picture_of_another_size_than_annotated(tree):
    picture(tree / "val2014" / "a.jpg", height=WIDTH, width=HEIGHT)
    coco_json(tree, ["a.jpg"], [DOG])
    (entry,) = read_all(open_coco(tree))[1]
    assert entry.reason == "mask of another size"
    assert "is 6 x 9 pixels, annotated as 9 x 6" in entry.message


@pytest.mark.parametrize("write", ["{}".format, "{}.0".format, float])
def test_a_size_may_be_written_as_text(tree, write):
    file = coco_json(tree, ["a.jpg"], [DOG])
    document = json.loads(file.read_text())
    document["images"][0].update(height=write(HEIGHT), width=write(WIDTH))
    file.write_text(json.dumps(document))
    (loaded,), skipped = read_all(open_coco(tree))
    assert not skipped
    assert loaded.labels[0].boxes == ((3, 1, 7, 3),)


def test_a_size_in_words_is_refused(tree):
    file = coco_json(tree, ["a.jpg"], [DOG])
    document = json.loads(file.read_text())
    document["images"][0]["height"] = "six"
    file.write_text(json.dumps(document))
    (entry,) = read_all(open_coco(tree))[1]
    assert "is 9 x 6 pixels, annotated as 9 x six" in entry.message


def test_annotations_of_no_picture_are_named(tree):
    coco_json(tree, ["a.jpg"], [{**DOG, "image_id": 7}, {**DOG, "image_id": 7}, {"id": 3}])
    assert faults(open_coco(tree)) == [("7", "bad annotation"), ("None", "bad annotation")]


def test_an_empty_list_is_named(tree):
    coco_json(tree, [], [])
    assert faults(open_coco(tree)) == [("instances_val2014.json", "empty list")]


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "null", '{"images": {}}', '{"images": [1]}'])
def test_files_that_are_not_coco_s_are_refused(tree, text):
    coco_json(tree, [], []).write_text(text)
    with pytest.raises(ValueError, match=r"is not JSON|has no list 'images'") as caught:
        open_coco(tree)
    assert "instances_val2014.json" in str(caught.value)


@pytest.mark.parametrize("lost", ["annotations", "val2014"])
def test_a_wrong_tree_shows_the_right_one(tree, lost):
    coco_json(tree, ["a.jpg"], [])
    (tree / lost).rename(tree / "elsewhere")
    with pytest.raises(ValueError, match=r"cannot be read|is not a folder of pictures") as caught:
        open_coco(tree)
    assert "expected:\n  ROOT/annotations/instances_val2014.json" in str(caught.value)
    assert "\n  elsewhere/" in str(caught.value)


def test_masks_without_pycocotools(tree, monkeypatch):
    coco_json(tree, ["a.jpg"], [DOG])
    monkeypatch.setitem(sys.modules, "pycocotools", None)
    monkeypatch.setitem(sys.modules, "pycocotools.mask", None)
    with pytest.raises(ValueError, match=r"pip install 'guidedcam-tf\[coco\]', or masks=False"):
        open_coco(tree)
    assert len(open_coco(tree, masks=False)) == 1


def test_the_real_pictures(data_folder):
    from pycocotools.coco import COCO

    root = data_folder / "coco"
    data_set = open_coco(root, annotations="instances.json", pictures="images")
    assert len(data_set) == 97
    assert not data_set.skipped
    document = json.loads((root / "instances.json").read_text())
    reference = COCO()
    reference.dataset = document
    reference.createIndex()
    numbers = {image["file_name"]: image["id"] for image in document["images"]}
    objects = crowds = 0
    for loaded in load(data_set.samples):
        entries = reference.imgToAnns[numbers[loaded.id]]
        names = sorted({entry["category_id"] for entry in entries})
        assert [label.name for label in loaded.labels] == [reference.cats[n]["name"] for n in names]
        for number, label in zip(names, loaded.labels, strict=True):
            own = [entry for entry in entries if entry["category_id"] == number]
            expected = np.any([reference.annToMask(entry) for entry in own], axis=0)
            np.testing.assert_array_equal(label.mask, expected)
            corners = [entry["bbox"] for entry in own]
            boxes = [(x, y, x + width, y + height) for x, y, width, height in corners]
            np.testing.assert_allclose(label.boxes, boxes, atol=0.5)
            objects += len(own)
            crowds += sum(label.crowd)
    assert (objects, crowds) == (891, 3)


@pytest.mark.parametrize(
    ("said", "crowd"),
    [(0, False), ("0", False), ("False", False), (None, False), (1, True), ("1", True)],
)
def test_a_crowd_in_words(tmp_path, said, crowd):
    picture(tmp_path / "val2014" / "a.jpg")
    coco_json(tmp_path, ["a.jpg"], [{"image_id": 1, "bbox": [1, 1, 3, 2], "iscrowd": said}])
    (loaded,), _ = read_all(open_coco(tmp_path))
    assert loaded.labels[0].crowd == (crowd,)
