"""A list of one's own with classes, boxes and masks."""

import unicodedata

import numpy as np
import pytest
from data.trees import HEIGHT
from data.trees import WIDTH
from data.trees import picture
from data.trees import read_all
from PIL import Image

from guidedcam_tf.data.labels import LabelsConfig
from guidedcam_tf.networks import ClassNames

CLASSES = ClassNames(("dog", "cat"))
MASK = np.zeros((HEIGHT, WIDTH), np.uint8)
MASK[2:4, 3:7] = 1


@pytest.fixture
def read(tmp_path):
    for name in ("a.jpg", "images/b.jpg", "sub/c.png"):
        picture(tmp_path / name)
    (tmp_path / "masks").mkdir()
    Image.fromarray(MASK * 255).save(tmp_path / "masks" / "grey.png")
    Image.fromarray(MASK).save(tmp_path / "masks" / "ones.png")
    Image.fromarray(MASK > 0).save(tmp_path / "masks" / "bits.png")
    palette = Image.fromarray(1 - MASK, "P")
    palette.putpalette([255, 255, 255, 0, 0, 0])
    palette.save(tmp_path / "masks" / "palette.png")

    def read(text, classes=CLASSES, **keys):
        (tmp_path / "labels.csv").write_text(text, "utf-8")
        return read_all(LabelsConfig(root=tmp_path, **keys).open(0, classes))

    return read


def test_classes_alone(read):
    loaded, skipped = read("picture,class\na.jpg,dog\nb.jpg,Cat\na.jpg,cat\nsub/c.png,unicorn\n")
    assert not skipped
    assert {e.id: [(one.name, one.class_ids) for one in e.labels] for e in loaded} == {
        "a.jpg": [("dog", (0,)), ("Cat", (1,))],
        "b.jpg": [("Cat", (1,))],
        "sub/c.png": [("unicorn", ())],
    }
    assert all(one.boxes is None and one.mask is None for e in loaded for one in e.labels)


def test_boxes_of_one_class_are_put_together(read):
    loaded, _ = read(
        "file;label;x_min;y_min;x_max;y_max\na.jpg;dog;0;0;4;3.5\na.jpg;dog;5;1;9;6\nb.jpg;cat;;;;\n"
    )
    assert loaded[0].labels[0].boxes == ((0, 0, 4, 3.5), (5, 1, 9, 6))
    assert loaded[1].labels[0].boxes is None


def test_boxes_without_underscores(read):
    (loaded,), skipped = read(
        "file,width,height,class,XMin,YMin,xmax,ymax,mask\na.jpg,9,6,dog,0,1,4,3.5,masks/grey.png\n"
    )
    assert not skipped
    assert loaded.labels[0].boxes == ((0, 1, 4, 3.5),)


OTHER_BOXES = ("x,y,w,h", "x1,y1,x2,y2", "left,top,right,bottom", "x_1,y_1,width,height")


@pytest.mark.parametrize("columns", [*OTHER_BOXES, "bbox_xmin,bbox_ymin,bbox_xmax,bbox_ymax"])
def test_boxes_in_other_columns_are_refused(read, columns):
    with pytest.raises(ValueError, match="expected x_min, y_min, x_max, y_max") as caught:
        read(f"picture,class,{columns},mask\na.jpg,dog,0,0,4,3,masks/grey.png\n")
    assert f"seems to have boxes as {columns.replace(',', ', ')};" in str(caught.value)


def test_a_box_in_one_column_is_refused(read):
    with pytest.raises(ValueError, match="seems to have boxes as bbox; expected x_min"):
        read("picture;class;bbox\na.jpg;dog;[0, 0, 4, 3]\n")


@pytest.mark.parametrize("columns", ["width,height,x", "bbox_0,bbox_1,bbox_2,bbox_3"])
def test_columns_that_are_no_boxes_are_further_ones(tmp_path, read, columns):
    names = columns.split(",")
    read(f"picture,class,{columns}\na.jpg,dog{',7' * len(names)}\n")
    (sample,) = LabelsConfig(root=tmp_path).open(0, CLASSES).samples
    assert sample.columns == dict.fromkeys(names, ("7",))


@pytest.mark.parametrize("columns", ["x,y,w,h", "xmin,ymin,xmax,ymax"])
def test_inputs_that_are_called_as_boxes_stand_beside_empty_columns(tmp_path, read, columns):
    head = f"picture,class,x_min,y_min,x_max,y_max,{columns}"
    (loaded,), _ = read(f"{head}\na.jpg,dog,,,,,7,7,7,7\n")
    (sample,) = LabelsConfig(root=tmp_path).open(0, CLASSES).samples
    assert sample.columns == dict.fromkeys(columns.split(","), ("7",))
    assert loaded.labels[0].boxes is None


