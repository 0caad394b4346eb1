"""A network with several inputs, whose values are columns of the list of pictures."""

import numpy as np
import pytest
from PIL import Image
from targets.by_hand import build_two_inputs

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.results import open_run
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run import evaluate

TABLE = [(0.1, 0.9), (0.8, 0.2), (0.5, 0.5)]
HEADER = "picture,class,x_min,y_min,x_max,y_max,table_0,table_1"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Pictures and the network."""
    root = tmp_path_factory.mktemp("inputs")
    pixels = np.random.default_rng(2).integers(0, 256, (len(TABLE), 16, 16, 3))
    for place, picture in enumerate(pixels.astype(np.uint8)):
        Image.fromarray(picture).save(root / f"{place}.png")
    build_two_inputs().save(root / "model.keras")
    (root / "names.txt").write_text("a\nb\nc\n")
    return root


def run(root, lines, header=HEADER, **keys):
    (root / "labels.csv").write_text("\n".join([header, *lines]))
    said = {
        "model": str(root / "model.keras"),
        "layer": "conv",
        "class_names": root / "names.txt",
        "data": {"kind": "labels", "root": root},
        "methods": ["hirescam"],
        "metrics": ["saliency_drop", "energy_pointing_game", "max_sensitivity"],
        "protocol": {"areas": [], "object_class": "top1"},
        "bootstrap": 0,
    }
    return evaluate(EvaluationConfig(**{**said, **keys}), root / "runs")


def line(place, *values):
    return ",".join(map(str, (f"{place}.png", "abc"[place], 2, 3, 11, 12, *values)))


def test_each_picture_is_measured_with_its_own_value(root):
    """As a network is whose input is fixed at that value, which another picture's changes."""
    folder = run(root, [line(place, *TABLE[place]) for place in range(3)], name="columns")
    keys = ["image", "method", "metric", "area"]
    rows = read_rows(folder).set_index(keys)["value"]
    differs = 0
    for place in (0, 1):
        np.savez(root / "fixed.npz", table=np.array([TABLE[0]], np.float32))
        fixed = run(root, [line(place, 0, 0)], name=f"{place}", fixed_inputs=root / "fixed.npz")
        expected = read_rows(fixed).set_index(keys)["value"]
        same = np.isclose(rows[expected.index], expected, atol=1e-4, equal_nan=True)
        assert same.all() or place == 1
        differs += (~same).sum()
    assert differs > 2


def test_a_bad_value_costs_its_picture(root):
    lines = [line(0, 0.1, 0.9), line(1, 0.8, ""), line(2, 0.5, 0.5), line(2, 0.5, 0.25)]
    skipped = open_run(run(root, lines, name="bad")).skipped
    said = dict(zip(skipped["image"], skipped["message"], strict=True))
    assert said["1.png"] == "table_1 must be one number; received ''"
    assert said["2.png"] == "table_1 must be one number; received '0.5' and '0.25'"


REFUSED = {
    "a column is missing": (
        {"header": HEADER.replace("table_1", "sex")},
        "has further inputs, table: evaluate takes them from columns .* here table_0, table_1; "
        "labels in .* lacks table_1, and has table_0, sex. Or give one value .* fixed_inputs",
    ),
    "data without a list": (
        {"data": {"kind": "folder", "root": "."}, "metrics": ["saliency_drop"]},
        "of the list of data of kind labels, .* lacks table_0, table_1, and has no such columns",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_values_that_are_not_there_are_refused(root, case):
    keys, message = REFUSED[case]
    if "data" in keys:
        keys = {**keys, "data": {"kind": "folder", "root": root}}
    with pytest.raises(InputError, match=message):
        run(root, [line(0, 0.1, 0.9)], name="refused", **keys)
