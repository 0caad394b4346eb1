"""PASCAL VOC: masks by class number, boxes from XML, and every fault named."""

import xml.etree.ElementTree as ElementTree
from collections import Counter

import numpy as np
import pytest
from data.trees import HEIGHT
from data.trees import WIDTH
from data.trees import faults
from data.trees import palette
from data.trees import picture
from data.trees import read_all
from data.trees import voc_picture
from data.trees import xml
from PIL import Image

from guidedcam_tf.data import load
from guidedcam_tf.data import open_voc
from guidedcam_tf.data import read_class_map
from guidedcam_tf.data import select
from guidedcam_tf.data.voc import CLASSES


@pytest.fixture
def tree(tmp_path):
    """One picture of a dog (12) in the upper left and a person (15) below, void between them."""
    values = np.zeros((HEIGHT, WIDTH))
    values[0:2, 0:3], values[2], values[3:6, 5:9] = 12, 255, 15
    voc_picture(tmp_path, "2007_000033", values)
    xml(
        tmp_path / "Annotations" / "2007_000033.xml",
        ("person", 0, 6, 4, 9, 6),
        ("dog", 1, 1, 1, 3, 2),
        ("dog", 0, 2, 1, 3, 1),
    )
    return tmp_path


def only(data_set):
    (loaded,), skipped = read_all(data_set)
    assert not skipped
    return loaded


def test_a_picture(tree):
    data_set = open_voc(tree)
    assert (data_set.name, data_set.root, data_set.ids) == ("voc2012", tree, ("2007_000033",))
    loaded = only(data_set)
    assert loaded.picture.shape == (HEIGHT, WIDTH, 3)
    dog, person = loaded.labels
    assert (dog.name, person.name) == ("dog", "person")
    assert dog.class_ids == tuple(range(151, 269))
    assert person.class_ids == ()
    assert dog.boxes == ((0, 0, 3, 2), (1, 0, 3, 1))
    assert dog.difficult == (True, False)
    assert person.boxes == ((5, 3, 9, 6),)
    assert person.crowd == (False,)
    expected = np.zeros((HEIGHT, WIDTH), bool)
    expected[0:2, 0:3] = True
    np.testing.assert_array_equal(dog.mask, expected)
    assert dog.mask.dtype == bool
    assert person.mask.sum() == 12
    np.testing.assert_array_equal(np.flatnonzero(loaded.void.any(1)), [2])
    assert loaded.void.sum() == WIDTH


@pytest.mark.parametrize("outer", ["VOC2012", "VOCdevkit/VOC2012"])
def test_the_root_may_be_further_up(tmp_path, outer):
    voc_picture(tmp_path / outer, "a")
    (tmp_path / outer / "Annotations").mkdir()
    assert open_voc(tmp_path).root == tmp_path / outer


def test_without_xml_the_mask_has_to_do(tree):
    (tree / "Annotations" / "2007_000033.xml").unlink()
    loaded = only(open_voc(tree))
    assert [(label.name, label.boxes) for label in loaded.labels] == [
        ("dog", None),
        ("person", None),
    ]


def test_a_second_folder_of_xml(tree):
    (tree / "Annotations" / "2007_000033.xml").rename(tree / "moved.xml")
    (tree / "Derived").mkdir()
    (tree / "moved.xml").rename(tree / "Derived" / "2007_000033.xml")
    loaded = only(open_voc(tree, annotations=("Annotations", "Derived")))
    assert len(loaded.labels[0].boxes) == 2


def test_a_class_that_only_the_xml_has(tree):
    xml(tree / "Annotations" / "2007_000033.xml", ("cat", 1, 1, 1, 2, 2))
    cat, dog, _ = only(open_voc(tree)).labels
    assert (cat.name, cat.boxes, cat.mask) == ("cat", ((0, 0, 2, 2),), None)
    assert (dog.name, dog.boxes) == ("dog", None)


