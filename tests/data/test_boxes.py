"""Boxes come from VOC and COCO at the right pixels."""

import pytest

from guidedcam_tf.data.boxes import from_coco
from guidedcam_tf.data.boxes import from_corners
from guidedcam_tf.data.boxes import from_voc
from guidedcam_tf.metrics import box_mask


def test_voc_counts_from_1_and_includes_the_end():
    # The first column, rows 1 and 2: one pixel wide, two high.
    assert from_voc((1, 1, 1, 2), (6, 9)) == (0, 0, 1, 2)
    assert box_mask([from_voc((1, 1, 1, 2), (6, 9))], (6, 9)).sum() == 2
    assert from_voc((1, 1, 9, 6), (6, 9)) == (0, 0, 9, 6)


def test_coco_has_corner_and_size():
    assert from_coco((2.5, 1, 3, 2), (6, 9)) == (2.5, 1, 5.5, 3)


def test_rounding_over_the_edge_is_cut_off():
    assert from_coco((-0.3, 0, 9.5, 6.25), (6, 9)) == (0, 0, 9, 6)


@pytest.mark.parametrize(
    "box", [(0, 1, 5, 5), (1, 1, 10, 6), (1, 1, 9, 7), (5, 1, 4, 6), (20, 20, 30, 30)]
)
def test_voc_boxes_outside_are_refused(box):
    with pytest.raises(ValueError, match=r"is empty or leaves the picture of 9 x 6 pixels"):
        from_voc(box, (6, 9))


@pytest.mark.parametrize(
    "box", [(1, 1, 0, 2), (1, 1, -2, 2), (8, 0, 2, 2), (float("nan"), 1, 1, 1), (9.2, 0, 0.1, 2)]
)
def test_coco_boxes_outside_are_refused(box):
    with pytest.raises(ValueError, match="is empty or leaves the picture"):
        from_coco(box, (6, 9))


@pytest.mark.parametrize("box", [(0.125, 0.2, 0.8, 0.9), (0, 0, 1, 1), (0.5, 0, 1, 0.25)])
@pytest.mark.parametrize("read", [from_voc, from_coco, from_corners])
def test_boxes_in_parts_of_the_picture_are_refused(read, box):
    with pytest.raises(ValueError, match=r"in parts of the picture; .*width, 90, and height, 60"):
        read(box, (60, 90))


def test_a_box_of_the_first_pixel_is_one():
    assert from_voc((1, 1, 1, 1), (6, 9)) == (0, 0, 1, 1)
    assert from_coco((1, 0, 1, 1), (6, 9)) == (1, 0, 2, 1)
