"""A network's own classes: matched by name, refused, or finished by the user in a template."""

import subprocess
import sys
import unicodedata

import pytest
import yaml
from data.trees import coco_json
from data.trees import picture
from data.trees import read_all
from data.trees import voc_picture
from data.trees import xml

from guidedcam_tf.configuring import validate
from guidedcam_tf.data import KINDS
from guidedcam_tf.data import class_map_for
from guidedcam_tf.data.coco import CocoConfig
from guidedcam_tf.data.imagenet import ImageNetConfig
from guidedcam_tf.data.voc import CLASSES
from guidedcam_tf.data.voc import VocConfig
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.networks import ClassNames
from guidedcam_tf.networks.classes import imagenet_classes

PETS = ClassNames(("dog", "cat", "potted plant"))
UNNAMED = [ClassNames(tuple(f"class {i}" for i in range(count))) for count in (20, 500, 1001)]


def test_voc_takes_the_network_s_own_classes(tmp_path):
    voc_picture(tmp_path, "a", [[8] * 9] * 3 + [[12] * 9] * 2 + [[16] * 9])
    (loaded,), _ = read_all(VocConfig(root=tmp_path).open(0, PETS))
    found = {label.name: label.class_ids for label in loaded.labels}
    assert found == {"cat": (1,), "dog": (0,), "pottedplant": ()}


def test_voc_takes_the_shipped_map_for_imagenet_only(tmp_path):
    voc_picture(tmp_path, "a", [[8] * 9] * 6)
    (loaded,), _ = read_all(VocConfig(root=tmp_path).open(0, imagenet_classes()))
    assert loaded.labels[0].class_ids == (281, 282, 283, 284, 285)
    (loaded,), _ = read_all(VocConfig(root=tmp_path).open(0))
    assert loaded.labels[0].class_ids == ()


def test_a_voc_tree_of_other_classes(tmp_path):
    voc_picture(tmp_path, "a", [[1] * 9] * 3 + [[2] * 9] * 3)
    config = VocConfig(kind="voc", root=tmp_path, classes=("Dog", "lamp"))
    (loaded,), _ = read_all(config.open(0, PETS))
    found = {label.name: label.class_ids for label in loaded.labels}
    assert found == {"Dog": (0,), "lamp": ()}


