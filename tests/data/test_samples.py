"""Labels join into one, and what was left out is counted."""

import numpy as np

from guidedcam_tf.data import Label
from guidedcam_tf.data import Skipped
from guidedcam_tf.data import count_reasons
from guidedcam_tf.data import union

CAT = Label("cat", (281,), ((0, 0, 1, 1),), (True,), (False,), np.array([[True, False, False]]))
MAN = Label("person", (), ((1, 0, 2, 1),), (False,), (True,), np.array([[False, True, False]]))


def test_union():
    both = union([CAT, MAN])
    assert both.class_ids == ()
    assert both.boxes == ((0, 0, 1, 1), (1, 0, 2, 1))
    assert both.difficult == (True, False)
    assert both.crowd == (False, True)
    np.testing.assert_array_equal(both.mask, [[True, True, False]])


def test_union_without_boxes_or_masks():
    bare = Label("dog", (151,))
    assert union([CAT, bare]).boxes is None
    assert union([CAT, bare]).mask is None
    assert union([]).boxes is None
    assert union([]).mask is None


def test_count_reasons():
    skipped = [
        Skipped(name, reason, "")
        for name, reason in (("a", "missing mask"), ("b", "bad label"), ("c", "missing mask"))
    ]
    assert count_reasons(skipped) == {"bad label": 1, "missing mask": 2}
    assert count_reasons([]) == {}
