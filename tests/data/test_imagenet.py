"""ImageNet in its three forms, and ILSVRC's numbers, which are not Keras's indices."""

import csv

import numpy as np
import pytest
from data.trees import faults
from data.trees import picture
from data.trees import read_all
from PIL import Image

from guidedcam_tf.data import load
from guidedcam_tf.data import open_imagenet
from guidedcam_tf.data.synsets import GROUND_TRUTH
from guidedcam_tf.networks.classes import imagenet_classes

CLASSES = imagenet_classes()
KIT_FOX, ENGLISH_SETTER, SEA_SNAKE = 278, 212, 65


def ids_and_classes(data_set):
    loaded, _ = read_all(data_set)
    return {entry.id: [label.class_ids for label in entry.labels] for entry in loaded}


def test_a_folder_a_class(tmp_path):
    picture(tmp_path / "n02123045" / "b.JPEG")
    picture(tmp_path / "n02123045" / "more" / "a.jpg")
    picture(tmp_path / "n01440764" / "c.JPEG")
    picture(tmp_path / "n99999999" / "d.JPEG")
    picture(tmp_path / "notes" / "e.JPEG")
    data_set = open_imagenet(tmp_path)
    assert ids_and_classes(data_set) == {
        "n01440764/c.JPEG": [(0,)],
        "n02123045/b.JPEG": [(281,)],
        "n02123045/more/a.jpg": [(281,)],
    }
    assert faults(data_set) == [("n99999999", "bad label")]
    (label,) = read_all(data_set)[0][1].labels
    assert (label.name, label.boxes, label.mask) == ("tabby", None, None)


LISTS = {
    "labels.csv": "file,index,wnid,name\na.jpg,281,n02123045,any\nsub/b.jpg,0,,\n",
    "wnids.csv": "name,wnid,file\nx,n02123045,a.jpg\ny,n01440764,sub/b.jpg\n",
    "marked.csv": "\ufefffile,index\r\na.jpg,281\r\n\r\nsub/b.jpg,0\r\n",
    "indices.txt": "a.jpg 281\nsub/b.jpg 0\n",
    "names.txt": "a.jpg  tabby\nsub/b.jpg\tn01440764\n",
}


@pytest.mark.parametrize("place", ["", "images", "val"])
@pytest.mark.parametrize("name", LISTS)
def test_lists(tmp_path, name, place):
    (tmp_path / name).write_text(LISTS[name])
    for file in ("a.jpg", "sub/b.jpg", "not listed.jpg"):
        picture(tmp_path / place / file)
    labels = None if name == "labels.csv" else tmp_path / name
    data_set = open_imagenet(tmp_path, labels)
    assert ids_and_classes(data_set) == {"a.jpg": [(281,)], "sub/b.jpg": [(0,)]}
    assert not data_set.skipped


def test_a_picture_of_two_classes(tmp_path):
    picture(tmp_path / "both.png")
    (tmp_path / "labels.csv").write_text("file,index\nboth.png,243\nboth.png,281\nboth.png,243\n")
    assert ids_and_classes(open_imagenet(tmp_path)) == {"both.png": [(243,), (281,)]}


BAD_LINES = {
    "too large": ("a.jpg 1001", "bad label", "out of range"),
    "name": ("a.jpg unicorn", "bad label", "'unicorn' is not a class"),
    "ambiguous": ("a.jpg crane", "bad label", "the name of 2 classes"),
    "no class": ("a.jpg", "bad label", "expected one class; received none"),
    "missing": ("lost.jpg 281", "missing picture", "lost.jpg is not in"),
    "outside": ("../a.jpg 281", "bad label", "lies outside"),
    "one bad of two": ("a.jpg 281\na.jpg x", "bad label", "'x' is not a class"),
}


@pytest.mark.parametrize("name", BAD_LINES)
def test_bad_lines_are_named(tmp_path, name):
    line, reason, message = BAD_LINES[name]
    for file in ("a.jpg", "b.jpg"):
        picture(tmp_path / "images" / file)
    picture(tmp_path / "a.jpg")
    (tmp_path / "list.txt").write_text(f"{line}\nb.jpg 281\n")
    data_set = open_imagenet(tmp_path, tmp_path / "list.txt")
    assert data_set.ids == ("b.jpg",)
    (entry,) = data_set.skipped
    assert (entry.id, entry.reason) == (line.split()[0], reason)
    assert message in entry.message
    assert "list.txt" in entry.message


def test_index_and_wnid_must_agree(tmp_path):
    picture(tmp_path / "a.jpg")
    (tmp_path / "labels.csv").write_text("file,index,wnid\na.jpg,282,n02123045\n")
    (entry,) = open_imagenet(tmp_path).skipped
    assert "expected one class; received 282 and n02123045" in entry.message


