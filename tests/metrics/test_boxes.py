"""Boxes: which pixels they hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from guidedcam_tf import InputError
from guidedcam_tf.metrics import box_mask

SPANS = st.tuples(st.floats(-3, 9), st.floats(0, 6)).map(lambda span: (span[0], sum(span)))


def test_hand_computed():
    # VOC's first column and first two rows, xmin = 1, ymin = 1, xmax = 1, ymax = 2, and COCO's
    # x = 2.5, y = 1, width = 1, height = 1, which covers two columns in part.
    boxes = [[1 - 1, 1 - 1, 1, 2], [2.5, 1, 2.5 + 1, 1 + 1]]
    expected = [[1, 0, 0, 0, 0], [1, 0, 1, 1, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(box_mask(boxes, (3, 5)), expected)


@given(st.lists(st.tuples(SPANS, SPANS), max_size=3))
def test_matches_loops(spans):
    boxes = [(x[0], y[0], x[1], y[1]) for x, y in spans]
    mask = box_mask(boxes, (5, 7))
    for row, column in np.ndindex(5, 7):
        inside = [
            column < right and column + 1 > left and row < bottom and row + 1 > top
            for left, top, right, bottom in boxes
        ]
        assert mask[row, column] == any(inside)


def test_a_box_outside_the_picture_holds_nothing():
    assert not box_mask([[10, 10, 1e300, 1e300], [-5, -5, -1, -1]], (4, 4)).any()
    assert not box_mask([], (4, 4)).any()


def test_a_class_that_is_difficult_throughout_has_no_pixels():
    boxes = [[0, 0, 1, 1], [2, 2, 3, 3]]
    assert not box_mask(boxes, (4, 4), difficult=[True, True]).any()
    np.testing.assert_array_equal(box_mask(boxes, (4, 4), [False, True]), box_mask(boxes, (4, 4)))


@pytest.mark.parametrize(
    ("boxes", "difficult", "message"),
    [
        (
            [0, 0, 1, 1],
            None,
            r"boxes must be finite numbers \[B, 4\]; received int64 of shape \(4,\)",
        ),
        ([["a", 0, 1, 1]], None, r"boxes must be finite numbers \[B, 4\]; received <U"),
        ([[0, 0, 1, 1], [1, 1]], None, "boxes must be an array, or a list whose parts have one"),
        ([[0, 0, np.nan, 1]], None, r"boxes must be finite numbers"),
        ([[2, 0, 1, 1]], None, r"\(x_min, y_min, x_max, y_max\); received a reversed one"),
        ([[0, 0, 1, 1]], [True, False], "difficult must have one flag a box, 1; received 2"),
    ],
)
def test_bad_boxes_are_errors(boxes, difficult, message):
    with pytest.raises(InputError, match=message):
        box_mask(boxes, (4, 4), difficult)


def test_a_shape_with_channels_is_an_error():
    with pytest.raises(InputError, match=r"the picture's height and width; received \(4, 4, 3\)"):
        box_mask([[0, 0, 1, 1]], (4, 4, 3))
