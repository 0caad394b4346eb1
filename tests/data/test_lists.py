"""Lists as editors, spreadsheets and scripts write them; a bad line costs itself."""

import pytest
from data.trees import faults
from data.trees import picture
from data.trees import read_all
from data.trees import xml

from guidedcam_tf.data import open_folder
from guidedcam_tf.data import open_imagenet
from guidedcam_tf.data import open_voc
from guidedcam_tf.data import read_list
from guidedcam_tf.data import write_list

NAMES = ("a cat (1).jpg", "b.jpg", "sub/c.JPEG", "naïve 猫.png")


@pytest.fixture
def tree(tmp_path):
    for name in NAMES:
        picture(tmp_path / "images" / name)
    return tmp_path


ROWS = [f"{name},285" for name in NAMES]
LISTS = {
    "plain": ("l.csv", "file,index\n" + "\n".join(ROWS), 4),
    "mark and CRLF": ("l.csv", "\ufefffile,index\r\n" + "\r\n".join(ROWS) + "\r\n", 4),
    "old Macintosh": ("l.csv", "file,index\r" + "\r".join(ROWS), 4),
    "comments": ("l.csv", "# made by hand\nfile,index\n#\n" + "\n# more\n".join(ROWS), 4),
    "spaces": ("l.csv", "  file , index \n" + "\n".join(f" {row} , " for row in ROWS), 4),
    "semicolons": ("l.csv", "file;index\n" + "\n".join(ROWS).replace(",", ";"), 4),
    "tabs": ("l.csv", "file\tindex\n" + "\n".join(ROWS).replace(",", "\t"), 4),
    "tabs, an empty cell first": (
        "l.csv",
        "wnid\tindex\tfile\n" + "\n".join(f"\t285\t{name}" for name in NAMES),
        4,
    ),
    "tabs, numbered lines": ("l.csv", "\tfile\tindex\n0\tb.jpg\t285\n", 1),
    "quotes": ("l.csv", "file,index\n" + "\n".join(f'"{name}","285"' for name in NAMES), 4),
    "spaces before quotes": (
        "l.csv",
        "file, index\n" + "\n".join(f'"{name}", "285"' for name in NAMES),
        4,
    ),
    "an empty cell too many": ("l.csv", "file,index\nb.jpg,285,\n", 1),
    "capitals": ("l.csv", "File,Index\n" + "\n".join(ROWS), 4),
    "picture": ("l.csv", "picture,wnid\nb.jpg,n02124075\n", 1),
    "floats": ("l.csv", "file,index\nb.jpg,285.0\n", 1),
    "backslashes": ("l.csv", "file,index\nsub\\c.JPEG,285\n", 1),
    "text": ("l.txt", "\ufeff" + "\r\n".join(f"{name} 285 " for name in NAMES), 4),
    "text, wnids": ("l.txt", "# wnids\n" + "\n".join(f"{name}\tn02124075" for name in NAMES), 4),
    "text, names": ("l.txt", "a cat (1).jpg Egyptian cat\nb.jpg  Egyptian_cat\n", 2),
}


@pytest.mark.parametrize("kind", LISTS)
def test_lists_are_read(tree, kind):
    name, text, count = LISTS[kind]
    (tree / name).write_bytes(text.encode())
    loaded, skipped = read_all(open_imagenet(tree, tree / name))
    assert not skipped
    assert len(loaded) == count
    assert {label.class_ids for entry in loaded for label in entry.labels} == {(285,)}


BAD_LINES = {
    "a long name": "x" * 300 + ".jpg,285",
    "NUL": "a\0b.jpg,285",
    "an endless number": "c.jpg," + "9" * 5000,
    "a field over the limit": '"' + "y" * 140_000 + '",285',
    "an open quote": '"d.jpg,285',
    "a word": "e.jpg,unicorn",
    "no class": "f.jpg",
    "no name": ",285",
    "outside": "../b.jpg,285",
    "absolute": "/etc/passwd,285",
    "out of range": "g.jpg,1001",
    "a comma without quotes": "a cat, sitting.jpg,285",
    "a comma in the class": "j.jpg,285,281",
    "negative": "h.jpg,-1",
    "not there": "i.jpg,285",
}


@pytest.mark.parametrize("kind", BAD_LINES)
def test_a_bad_line_costs_itself(tree, kind):
    text = f"file,index\nb.jpg,285\n{BAD_LINES[kind]}\nsub/c.JPEG,281\n"
    (tree / "labels.csv").write_text(text)
    data_set = open_imagenet(tree)
    assert data_set.ids == ("b.jpg", "sub/c.JPEG")
    (entry,) = data_set.skipped
    assert entry.reason in ("bad label", "missing picture")
    assert len(entry.message) < 900


@pytest.mark.parametrize("name", ["labels.csv", "labels.txt"])
def test_indices_from_1_are_refused(tree, name):
    """Each of them but the last is a class, though another."""
    lines = ["file index", "b.jpg 1", "sub/c.JPEG 1000"]
    text = "\n".join(lines).replace(" ", ",") if name == "labels.csv" else "\n".join(lines[1:])
    (tree / name).write_text(text)
    with pytest.raises(ValueError, match=r"index 1000 and no 0, .* to count classes from 1"):
        open_imagenet(tree, tree / name)
    (tree / name).write_text(f"{text}\n{lines[1].replace(' ', ',' if ',' in text else ' ')[:-1]}0")
    assert open_imagenet(tree, tree / name).ids == ("b.jpg",)


