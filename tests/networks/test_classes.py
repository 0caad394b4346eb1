"""Finding a class by name."""

import csv
import json

import numpy as np
import pytest
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.classes import ClassNames
from guidedcam_tf.networks.classes import class_names_for
from guidedcam_tf.networks.classes import imagenet_classes
from guidedcam_tf.networks.classes import names_of_output


@pytest.mark.parametrize(
    ("target", "index"),
    [
        ("Egyptian cat", 285),
        ("egyptian_cat", 285),
        ("bull mastiff", 243),
        ("tabby", 281),
        ("espresso", 967),
        ("n02123045", 281),
        ("281", 281),
        ("Cardigan", 264),
        ("cardigan", 474),
        ("black and gold garden spider", 72),
        ("hen of the woods", 996),
    ],
)
def test_imagenet_names(target, index):
    assert imagenet_classes().find(target) == index


def test_all_names_and_wnids_are_found_or_ambiguous():
    classes = imagenet_classes()
    assert len(classes.names) == len(set(classes.wnids)) == 1000
    ambiguous = set()
    for index, (name, wnid) in enumerate(zip(classes.names, classes.wnids, strict=True)):
        assert classes.find(wnid) == index
        try:
            assert classes.find(name) == index
        except ValueError:
            ambiguous.add(name)
    assert ambiguous == {"crane", "maillot"}


def test_the_data_set_s_labels_agree(data_folder):
    classes = imagenet_classes()
    for row in csv.DictReader((data_folder / "imagenet_val_227" / "labels.csv").open()):
        assert classes.wnids[int(row["index"])] == row["wnid"]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("crane", r"name of 2 classes.*crane \(134, n02012849\), crane \(517, n03126707\)"),
        ("CARDIGAN", r"name of 2 classes.*Cardigan \(264, .*cardigan \(474, "),
        ("egyptian cow", r"not a class of this network.*nearest names: Egyptian cat \(285"),
        ("cat", r"nearest names: tiger cat \(282.*Persian cat.*Siamese cat.*Egyptian cat"),
        ("mastiff", r"nearest names: bull mastiff \(243.*Tibetan mastiff \(244"),
        ("1000", "target 1000 is out of range: the network has 1000 classes, 0 to 999"),
        ("n99999999", "is not a class"),
        ("", "is not a class"),
    ],
)
def test_unknown_and_ambiguous_names_offer_the_nearest(target, message):
    with pytest.raises(ValueError, match=message):
        imagenet_classes().find(target)


def test_a_name_that_is_a_number_comes_before_an_index():
    assert ClassNames(("3", "2", "1")).find("1") == 2
    assert ClassNames(("3", "2", "1")).find("0") == 0


@pytest.mark.parametrize("given", [["cat", "dog\nor wolf"], {0: "cat\n", 1: "dog"}])
def test_names_are_of_one_line(given):
    """An export keeps one on each line."""
    with pytest.raises(InputError, match=r"class_names must be of one line each; received '.*\\n"):
        class_names_for(2, given)


def test_class_indices_whose_names_are_numbers():
    """As Keras's generators make them of folders 0 to 42, which they sort as text."""
    folders = sorted(str(number) for number in range(43))
    indices = {name: index for index, name in enumerate(folders)}
    assert class_names_for(43, indices).names == tuple(folders)
    assert class_names_for(43, dict(enumerate(folders))).names == tuple(folders)
    written = json.loads(json.dumps(indices))
    assert class_names_for(43, written).names == tuple(folders)
    flowers = {name: index for index, name in enumerate(sorted(map(str, range(1, 103))))}
    assert class_names_for(102, flowers).names[:3] == ("1", "10", "100")
    assert class_names_for(2, {"1": "cat", "0": "10"}).names == ("10", "cat")
    same = {str(number): str(number) for number in range(3)}
    assert class_names_for(3, same).names == ("0", "1", "2")


@pytest.mark.parametrize("given", [{"0": "1", "1": "2", "2": "0"}, {0: 1, 1: 2, 2: 0}])
def test_numbers_to_numbers_are_in_doubt(given):
    with pytest.raises(InputError, match="in doubt which are the indices; give the names as text"):
        class_names_for(3, given)


def test_names_that_come_one_by_one_are_refused():
    with pytest.raises(InputError, match=r"class_names must be one name for each .*received <gen"):
        class_names_for(2, (name for name in ("cat", "dog")))


SAME_NAMES = {
    "bytes": [b"cat", "hündin".encode()],
    "a tensor": tf.constant(["cat", "hündin"]),
    "tensors": [tf.constant("cat"), tf.constant("hündin")],
    "an array": np.array(["cat", "hündin"]),
    "a mapping from bytes": {b"cat": 0, "hündin".encode(): 1},
    "a mapping to tensors": {0: tf.constant("cat"), 1: "hündin"},
}


@pytest.mark.parametrize("name", SAME_NAMES)
def test_names_as_bytes_and_tensors(name):
    """They had been called "b'cat'" and "tf.Tensor(b'cat', ...)"."""
    assert class_names_for(2, SAME_NAMES[name]).names == ("cat", "hündin")


@pytest.mark.parametrize("given", [["cat"], [b"cat"], tf.constant(["cat"]), {"cat": 0}, {0: "cat"}])
def test_one_name_of_one_unit(given):
    assert names_of_output((None, 2), given, has_pair=True).names == ("not cat", "cat")


NO_NAMES = {
    "None": (["cat", None], "must be text, a name for each class; received None as one"),
    "NaN": (["cat", float("nan")], "received nan as one"),
    "a list": ([["cat"], ["dog"]], r"received \['cat'\] as one"),
    "None in a mapping": ({0: "cat", 1: None}, "received None as one"),
    "no UTF-8": ([b"cat", b"\xff"], r"bytes of UTF-8; received b'\\xff'"),
    "empty": (["cat", ""], "has an empty name for class 1; give it one, as 'class 1'"),
    "blank": ({"cat": 1, " ": 0}, "has an empty name for class 0"),
    "bytes": (b"ab", "must be one name for each of the network's 2 classes; received b'ab'"),
    "a scalar": (np.array("ab"), "must be one name for each"),
}


@pytest.mark.parametrize("name", NO_NAMES)
def test_what_is_no_name_is_refused(name):
    given, message = NO_NAMES[name]
    with pytest.raises(InputError, match=message):
        class_names_for(2, given)


def test_names_of_one_unit_that_come_one_by_one_are_refused():
    with pytest.raises(InputError, match=r"class_names must be one name for each .*received <gen"):
        names_of_output((None, 2), (name for name in ("cat", "dog")), has_pair=True)