def test_without_masks(tree):
    for file in (tree / "SegmentationClass").iterdir():
        file.unlink()
    (tree / "SegmentationClass").rmdir()
    main = tree / "ImageSets" / "Main"
    main.mkdir()
    (main / "dog_val.txt").write_text("2007_000033  1\n2007_000042 -1\n")
    picture(tree / "JPEGImages" / "2007_000042.jpg")
    data_set = open_voc(tree, "dog_val", image_set="Main", masks=False)
    loaded, skipped = read_all(data_set)
    assert [label.mask for entry in loaded for label in entry.labels] == [None, None]
    assert loaded[0].void is None
    assert [(entry.id, entry.reason) for entry in skipped] == [
        ("2007_000042", "missing annotation")
    ]


def test_fractions_of_pixels(tree):
    xml(tree / "Annotations" / "2007_000033.xml", ("dog", 0, 1.5, 1, 3.25, 2))
    assert only(open_voc(tree)).labels[0].boxes == ((0.5, 0, 3.25, 2),)


@pytest.mark.parametrize("prefix", ["", "v:"])
def test_xml_with_a_namespace(tree, prefix):
    file = tree / "Annotations" / "2007_000033.xml"
    sized = "<annotation><size><width>9</width><height>{}</height></size>"
    text = file.read_text().replace("<annotation>", sized)
    text = text.replace("</", "<<").replace("<", f"<{prefix}").replace(f"<{prefix}<", "</")
    head, name = f"<{prefix}annotation", f"xmlns{':v' if prefix else ''}"
    text = text.replace(head, f'{head} {name}="http://x.org"', 1)
    file.write_text(text.format(HEIGHT))
    dog, person = only(open_voc(tree)).labels
    assert (dog.boxes, dog.difficult) == (((0, 0, 3, 2), (1, 0, 3, 1)), (True, False))
    assert person.boxes == ((5, 3, 9, 6),)
    file.write_text(text.format(HEIGHT - 1))
    (entry,) = read_all(open_voc(tree))[1]
    assert "is about a picture of 9 x 5 pixels" in entry.message


def test_trainval_is_both_lists_where_it_is_missing(tree):
    voc_picture(tree, "2006_000001")
    lists = tree / "ImageSets" / "Segmentation"
    (lists / "val.txt").write_text("2007_000033\n")
    (lists / "train.txt").write_text("2006_000001\n2007_000033\n")
    assert open_voc(tree, "trainval").ids == ("2006_000001", "2007_000033")
    (lists / "trainval.txt").write_text("2006_000001\n")
    assert open_voc(tree, "trainval").ids == ("2006_000001",)


def test_a_class_map_of_one_s_own(tree, tmp_path):
    file = tmp_path / "map.yaml"
    file.write_text("voc2012: {dog: {classes: [151 Chihuahua]}}")
    labels = only(open_voc(tree, class_map=read_class_map("voc2012", file))).labels
    assert [label.class_ids for label in labels] == [(151,), ()]


BOMB = (
    '<!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;">]>'
    "<annotation><object><name>&c;</name></object></annotation>"
)
OUTSIDER = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation>&a;</annotation>'

BAD_XML = {
    "box outside": ([("dog", 0, 1, 1, 99, 2)], None, "box outside the picture"),
    "box before": ([("dog", 0, -4, 1, 3, 2)], None, "box outside the picture"),
    "box reversed": ([("dog", 0, 5, 1, 3, 2)], None, "box outside the picture"),
    "number": ([("dog", 0, "left", 1, 3, 2)], None, "bad annotation"),
    "not a number": ([("dog", 0, "nan", 1, 3, 2)], None, "bad annotation"),
    "class": ([("unicorn", 0, 1, 1, 3, 2)], None, "bad annotation"),
    "no box": ([], "<annotation><object><name>dog</name></object></annotation>", "bad annotation"),
    "no xml": ([], "dog at 1, 1", "bad annotation"),
    "cut": ([], "<annotation><object>", "bad annotation"),
    "bomb": ([], BOMB, "bad annotation"),
    "outsider": ([], OUTSIDER, "bad annotation"),
    "encoding": ([], '<?xml version="1.0" encoding="none"?><a/>', "bad annotation"),
}