@pytest.mark.parametrize(("said", "written"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_of_an_object_s_name_are_composed_or_not(tmp_path, said, written):
    voc_picture(tmp_path, "a")
    classes = (unicodedata.normalize(said, "Löwe"),)
    name = unicodedata.normalize(written, "löwe")
    xml(tmp_path / "Annotations" / "a.xml", (name, 0, 1, 1, 3, 2))
    config = VocConfig(kind="voc", root=tmp_path, classes=classes)
    (loaded,), _ = read_all(config.open(0, ClassNames((name,))))
    assert [(label.class_ids, label.boxes) for label in loaded.labels] == [((0,), ((0, 0, 3, 2),))]


def test_coco_takes_the_network_s_own_classes(tmp_path):
    coco_json(tmp_path, ["a.jpg"], [{"id": 1, "image_id": 1, "bbox": [1, 1, 3, 2]}])
    picture(tmp_path / "val2014" / "a.jpg")
    (loaded,), _ = read_all(CocoConfig(root=tmp_path).open(0, PETS))
    (label,) = loaded.labels
    assert (label.class_ids, label.boxes, label.mask) == ((0,), ((1, 1, 4, 3),), None)


def test_coco_categories_of_one_s_own_with_imagenet(tmp_path):
    categories = [{"id": 18, "name": "tabby"}, {"id": 2, "name": "dog"}]
    coco_json(tmp_path, ["a.jpg"], [{"id": 1, "image_id": 1, "bbox": [1, 1, 3, 2]}], categories)
    picture(tmp_path / "val2014" / "a.jpg")
    (loaded,), _ = read_all(CocoConfig(root=tmp_path).open(0, imagenet_classes()))
    assert loaded.labels[0].class_ids == (281,)


@pytest.mark.parametrize(("classes", "name"), [(PETS, "Dog"), (imagenet_classes(), "dog")])
def test_coco_categories_of_one_class_are_one(tmp_path, classes, name):
    categories = [{"id": 7, "name": "Dog"}, {"id": 2, "name": "dog"}]
    boxes = [
        {"id": 1, "image_id": 1, "category_id": 2, "bbox": [1, 1, 3, 2]},
        {"id": 2, "image_id": 1, "category_id": 7, "bbox": [0, 0, 2, 2]},
    ]
    coco_json(tmp_path, ["a.jpg"], boxes, categories)
    picture(tmp_path / "val2014" / "a.jpg")
    (loaded,), _ = read_all(CocoConfig(root=tmp_path).open(0, classes))
    (label,) = loaded.labels
    assert (label.name, label.boxes) == (name, ((1, 1, 4, 3), (0, 0, 2, 2)))
    assert label.class_ids == ((0,) if classes is PETS else tuple(range(151, 269)))


def test_a_map_holds_for_every_spelling_of_its_names(tmp_path):
    names = ["Cat", "cat", "LAMP", "lamp"]
    made = class_map_for("labels", names, PETS)
    assert made.class_ids == {"Cat": (1,), "LAMP": ()}
    assert [made.called(name) for name in names] == ["Cat", "Cat", "LAMP", "LAMP"]
    file = tmp_path / "class_map.yaml"
    file.write_text(made.template(PETS), "utf-8")
    again = class_map_for("labels", ["cat", "cat_", "lamp", "Unicorn", "unicorn"], PETS, file)
    assert again.class_ids == {"Cat": (1,), "LAMP": (), "Unicorn": ()}
    assert again.find("cat_") == (1,)
    assert again.unmapped["Unicorn"] == "the class map does not have this name"
    file.write_text("labels: {cat: {classes: [1 cat]}, Cat: {classes: [0 dog]}}")
    both = class_map_for("labels", ["CAT", "Cat", "cat"], PETS, file)
    assert both.class_ids == {"CAT": (), "Cat": (0,), "cat": (1,)}


def test_imagenet_with_a_network_of_some_of_its_classes(tmp_path):
    picture(tmp_path / "n02123045" / "a.jpg")
    picture(tmp_path / "n02123159" / "b.jpg")
    few = ClassNames(("background", "tiger cat", "Tabby"))
    loaded, _ = read_all(ImageNetConfig(root=tmp_path).open(0, few))
    assert [entry.labels[0].class_ids for entry in loaded] == [(2,), (1,)]


@pytest.mark.parametrize("classes", UNNAMED, ids=lambda classes: str(len(classes.names)))
@pytest.mark.parametrize("kind", ["voc2012", "imagenet"])
def test_no_index_of_imagenet_is_used_for_other_classes(tmp_path, classes, kind):
    if kind == "voc2012":
        voc_picture(tmp_path, "a", [[8] * 9] * 6)
        data_set = VocConfig(root=tmp_path).open(0, classes)
    else:
        picture(tmp_path / "n02123045" / "a.jpg")
        data_set = ImageNetConfig(root=tmp_path).open(0, classes)
    (loaded,), _ = read_all(data_set)
    assert loaded.labels[0].class_ids == ()
    with pytest.raises(InputError, match=f"one of the network's {len(classes.names)} classes"):
        data_set.class_map.check(classes)


def test_the_template_is_finished_and_read(tmp_path):
    made = class_map_for("voc2012", CLASSES, PETS)
    file = tmp_path / "class_map.yaml"
    text = made.template(PETS)
    assert "#   2 potted plant" in text
    file.write_text(text, "utf-8")
    again = class_map_for("voc2012", CLASSES, PETS, file)
    assert again.class_ids == made.class_ids
    assert again.unmapped == made.unmapped
    entries = yaml.safe_load(text)
    entries["voc2012"]["pottedplant"] = {"classes": ["2 potted plant"]}
    file.write_text(yaml.safe_dump(entries), "utf-8")
    finished = class_map_for("voc2012", CLASSES, PETS, file)
    assert finished.find("pottedplant") == (2,)
    assert finished.find("cat") == (1,)


def test_names_in_a_file_are_texts_as_they_stand(tmp_path):
    file = tmp_path / "class_map.yaml"
    file.write_text("labels: {no: {classes: [0 dog]}, 007: {classes: [1 cat]}}")
    found = class_map_for("labels", ["no", "007", "lamp"], PETS, file)
    assert found.class_ids == {"no": (0,), "007": (1,), "lamp": ()}
    assert found.unmapped == {"lamp": "the class map does not have this name"}
    file.write_text("labels:\n  dog: {classes: [0 dog]}\n  dog: {classes: [1 cat]}\n")
    with pytest.raises(InputError, match="key dog is there twice in the keys from line 2"):
        class_map_for("labels", ["dog"], PETS, file)


def test_a_map_of_other_classes_is_refused(tmp_path):
    file = tmp_path / "class_map.yaml"
    file.write_text("voc2012: {cat: {classes: ['281 tabby']}}")
    with pytest.raises(InputError, match="'281 tabby' is not a range of indices from 0 to 2"):
        class_map_for("voc2012", CLASSES, PETS, file)
    file.write_text("voc2012: {cat: {classes: ['2 tabby']}}")
    with pytest.raises(InputError, match="should be called 'potted plant'"):
        class_map_for("voc2012", CLASSES, PETS, file)


def test_the_package_is_imported_without_tensorflow():
    code = (
        "import sys, guidedcam_tf.data as data\n"
        "assert data.read_picture and data.open_voc and data.DataConfig\n"
        "assert not {'tensorflow', 'keras', 'torch', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_kind_is_named_once_and_documents_its_keys():
    names = [kind.model_fields["kind"].default for kind in KINDS]
    assert len(names) == len(set(names)) == 6
    for kind in KINDS:
        keys = {name: field for name, field in kind.model_fields.items() if name != "kind"}
        assert all(field.description for field in keys.values())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ({"kind": "voc2012", "root": "x", "splt": 1}, r"key data.splt is unknown; nearest: split"),
        ({"kind": "voc2012", "root": "x", "labels": "y"}, r"key data.labels is unknown"),
        ({"kind": "voc", "root": "x", "first_pixel": 2}, r"key data.first_pixel: .* 0 or 1"),
        ({"kind": "coco2014"}, r"key data.root is missing \(--set data.root=... gives it\)"),
        ({"kind": "cocoa", "root": "x"}, r"key data: .*'coco2014', 'coco'"),
        ({"root": "x"}, r"key data: .*'kind'"),
        ([1], r"key data: "),
    ],
)
def test_a_key_that_a_kind_has_not_is_named(data, message):
    raw = {"name": "a", "data": data, "methods": ["guided"], "metrics": ["saliency_drop"]}
    with pytest.raises(InputError, match=message) as caught:
        validate(raw, EvaluationConfig, "config c.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("key", ["root", "list", "labels", "split", "annotations", "pictures"])
@pytest.mark.parametrize("name", ["x" * 300, "a\0b"])
def test_names_that_no_file_can_have_are_refused(tmp_path, key, name):
    picture(tmp_path / "val2014" / "a.jpg")
    picture(tmp_path / "JPEGImages" / "a.jpg")
    (tmp_path / "labels.csv").write_text("picture,class\nval2014/a.jpg,cat\n")
    for kind in KINDS:
        if key in kind.model_fields:
            config = kind(**{"root": tmp_path, key: name})
            with pytest.raises(InputError):
                config.open(0)