def test_boxes_of_a_picture_of_another_size_are_refused(read):
    """As TensorFlow's lists of objects have them, after the pictures were made smaller."""
    head = "file,width,height,class,xmin,ymin,xmax,ymax"
    (loaded,), (entry,) = read(f"{head}\na.jpg,9,6,dog,1,1,4,3\nb.jpg,18,12,dog,1,1,4,3\n")
    assert loaded.labels[0].boxes == ((1, 1, 4, 3),)
    assert entry.reason == "box outside the picture"
    assert "width and height is about a picture of 18 x 12 pixels; this one has 9 x 6" in (
        entry.message
    )


def test_spellings_of_one_class_are_put_together(read):
    head = "picture,class,x_min,y_min,x_max,y_max\n"
    lines = "a.jpg,cat,0,0,4,3\na.jpg,CAT,5,1,9,6\nb.jpg,Cat,1,1,3,3\nb.jpg,sea-cow,,,,\n"
    loaded, skipped = read(f"{head}{lines}b.jpg,Sea Cow,,,,\n")
    assert not skipped
    assert [[(one.name, one.class_ids, one.boxes) for one in e.labels] for e in loaded] == [
        [("CAT", (1,), ((0, 0, 4, 3), (5, 1, 9, 6)))],
        [("CAT", (1,), ((1, 1, 3, 3),)), ("Sea Cow", (), None)],
    ]


def test_names_that_case_alone_tells_apart_stay_apart(read):
    classes = ClassNames(("Cardigan", "cardigan"))
    (loaded,), _ = read("picture,class\na.jpg,cardigan\na.jpg,Cardigan\n", classes=classes)
    assert [(one.name, one.class_ids) for one in loaded.labels] == [
        ("cardigan", (1,)),
        ("Cardigan", (0,)),
    ]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("./a.jpg", "a.jpg"),
        ("sub\\c.png", "sub/c.png"),
        ("sub/c.png", "sub//./c.png"),
        ("b.jpg", "images/b.jpg"),
    ],
)
def test_names_of_one_picture_are_put_together(read, first, second):
    head = "picture,class,x_min,y_min,x_max,y_max\n"
    lines = [f"{first},dog,0,0,4,3\n", f"{second},cat,1,1,3,3\n", f"{second},dog,5,1,9,6\n"]
    (loaded,), skipped = read(head + "".join(lines))
    assert not skipped
    assert loaded.id == first
    assert [(label.name, label.boxes) for label in loaded.labels] == [
        ("dog", ((0, 0, 4, 3), (5, 1, 9, 6))),
        ("cat", ((1, 1, 3, 3),)),
    ]
    assert read(head + lines[0] + f"{second},dog,5,1,9,60\n")[0] == []


def test_names_of_two_pictures_are_not_put_together(read, tmp_path):
    picture(tmp_path / "images" / "a.jpg")
    loaded, (entry,) = read("picture,class\na.jpg,dog\nimages/a.jpg,cat\nsub/a.jpg,cat\n")
    assert [one.id for one in loaded] == ["a.jpg", "images/a.jpg"]
    assert (entry.id, entry.reason) == ("sub/a.jpg", "missing picture")


@pytest.mark.parametrize(
    ("line", "what"), [("dog,,,,,masks/grey.png", "box"), ("dog,0,0,4,3,", "mask")]
)
def test_an_object_that_would_be_left_out_of_the_truth_is_refused(read, line, what):
    head = "picture,class,x_min,y_min,x_max,y_max,mask\n"
    lines = f"a.jpg,dog,0,0,4,3,masks/grey.png\na.jpg,{line}\nb.jpg,{line}\n"
    (loaded,), (skipped,) = read(head + lines)
    assert loaded.id == "b.jpg"
    assert (skipped.id, skipped.reason) == ("a.jpg", "bad annotation")
    assert f"1 of 2 lines of class dog have a {what}; expected all" in skipped.message


@pytest.mark.parametrize("name", ["grey", "ones", "bits", "palette"])
def test_masks_without_boxes(read, name):
    (loaded,), skipped = read(f"picture,class,mask\na.jpg,dog,masks/{name}.png\n")
    assert not skipped
    assert loaded.labels[0].boxes is None
    np.testing.assert_array_equal(loaded.labels[0].mask, MASK == 1)