@pytest.mark.parametrize("name", BAD_XML)
def test_bad_xml_is_named(tree, name):
    objects, text, reason = BAD_XML[name]
    xml(tree / "Annotations" / "2007_000033.xml", *objects, text=text)
    voc_picture(tree, "2007_000042")
    loaded, skipped = read_all(open_voc(tree))
    assert [entry.id for entry in loaded] == ["2007_000042"]
    assert [(entry.id, entry.reason) for entry in skipped] == [("2007_000033", reason)]
    assert "2007_000033.xml" in skipped[0].message


BOX = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>3</xmax><ymax>2</ymax></bndbox>"
OBJECT = f"<object><name>dog</name>{BOX}</object>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"<set><annotation>{OBJECT}</annotation></set>", "the root 'set'; expected annotation"),
        (f"<annotation>{OBJECT.replace(BOX, 2 * BOX)}</annotation>", "an object 'dog' of 2 bndbox"),
    ],
)
def test_objects_that_would_be_left_out_are_refused(tree, text, message):
    xml(tree / "Annotations" / "2007_000033.xml", text=text)
    (entry,) = read_all(open_voc(tree))[1]
    assert entry.reason == "bad annotation"
    assert message in entry.message


@pytest.mark.parametrize("text", [BOMB, OUTSIDER])
def test_xml_that_declares_entities_is_told_apart(tree, text):
    xml(tree / "Annotations" / "2007_000033.xml", text=text)
    (entry,) = read_all(open_voc(tree))[1]
    assert "declares entities or a document type of its own" in entry.message


def no_mask(tree, file):
    file.unlink()


def small_mask(tree, file):
    palette(file, np.zeros((HEIGHT, WIDTH - 1)))


def turned_mask(tree, file):
    palette(file, np.zeros((WIDTH, HEIGHT)))


def strange_mask(tree, file):
    palette(file, np.full((HEIGHT, WIDTH), 21))


def binary_mask(tree, file):
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[1:3, 1:4] = 255
    Image.fromarray(values).save(file)


def colour_mask(tree, file):
    Image.new("RGB", (WIDTH, HEIGHT)).save(file)


def damaged_mask(tree, file):
    file.write_bytes(file.read_bytes()[:60])


def no_picture(tree, file):
    (tree / "JPEGImages" / "2007_000033.jpg").unlink()


def damaged_picture(tree, file):
    (tree / "JPEGImages" / "2007_000033.jpg").write_bytes(b"JFIF")


BAD_FILES = {
    no_mask: ("missing mask", "2007_000033.png does not exist"),
    small_mask: ("mask of another size", "is 8 x 6 pixels, its picture 9 x 6"),
    turned_mask: ("mask of another size", "is 6 x 9 pixels, its picture 9 x 6"),
    strange_mask: ("bad mask", "holds 21; expected 0 to 20, or 255 for void"),
    binary_mask: ("bad mask", "holds no class: 255 is void; expected 1 where the first class"),
    colour_mask: ("bad mask", "has mode RGB; expected a palette"),
    damaged_mask: ("bad mask", "cannot be read"),
    no_picture: ("missing picture", "has no picture 2007_000033"),
    damaged_picture: ("unreadable picture", "2007_000033.jpg is not a picture"),
}


@pytest.mark.parametrize("spoil", BAD_FILES)
def test_bad_files_are_named(tree, spoil):
    reason, message = BAD_FILES[spoil]
    voc_picture(tree, "2007_000042")
    spoil(tree, tree / "SegmentationClass" / "2007_000033.png")
    loaded, skipped = read_all(open_voc(tree))
    assert [entry.id for entry in loaded] == ["2007_000042"]
    assert [(entry.id, entry.reason) for entry in skipped] == [("2007_000033", reason)]
    assert message in skipped[0].message


