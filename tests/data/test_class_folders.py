"""A folder for each class."""

import pytest
from data.trees import faults
from data.trees import picture
from data.trees import read_all

from guidedcam_tf.data import class_map_for
from guidedcam_tf.data.class_folders import ClassFoldersConfig
from guidedcam_tf.networks import ClassNames

CLASSES = ClassNames(("bird", "Polar Bear", "dog"))


@pytest.fixture
def tree(tmp_path):
    for name in (
        "dog/a.jpg",
        "dog/more/b.PNG",
        "polar_bear/a.jfif",
        "unicorn/a.webp",
        "bird/.x.png",
    ):
        picture(tmp_path / name.replace(".jfif", ".jpg"))
    (tmp_path / "polar_bear" / "a.jpg").rename(tmp_path / "polar_bear" / "a.jfif")
    picture(tmp_path / "bird" / ".hidden.png")
    (tmp_path / "dog" / "notes.txt").write_text("no picture")
    return tmp_path


def test_each_picture_has_the_class_of_its_folder(tree):
    data_set = ClassFoldersConfig(root=tree).open(0, CLASSES)
    loaded, skipped = read_all(data_set)
    assert not skipped
    assert {entry.id: (entry.labels[0].name, entry.labels[0].class_ids) for entry in loaded} == {
        "dog/a.jpg": ("dog", (2,)),
        "dog/more/b.PNG": ("dog", (2,)),
        "polar_bear/a.jfif": ("polar_bear", (1,)),
        "unicorn/a.webp": ("unicorn", ()),
    }
    assert data_set.class_map.unmapped == {"unicorn": "no class of the network has this name"}


def test_a_picture_outside_of_the_folders_is_named(tree):
    picture(tree / "stray.png")
    assert faults(ClassFoldersConfig(root=tree).open(0, CLASSES)) == [("stray.png", "bad label")]


def test_folders_of_one_class_are_one(tree):
    for name in ("Dog/c.jpg", "Unicorn/b.jpg"):
        picture(tree / name)
    data_set = ClassFoldersConfig(root=tree).open(0, CLASSES)
    loaded, _ = read_all(data_set)
    assert {entry.id: (entry.labels[0].name, entry.labels[0].class_ids) for entry in loaded} == {
        "Dog/c.jpg": ("Dog", (2,)),
        "dog/a.jpg": ("Dog", (2,)),
        "dog/more/b.PNG": ("Dog", (2,)),
        "polar_bear/a.jfif": ("polar_bear", (1,)),
        "Unicorn/b.jpg": ("Unicorn", ()),
        "unicorn/a.webp": ("Unicorn", ()),
    }
    assert data_set.class_map.class_ids == {"Dog": (2,), "Unicorn": (), "polar_bear": (1,)}


def test_a_list_and_a_sample(tree):
    (tree / "list.txt").write_text("dog/a.jpg\nunicorn/a.webp\n")
    listed = ClassFoldersConfig(root=tree, list=tree / "list.txt").open(0)
    assert listed.ids == ("dog/a.jpg", "unicorn/a.webp")
    assert len(ClassFoldersConfig(root=tree, sample=3).open(1)) == 3


@pytest.mark.parametrize("make", [lambda root: None, lambda root: picture(root / "a.png")])
def test_a_folder_without_classes_is_refused(tmp_path, make):
    make(tmp_path)
    with pytest.raises(ValueError, match="has no folders with pictures") as caught:
        ClassFoldersConfig(root=tmp_path).open(0)
    assert "a folder for each class, named after it" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "classes", "expected"),
    [
        ("dog", ("cat", "dog"), (1,)),
        ("Hot-Dog", ("dog", "hot dog"), (1,)),
        ("1", ("cat", "dog"), ()),
        ("1", ("2", "1"), (1,)),
        ("class 1", ("class 0", "class 1"), (1,)),
        ("dogs", ("cat", "dog"), ()),
        ("dog", ("dog", "dog"), ()),
    ],
)
def test_names_are_matched_and_numbers_are_names(name, classes, expected):
    found = class_map_for("class_folders", [name], ClassNames(classes))
    assert found.find(name) == expected
    assert bool(found.unmapped) != bool(expected)
