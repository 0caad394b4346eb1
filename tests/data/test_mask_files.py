"""Masks have the numbers that their files hold, turned as their picture is seen."""

import numpy as np
import pytest
from data.trees import read_all
from PIL import Image
from png import png

from guidedcam_tf.data import open_voc
from guidedcam_tf.data.labels import LabelsConfig
from guidedcam_tf.data.mask_files import read_mask_file
from guidedcam_tf.networks import ClassNames

OBJECT = np.zeros((6, 6), np.uint8)
OBJECT[1:3, 2:6] = 1
"""As a square picture is stored, so that no size gives away how it is turned."""


def exif(orientation):
    written = Image.Exif()
    written[0x0112] = orientation
    return written


def stored(root, orientation):
    (root / "JPEGImages").mkdir()
    pixels = np.repeat(OBJECT[..., None] * 255, 3, axis=2)
    Image.fromarray(pixels).save(root / "JPEGImages" / "a.png", exif=exif(orientation))


def read_labels(root, mask):
    (root / "labels.csv").write_text(f"file,class,mask\nJPEGImages/a.png,cat,{mask}\n")
    return read_all(LabelsConfig(root=root).open(0, ClassNames(("dog", "cat"))))


def read_voc(root):
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("a\n")
    return read_all(open_voc(root))


@pytest.mark.parametrize("depth", [2, 4])
def test_grey_of_few_bits_has_the_numbers_of_its_classes(tmp_path, depth):
    stored(tmp_path, 1)
    (tmp_path / "SegmentationClass").mkdir()
    values = OBJECT + 2 * (OBJECT == 0) * np.eye(6, dtype=np.uint8)
    (tmp_path / "SegmentationClass" / "a.png").write_bytes(png(values, depth))
    (loaded,), _ = read_voc(tmp_path)
    assert [label.name for label in loaded.labels] == ["aeroplane", "bicycle"]
    np.testing.assert_array_equal(loaded.labels[0].mask, values == 1)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("orientation", [2, 3, 6, 7])
def test_a_mask_that_says_how_it_is_turned(tmp_path, orientation, suffix):
    stored(tmp_path, orientation)
    Image.fromarray(OBJECT).save(tmp_path / f"mask{suffix}", exif=exif(orientation))
    (loaded,), skipped = read_labels(tmp_path, f"mask{suffix}")
    assert not skipped
    np.testing.assert_array_equal(loaded.labels[0].mask, loaded.picture[..., 0] > 200)


def test_an_upright_picture_s_mask_may_be_turned_itself(tmp_path):
    stored(tmp_path, 1)
    (tmp_path / "SegmentationClass").mkdir()
    turned = np.rot90(OBJECT * 8, 2)
    Image.fromarray(turned).save(tmp_path / "SegmentationClass" / "a.png", exif=exif(3))
    (loaded,), _ = read_voc(tmp_path)
    np.testing.assert_array_equal(loaded.labels[0].mask, loaded.picture[..., 0] > 200)


def coloured(path, values, colours):
    image = Image.fromarray(np.asarray(values, np.uint8), "P")
    image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
    image.save(path)


def test_colours_of_one_brightness_are_two_objects(tmp_path):
    """VOC's red of aeroplanes and its green of potted plants are one grey to Pillow."""
    values = OBJECT.copy()
    values[5] = 2
    coloured(tmp_path / "mask.png", values, [(0, 0, 0), (128, 0, 0), (0, 64, 0)])
    with pytest.raises(ValueError, match="0 and one other value where the object is"):
        read_mask_file(tmp_path / "mask.png").one_object()


def test_the_darkest_blue_is_an_object(tmp_path):
    coloured(tmp_path / "mask.png", OBJECT, [(0, 0, 0), (0, 0, 1)])
    found = read_mask_file(tmp_path / "mask.png").one_object()
    np.testing.assert_array_equal(found, OBJECT == 1)


def test_a_mask_without_an_object_is_refused(tmp_path):
    stored(tmp_path, 1)
    Image.new("L", (6, 6)).save(tmp_path / "mask.png")
    loaded, (entry,) = read_labels(tmp_path, "mask.png")
    assert not loaded
    assert entry.reason == "bad mask"
    assert "mask.png shows no object: all of it is 0, or black" in entry.message