def test_a_grey_mask_of_class_numbers_will_do(tree):
    file = tree / "SegmentationClass" / "2007_000033.png"
    Image.fromarray(np.full((HEIGHT, WIDTH), 12, np.uint8)).save(file)
    assert only(open_voc(tree)).labels[0].mask.all()


def test_an_empty_list_is_named(tree):
    (tree / "ImageSets" / "Segmentation" / "val.txt").write_text("\n")
    assert faults(open_voc(tree)) == [("Segmentation/val.txt", "empty list")]


@pytest.mark.parametrize(
    ("lost", "problem"),
    [
        ("JPEGImages", "is not the folder of PASCAL VOC 2012"),
        ("SegmentationClass", "has no folder SegmentationClass"),
        ("ImageSets", "val.txt is missing or cannot be read"),
    ],
)
def test_a_wrong_tree_shows_the_right_one(tree, lost, problem):
    (tree / lost).rename(tree / "elsewhere")
    with pytest.raises(ValueError, match=problem) as caught:
        open_voc(tree)
    message = str(caught.value)
    assert "expected:\n  ROOT/JPEGImages/2007_000033.jpg\n" in message
    assert f"found in {tree}:\n" in message
    assert "\n  elsewhere/" in message


def test_the_real_pictures(data_folder):
    root = data_folder / "voc2012"
    data_set = open_voc(root, "trainval")
    assert len(data_set) == 308
    assert len(open_voc(root, "train")) == 16
    seen, with_boxes, difficult = Counter(), 0, 0
    for loaded in load(data_set.samples):
        values = np.asarray(Image.open(root / "SegmentationClass" / f"{loaded.id}.png"))
        names = [CLASSES[value - 1] for value in np.unique(values) if 0 < value < 255]
        seen.update(names)
        assert [label.name for label in loaded.labels] == names
        for label in loaded.labels:
            value = 1 + CLASSES.index(label.name)
            np.testing.assert_array_equal(label.mask, values == value)
        np.testing.assert_array_equal(loaded.void, values == 255)
        file = root / "Annotations" / f"{loaded.id}.xml"
        boxes = {label.name: label.boxes for label in loaded.labels}
        if not file.exists():
            assert set(boxes.values()) == {None}
            continue
        with_boxes += 1
        difficult += sum(sum(label.difficult) for label in loaded.labels)
        written = {name: [] for name in boxes}
        for element in ElementTree.parse(file).getroot().iter("object"):
            box = [
                int(element.find("bndbox").findtext(x)) for x in ("xmin", "ymin", "xmax", "ymax")
            ]
            written[element.findtext("name")].append((box[0] - 1, box[1] - 1, box[2], box[3]))
        assert boxes == {name: tuple(found) for name, found in written.items()}
    assert with_boxes == 44
    assert difficult == 17
    # How many pictures have aeroplanes, bicycles, ..., in the order of the classes.
    assert [seen[name] for name in CLASSES] == [
        *(3, 5, 2, 6, 9, 6, 9, 75, 13, 50),
        *(8, 74, 42, 2, 72, 9, 32, 14, 2, 6),
    ]


def test_official_boxes_hold_their_masks(data_folder):
    # The union of a class's boxes covers nearly all of its mask, whose edge is void: a box that is
    # one pixel off, or in another order, does not.
    from guidedcam_tf.metrics import box_mask

    root = data_folder / "voc2012"
    official = [file.stem for file in sorted((root / "Annotations").iterdir())]
    covered = total = 0
    for loaded in load(select(open_voc(root, "trainval"), official).samples):
        for label in loaded.labels:
            inside = box_mask(label.boxes, label.mask.shape)
            covered += (inside & label.mask).sum()
            total += label.mask.sum()
    assert covered / total > 0.99