def test_two_columns_of_one_name_are_refused(tree):
    (tree / "labels.csv").write_text("file,index,Index\nb.jpg,285,281\n")
    with pytest.raises(ValueError, match="has the column 'index' twice"):
        open_imagenet(tree)


@pytest.fixture
def voc(tmp_path):
    for name in ("p1", "p 2", "p.3"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        xml(tmp_path / "Annotations" / f"{name}.xml", ("cat", 0, 2, 2, 5, 5))
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    return tmp_path


def voc_list(root, text):
    (root / "ImageSets" / "Main" / "val.txt").write_bytes(text.encode())
    return open_voc(root, image_set="Main", masks=False)


@pytest.mark.parametrize(
    "text",
    ["\ufeffp1\r\np 2\r\np.3\r\n", "p1  1\np 2\n\n\np.3 -1\n", "# three\np1\t\np 2 \np.3"],
)
def test_voc_lists_are_read(voc, text):
    loaded, skipped = read_all(voc_list(voc, text))
    assert not skipped
    assert [entry.id for entry in loaded] == ["p 2", "p.3", "p1"]


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "../p1", "p1/..", "p1.jpg"])
def test_a_bad_line_of_a_voc_list_costs_itself(voc, name):
    data_set = voc_list(voc, f"p1\n{name}\np.3\n")
    assert data_set.ids == ("p.3", "p1")
    assert faults(data_set) == [(name, "missing picture")]


@pytest.mark.parametrize("suffix", [".jpeg", ".JPG", ".jfif", ".jpe", ".png", ".webp"])
def test_voc_pictures_of_any_kind(voc, suffix):
    source = voc / "JPEGImages" / "p1.jpg"
    picture(voc / f"a{suffix if suffix not in ('.jfif', '.jpe') else '.jpg'}")
    next(voc.glob("a.*")).rename(source.with_suffix(suffix))
    source.unlink()
    loaded, skipped = read_all(voc_list(voc, "p1\n"))
    assert not skipped
    assert loaded[0].labels[0].boxes == ((1, 1, 5, 5),)


@pytest.mark.parametrize("suffix", [".jfif", ".jpe", ".JFIF", ".pgm", ".tga", ".jp2", ".avif"])
def test_every_suffix_of_pictures_is_found(tmp_path, suffix):
    picture(tmp_path / "a.png")
    (tmp_path / f"b{suffix}").write_bytes((tmp_path / "a.png").read_bytes())
    loaded, skipped = read_all(open_folder(tmp_path))
    assert not skipped
    assert [entry.id for entry in loaded] == ["a.png", f"b{suffix}"]


@pytest.mark.parametrize("suffix", [".heic", ".jxl", ".psd"])
def test_pictures_that_cannot_be_read_are_counted(tmp_path, suffix):
    picture(tmp_path / "a.png")
    (tmp_path / f"b{suffix}").write_bytes(b"no picture that Pillow knows")
    assert faults(open_folder(tmp_path)) == [(f"b{suffix}", "unreadable picture")]


def test_a_list_of_identifiers_as_windows_writes_it(tmp_path):
    (tmp_path / "list.txt").write_bytes("\ufeff# mine\r\np1 \r\n\r\np 2\r\n".encode())
    assert read_list(tmp_path / "list.txt") == ("p1", "p 2")


def test_a_written_list_is_read_again(tmp_path):
    ids = ("#1.jpg", "b c.jpg", "猫.png")
    write_list(ids, tmp_path / "list.txt")
    assert read_list(tmp_path / "list.txt") == ids


FLAGS = {
    **dict.fromkeys(("0", "False", "false", "no", "No", " 0 ", "", "Unspecified", "F"), False),
    **dict.fromkeys(("1", "True", "true", "yes", "Y", " 1 "), True),
}


@pytest.mark.parametrize("flag", FLAGS)
def test_difficult_in_words(voc, flag):
    xml(voc / "Annotations" / "p1.xml", ("cat", flag, 2, 2, 5, 5))
    (loaded,), skipped = read_all(voc_list(voc, "p1\n"))
    assert not skipped
    assert loaded.labels[0].difficult == (FLAGS[flag],)


@pytest.mark.parametrize("flag", ["maybe", "2", "-1"])
def test_a_flag_that_says_neither_is_refused(voc, flag):
    xml(voc / "Annotations" / "p1.xml", ("cat", flag, 2, 2, 5, 5))
    _, (entry,) = read_all(voc_list(voc, "p1\n"))
    assert f"has difficult {flag!r}; expected 0 or 1" in entry.message


def test_boxes_counted_from_0(voc):
    xml(voc / "Annotations" / "p1.xml", ("Cat", 0, 0, 0, 8, 5))
    _, (entry,) = read_all(voc_list(voc, "p1\n"))
    assert "data.first_pixel: 0 counts pixels from 0" in entry.message
    data_set = open_voc(voc, image_set="Main", masks=False, first_pixel=0)
    (loaded,), _ = read_all(data_set)
    assert loaded.labels[0].boxes == ((0, 0, 9, 6),)
