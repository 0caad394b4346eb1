"""A plain folder of pictures."""

import pytest
from data.trees import faults
from data.trees import picture
from data.trees import read_all

from guidedcam_tf.data import open_folder


def test_pictures_are_found_in_order(tmp_path):
    for name in ("b.png", "a/z.JPG", "a/b/c.webp", ".hidden.png", ".cache/x.png", "a/gif.gif"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "folder.png").mkdir()
    data_set = open_folder(tmp_path)
    assert data_set.name == "folder"
    assert data_set.ids == ("a/b/c.webp", "a/gif.gif", "a/z.JPG", "b.png")
    loaded, skipped = read_all(data_set)
    assert not skipped
    assert [entry.id for entry in loaded] == list(data_set.ids)
    assert all(entry.labels == () and entry.void is None for entry in loaded)


def test_a_file_that_is_no_picture_is_named(tmp_path):
    picture(tmp_path / "a.png")
    (tmp_path / "b.jpg").write_text("hello")
    assert faults(open_folder(tmp_path)) == [("b.jpg", "unreadable picture")]


def test_a_missing_folder_shows_what_there_is(tmp_path):
    with pytest.raises(ValueError, match="holds no picture") as caught:
        open_folder(tmp_path / "photos" / "cats")
    assert f"no such folder; the nearest that exists is {tmp_path}" in str(caught.value)


def test_a_folder_without_pictures_shows_what_it_has(tmp_path):
    for number in range(15):
        (tmp_path / f"{number:02}.txt").touch()
    (tmp_path / "00 folder").mkdir()
    with pytest.raises(ValueError, match="holds no picture") as caught:
        open_folder(tmp_path)
    message = str(caught.value)
    assert "expected:\n  ROOT/any name.jpg" in message
    assert f"found in {tmp_path}:\n  00 folder/\n  00.txt\n  01.txt" in message
    assert message.endswith("  10.txt\n  ... and 4 more")


def test_a_file_is_no_folder(tmp_path):
    with pytest.raises(ValueError, match="a file, not a folder"):
        open_folder(picture(tmp_path / "a.png"))