def test_a_mask_beside_a_box(read):
    (loaded,), _ = read(
        "picture,class,x_min,y_min,x_max,y_max,mask\na.jpg,dog,3,2,7,4,masks/grey.png\n"
    )
    (label,) = loaded.labels
    assert label.boxes == ((3, 2, 7, 4),)
    assert label.mask[2:4, 3:7].all()
    assert label.mask.sum() == 8


@pytest.mark.parametrize(("file", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_are_composed_or_not(read, tmp_path, file, listed):
    picture(tmp_path / unicodedata.normalize(file, "é.png"))
    classes = ClassNames(("dog", unicodedata.normalize(file, "über")))
    (loaded,), skipped = read(
        unicodedata.normalize(listed, "picture,class\né.png,Über\n"), classes=classes
    )
    assert not skipped
    assert [label.class_ids for label in loaded.labels] == [(1,)]


def test_another_list_is_named(read, tmp_path):
    (tmp_path / "train.tsv").write_text("picture\tclass\na.jpg\tdog\n")
    (loaded,), _ = read("no list", labels="train.tsv")
    assert loaded.id == "a.jpg"


BAD = {
    "gone": ("z.jpg,dog,,,,,", "missing picture", "z.jpg is not in"),
    "no class": ("b.jpg,,,,,,", "bad label", "a line has no class"),
    "no picture": (",dog,,,,,", "bad label", "a line has no picture"),
    "outside": ("../a.jpg,dog,,,,,", "bad label", "lies outside"),
    "words": ("b.jpg,dog,a,b,c,d,", "bad annotation", "four numbers as a box; received a, b, c, d"),
    "three": ("b.jpg,dog,1,2,3,,", "bad annotation", "four numbers as a box; received 1, 2, 3, "),
    "far": ("b.jpg,dog,1,2,30,4,", "box outside the picture", "leaves the picture of 9 x 6 pixels"),
    "empty": ("b.jpg,dog,4,2,4,4,", "box outside the picture", "is empty"),
    "not finite": ("b.jpg,dog,nan,2,4,4,", "box outside the picture", "box nan, 2, 4, 4"),
    "no mask": ("b.jpg,dog,,,,,masks/z.png", "missing mask", "masks/z.png is not in"),
    "many": ("b.jpg,dog,,,,,masks/many.png", "bad mask", "0 and one other value"),
    "colours": ("b.jpg,dog,,,,,a.jpg", "bad mask", "must be grey"),
    "size": ("b.jpg,dog,,,,,masks/small.png", "mask of another size", "is 2 x 3 pixels"),
    "no picture file": ("b.jpg,dog,,,,,labels.csv", "bad mask", "is not a picture"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_line_costs_its_picture(read, tmp_path, kind):
    Image.fromarray(MASK * 3 + np.eye(HEIGHT, WIDTH, dtype=np.uint8)).save(
        tmp_path / "masks" / "many.png"
    )
    Image.fromarray(np.ones((3, 2), np.uint8)).save(tmp_path / "masks" / "small.png")
    line, reason, message = BAD[kind]
    loaded, (entry,) = read(
        f"picture,class,x_min,y_min,x_max,y_max,mask\na.jpg,dog,1,1,3,3,\n{line}\n"
    )
    assert [one.id for one in loaded] == ["a.jpg"]
    assert entry.reason == reason
    assert message in entry.message


@pytest.mark.parametrize("text", ["picture,index\n", "class\n", "picture,class,x_min,y_min\n"])
def test_a_list_without_its_columns_is_refused(read, text):
    with pytest.raises(ValueError, match=r"has the columns .*\nexpected:"):
        read(f"{text}a.jpg,1\n")


def test_a_missing_list_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"there is no list .*labels\.csv"):
        LabelsConfig(root=tmp_path).open(0)


def test_an_empty_list_is_named(read):
    assert [entry.reason for entry in read("")[1]] == ["empty list"]


def test_a_class_with_a_comma_and_no_quotes_is_not_cut_short(read):
    loaded, (entry,) = read('picture,class\na.jpg, "dog, cat"\nb.jpg,dog, cat\n')
    assert [(one.id, one.labels[0].name) for one in loaded] == [("a.jpg", "dog, cat")]
    assert entry.reason == "bad label"
    assert "the next being 'cat'; a text that holds the separator" in entry.message