@pytest.mark.parametrize(("name", "text"), [("labels.csv", "file,index\n"), ("list.txt", "\n")])
def test_an_empty_list_is_named(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    assert faults(open_imagenet(tmp_path, tmp_path / name)) == [(name, "empty list")]


@pytest.mark.parametrize("header", ["path,index", "file,class"])
def test_a_list_without_its_columns_is_refused(tmp_path, header):
    (tmp_path / "labels.csv").write_text(f"{header}\na.jpg,1\n")
    with pytest.raises(ValueError, match=r"expected file and index or wnid") as caught:
        open_imagenet(tmp_path)
    assert header.replace(",", ", ") in str(caught.value)


def ilsvrc_numbers():
    """A numbering of the kit's kind: kit fox 1, English setter 2, then the rest backwards."""
    first = [KIT_FOX, ENGLISH_SETTER]
    return first + [index for index in reversed(range(1000)) if index not in first]


def write_clsloc(folder):
    lines = [
        f"{CLASSES.wnids[index]} {number} {CLASSES.names[index].replace(' ', '_')}\n"
        for number, index in enumerate(ilsvrc_numbers(), 1)
    ]
    (folder / "map_clsloc.txt").write_text("".join(lines))


def write_meta(folder):
    """Write `meta.mat` in the kit's layout, with one of its 860 high-level synsets."""
    from scipy.io import savemat

    fields = [("ILSVRC2012_ID", "O"), ("WNID", "O"), ("words", "O"), ("num_children", "O")]
    table = np.empty((1001, 1), fields)
    for number, index in enumerate(ilsvrc_numbers(), 1):
        table[number - 1, 0] = (float(number), CLASSES.wnids[index], CLASSES.names[index], 0.0)
    table[1000, 0] = (1001.0, "n02084071", "dog, domestic dog", 189.0)
    savemat(folder / "meta.mat", {"synsets": table})


@pytest.mark.parametrize("write_synsets", [write_clsloc, write_meta])
@pytest.mark.parametrize("kit", ["", "ILSVRC2012_devkit_t12/data"])
@pytest.mark.parametrize("place", ["", "val"])
def test_the_official_validation_set(tmp_path, write_synsets, kit, place):
    (tmp_path / kit).mkdir(parents=True, exist_ok=True)
    numbers = [1, ilsvrc_numbers().index(SEA_SNAKE) + 1, 2]
    (tmp_path / kit / GROUND_TRUTH).write_text("".join(f"{number}\n" for number in numbers))
    write_synsets(tmp_path / kit)
    for number in (1, 2, 3, 4):
        picture(tmp_path / place / f"ILSVRC2012_val_{number:08}.JPEG")
    data_set = open_imagenet(tmp_path)
    assert ids_and_classes(data_set) == {
        "ILSVRC2012_val_00000001.JPEG": [(KIT_FOX,)],
        "ILSVRC2012_val_00000002.JPEG": [(SEA_SNAKE,)],
        "ILSVRC2012_val_00000003.JPEG": [(ENGLISH_SETTER,)],
    }
    assert faults(data_set) == [("ILSVRC2012_val_00000004.JPEG", "bad label")]


@pytest.fixture
def validation(tmp_path):
    picture(tmp_path / "ILSVRC2012_val_00000001.JPEG")
    (tmp_path / GROUND_TRUTH).write_text("1\n")
    return tmp_path


def test_files_elsewhere(validation, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("kit")
    (validation / GROUND_TRUTH).rename(elsewhere / "truth.txt")
    write_clsloc(validation)
    data_set = open_imagenet(
        validation, elsewhere / "truth.txt", synsets=validation / "map_clsloc.txt"
    )
    assert len(data_set) == 1


def test_ground_truth_without_synsets_is_refused(validation):
    with pytest.raises(
        ValueError, match=r"ILSVRC2012's \(1 is the kit fox\), not Keras's"
    ) as caught:
        open_imagenet(validation)
    assert "put meta.mat or map_clsloc.txt of its development kit beside it" in str(caught.value)


@pytest.mark.parametrize("text", ["", "n02119789 1 kit_fox\n", "x\n", "a b c\n"])
def test_bad_synsets_are_refused(validation, text):
    (validation / "map_clsloc.txt").write_text(text)
    with pytest.raises(ValueError, match=r"map_clsloc.txt (cannot be read|does not give each)"):
        open_imagenet(validation)


def test_a_damaged_meta_is_refused(validation):
    (validation / "meta.mat").write_bytes(b"MATLAB 5.0 MAT-file" + bytes(200))
    with pytest.raises(ValueError, match=r"meta.mat cannot be read"):
        open_imagenet(validation)


@pytest.mark.parametrize("line", ["0", "1001"])
def test_numbers_out_of_range_are_refused(validation, line):
    write_clsloc(validation)
    (validation / GROUND_TRUTH).write_text(f"1\n{line}\n")
    with pytest.raises(ValueError, match="a line that is no number from 1 to 1000"):
        open_imagenet(validation)


def test_wrong_trees_show_the_right_one(tmp_path):
    for root, labels, problem in (
        (tmp_path / "nowhere", None, "has no folders named by wnid, no labels.csv, no ground"),
        (tmp_path, None, "has no folders named by wnid"),
        (tmp_path, tmp_path / "lost.csv", "there is no list"),
    ):
        with pytest.raises(ValueError, match=problem) as caught:
            open_imagenet(root, labels)
        assert "ROOT/n02123045/any name.JPEG" in str(caught.value)
        assert f"found in {root}:" in str(caught.value)
    (tmp_path / "n02123045").mkdir()
    with pytest.raises(ValueError, match="hold no picture of a known class"):
        open_imagenet(tmp_path)


@pytest.mark.parametrize(("folder", "count"), [("imagenet_val_227", 663), ("imagenet_val_full", 5)])
def test_the_real_pictures(data_folder, folder, count):
    root = data_folder / folder
    data_set = open_imagenet(root)
    assert len(data_set) == count
    with (root / "labels.csv").open(newline="") as stream:
        truth = {row["file"]: row for row in csv.DictReader(stream)}
    for loaded in load(data_set.samples):
        (label,) = loaded.labels
        assert label.class_ids == (int(truth[loaded.id]["index"]),)
        assert CLASSES.wnids[label.class_ids[0]] == truth[loaded.id]["wnid"]
        with Image.open(root / "images" / loaded.id) as image:
            assert loaded.picture.shape == (image.height, image.width, 3)
