"""A mask's indices are classes, unless its palette has VOC's colours in another order."""

import numpy as np
import pytest
from data.trees import picture
from data.trees import read_all
from PIL import Image

from guidedcam_tf.data import open_voc
from guidedcam_tf.data.voc import CLASSES
from guidedcam_tf.data.voc_files import VOID
from guidedcam_tf.data.voc_files import voc_colours

COLOURS = voc_colours()
MASK = np.zeros((6, 9), np.uint8)
MASK[1:3, 2:5] = 8
MASK[3:5, 4:8] = 12
MASK[5] = VOID


@pytest.fixture
def read(tmp_path):
    """Write a palette mask, indices and colours, and read it in a VOC tree."""

    def write(indices, colours, mode="P", classes=CLASSES):
        picture(tmp_path / "JPEGImages" / "a.jpg")
        (tmp_path / "SegmentationClass").mkdir()
        image = Image.fromarray(np.asarray(indices, np.uint8), mode)
        if mode == "P":
            image.putpalette(np.asarray(colours, np.uint8).ravel().tolist())
        image.save(tmp_path / "SegmentationClass" / "a.png")
        lists = tmp_path / "ImageSets" / "Segmentation"
        lists.mkdir(parents=True)
        (lists / "val.txt").write_text("a\n")
        return read_all(open_voc(tmp_path, classes=classes))

    return write


def check(found):
    (loaded,), skipped = found
    assert not skipped
    assert {label.name for label in loaded.labels} == {"cat", "dog"}
    for label in loaded.labels:
        np.testing.assert_array_equal(label.mask, {"cat": 8, "dog": 12}[label.name] == MASK)
    np.testing.assert_array_equal(loaded.void, MASK == VOID)


def test_the_colours_are_the_development_kit_s():
    """Read off its pictures: aeroplane, bicycle, bird, cat, person, tvmonitor, void."""
    expected = {
        0: (0, 0, 0),
        1: (128, 0, 0),
        2: (0, 128, 0),
        3: (128, 128, 0),
        8: (64, 0, 0),
        15: (192, 128, 128),
        20: (0, 64, 128),
        255: (224, 224, 192),
    }
    for number, colour in expected.items():
        assert tuple(COLOURS[number]) == colour


def test_voc_s_own_palette(read):
    check(read(MASK, COLOURS))


def test_a_grey_mask(read):
    check(read(MASK, None, "L"))


def test_colours_in_the_order_of_their_first_use(read):
    """As Pillow's quantize writes a mask that was RGB in between: background is not index 0."""
    order = np.array([8, 0, VOID, 12])
    indices = np.argmax(MASK[..., None] == order, axis=-1)
    check(read(indices, COLOURS[order]))


def test_a_reversed_palette(read):
    check(read(VOID - MASK, COLOURS[::-1]))


def test_a_picture_that_pillow_quantised(read, tmp_path):
    image = Image.fromarray(COLOURS[MASK]).quantize(4)
    check(read(np.asarray(image), np.reshape(image.getpalette(), [-1, 3])))


@pytest.mark.parametrize(
    "colours",
    [
        np.zeros((256, 3)),
        np.arange(256).repeat(3).reshape(256, 3),
        255 - np.arange(256).repeat(3).reshape(256, 3),
        np.random.default_rng(0).integers(1, 255, (256, 3)) | 1,
    ],
    ids=["black", "grey", "inverted", "random"],
)
def test_other_colours_say_nothing(read, colours):
    check(read(MASK, colours))


def test_colours_of_both_kinds_are_refused(read):
    colours = COLOURS.copy()
    colours[1], colours[8], colours[12] = (7, 7, 7), COLOURS[1], (1, 2, 3)
    loaded, (entry,) = read(MASK, colours)
    assert not loaded
    assert entry.reason == "bad mask"
    assert "unclear whether its indices or its colours name the classes" in entry.message


def test_other_classes_have_the_values_of_their_order(read):
    (loaded,), _ = read(MASK, None, "L", [f"thing {number}" for number in range(1, 13)])
    assert [label.name for label in loaded.labels] == ["thing 8", "thing 12"]


def test_a_value_beyond_the_classes_is_named(read):
    _, (entry,) = read(MASK, None, "L", ["a", "b"])
    assert "holds 8; expected 0 to 2, or 255 for void" in entry.message
