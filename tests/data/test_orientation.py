"""Boxes and masks lie on their object, however the file's pixels are turned."""

import json

import numpy as np
import pytest
from data.trees import read_all
from PIL import Image
from PIL import ImageOps

from guidedcam_tf.data import Frame
from guidedcam_tf.data import open_coco
from guidedcam_tf.data import open_voc
from guidedcam_tf.data.orientation import turned

HEIGHT, WIDTH = 30, 40
BOX = (3, 2, 15, 12)
"""The object in the stored pixels: left, top, right, bottom."""


def stored_picture(path, orientation, size=(HEIGHT, WIDTH)):
    pixels = np.full((*size, 3), 60, np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 250
    exif = Image.Exif()
    exif[0x0112] = orientation
    path.parent.mkdir(parents=True, exist_ok=True)
    options = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    Image.fromarray(pixels).save(path, exif=exif, **options)
    return pixels


def upright_box(orientation):
    """Where the object is in the picture that Pillow turns."""
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    rows, columns = np.nonzero(np.asarray(ImageOps.exif_transpose(image)))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


def check(loaded, orientation):
    (label,) = loaded.labels
    assert label.boxes == (upright_box(orientation),)
    left, top, right, bottom = map(int, label.boxes[0])
    assert loaded.picture[top:bottom, left:right].min() > 200
    assert (loaded.picture > 200).all(axis=-1).sum() == (right - left) * (bottom - top)
    if label.mask is not None:
        np.testing.assert_array_equal(label.mask, (loaded.picture > 200).all(axis=-1))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_arrays_are_turned_as_pillow_turns_them(rng, orientation):
    pixels = rng.integers(0, 256, (4, 7, 3), np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    expected = np.asarray(ImageOps.exif_transpose(image))
    np.testing.assert_array_equal(turned(pixels, orientation), expected)


def coco(root, orientation, box, size, suffix=".png"):
    stored_picture(root / "val2014" / f"a{suffix}", orientation)
    left, top, right, bottom = map(int, box)
    polygon = [left, top, right, top, right, bottom, left, bottom]
    document = {
        "images": [{"id": 1, "file_name": f"a{suffix}", "height": size[0], "width": size[1]}],
        "annotations": [
            {
                "id": 1,
                "image_id": 1,
                "category_id": 17,
                "iscrowd": 0,
                "bbox": [left, top, right - left, bottom - top],
                "segmentation": [polygon],
            }
        ],
        "categories": [{"id": 17, "name": "cat"}],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_val2014.json").write_text(json.dumps(document))
    (loaded,), skipped = read_all(open_coco(root))
    assert not skipped
    return loaded


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_coco_of_the_stored_pixels(tmp_path, orientation, suffix):
    check(coco(tmp_path, orientation, BOX, (HEIGHT, WIDTH), suffix), orientation)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_coco_of_the_turned_picture(tmp_path, orientation):
    loaded = coco(tmp_path, orientation, upright_box(orientation), (WIDTH, HEIGHT))
    check(loaded, orientation)


def voc(root, orientation, box, size=None, mask=None):
    stored_picture(root / "JPEGImages" / "a.jpg", orientation)
    (root / "Annotations").mkdir()
    sides = zip(("xmin", "ymin", "xmax", "ymax"), np.add(box, (1, 1, 0, 0)), strict=True)
    text = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
    shape = f"<size><width>{size[1]}</width><height>{size[0]}</height></size>" if size else ""
    (root / "Annotations" / "a.xml").write_text(
        f"<annotation>{shape}<object><name>cat</name><bndbox>{text}</bndbox></object></annotation>"
    )
    if mask is not None:
        (root / "SegmentationClass").mkdir()
        Image.fromarray(mask).save(root / "SegmentationClass" / "a.png")
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "val.txt").write_text("a\n")
    return read_all(open_voc(root, image_set="Main", masks=mask is not None))


@pytest.mark.parametrize("size", [None, (HEIGHT, WIDTH), (0, 0)])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_voc_of_the_stored_pixels(tmp_path, orientation, size):
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 8
    (loaded,), skipped = voc(tmp_path, orientation, BOX, size, mask)
    assert not skipped
    check(loaded, orientation)


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_voc_of_the_turned_picture(tmp_path, orientation):
    box = upright_box(orientation)
    mask = np.zeros((WIDTH, HEIGHT), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 8
    (loaded,), skipped = voc(tmp_path, orientation, box, (WIDTH, HEIGHT), mask)
    assert not skipped
    check(loaded, orientation)


@pytest.mark.parametrize("size", [(31, 40), ("31.0", "40.")])
def test_voc_of_another_picture_is_skipped(tmp_path, size):
    loaded, (entry,) = voc(tmp_path, 1, BOX, size)
    assert not loaded
    assert "is about a picture of 40 x 31 pixels; this one has 40 x 30" in entry.message


def test_a_frame_says_how_it_is_stored():
    assert Frame((4, 7), 6).stored == (7, 4)
    assert Frame((4, 7), 3).stored == (4, 7)
    assert Frame((4, 7), 6).annotated_as((9, 9)) is None
