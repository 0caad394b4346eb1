"""Configurations: unknown keys, wrong types and presets, before any work."""

from pathlib import Path

import numpy as np
import pytest
import yaml
from common import REPOSITORY

from guidedcam_tf.configuring import read_config
from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.measuring.groups import labelled_method
from guidedcam_tf.figures.config import GuidanceConfig
from guidedcam_tf.figures.config import read_figure_config

GOOD = {
    "name": "try",
    "data": {"kind": "folder", "root": "pictures"},
    "methods": ["guided", {"name": "fullgrad", "options": {"align_corners": False}}],
    "metrics": ["saliency_drop"],
}


def read(tmp_path, changes=None, settings=()):
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump({**GOOD, **(changes or {})}))
    return read_config(file, EvaluationConfig, settings)


def test_defaults_are_the_paper_s_reading(tmp_path):
    config = read(tmp_path)
    assert (config.protocol.mask.kind, config.protocol.mask.value) == ("threshold", 0.5)
    assert config.protocol.tolerance == 15
    assert config.methods[1].options == {"align_corners": False}


def test_a_preset_sets_keys_and_the_file_wins(tmp_path):
    assert read(tmp_path, {"preset": "gradcampp"}).protocol.mask.kind == "soft"
    changes = {"preset": "scorecam", "protocol": {"fill": "black"}}
    protocol = read(tmp_path, changes).protocol
    assert (protocol.mask.kind, protocol.mask.value, protocol.fill) == ("top", 0.5, "black")


@pytest.mark.parametrize(
    ("preset", "mask", "expected"),
    [
        ("paper", {"value": 0.3}, ("threshold", 0.3)),
        ("scorecam", {"value": 0.3}, ("top", 0.3)),
        ("scorecam", {"kind": "top"}, ("top", 0.5)),
        ("scorecam", {"kind": "otsu"}, ("otsu", None)),
        ("scorecam", {"kind": "max_fraction"}, ("max_fraction", 0.15)),
        ("torchray", {"kind": "top", "value": 0.2}, ("top", 0.2)),
    ],
)
def test_a_part_of_a_mask_changes_the_preset_s(tmp_path, preset, mask, expected):
    found = read(tmp_path, {"preset": preset, "protocol": {"mask": mask}}).protocol.mask
    assert (found.kind, found.value) == expected


def test_the_union_preset_looks_at_the_clean_prediction(tmp_path):
    assert read(tmp_path, {"preset": "union"}).protocol.object_class == "top1"


def test_a_config_holds_only_what_differs_from_the_one_it_extends(tmp_path):
    (tmp_path / "base.yaml").write_text(yaml.safe_dump({**GOOD, "seed": 3}))
    file = tmp_path / "other.yaml"
    file.write_text("extends: base.yaml\nname: other\nlayer: conv1\n")
    config = read_config(file, EvaluationConfig)
    assert (config.name, config.layer, config.seed) == ("other", "conv1", 3)


@pytest.mark.parametrize(
    ("base", "message"),
    [("nowhere.yaml", "nowhere.yaml cannot be read"), ("other.yaml", "other.yaml extends itself")],
)
def test_a_config_that_extends_nothing_is_named(tmp_path, base, message):
    file = tmp_path / "other.yaml"
    file.write_text(f"extends: {base}\n")
    with pytest.raises(ValueError, match=message):
        read_config(file, EvaluationConfig)


def test_configs_that_extend_each_other_are_named(tmp_path):
    (tmp_path / "one.yaml").write_text("extends: other.yaml\n")
    (tmp_path / "other.yaml").write_text("extends: one.yaml\n")
    with pytest.raises(ValueError, match=r"one\.yaml extends itself"):
        read_config(tmp_path / "one.yaml", EvaluationConfig)


TABLES = sorted((REPOSITORY / "configs").glob("table[123]_*.yaml"))


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.stem)
def test_the_tables_configs_have_the_ten_methods_and_the_table_s_metrics(file):
    config = read_config(file, EvaluationConfig, ["data.root=somewhere"])
    assert config.name == file.stem
    methods, rows = paper_table(file.stem[:6])
    assert [labelled_method(entry)[0] for entry in config.methods] == methods
    assert set(config.metrics) == rows


def paper_table(name):
    document = yaml.safe_load((REPOSITORY / "configs" / "paper_tables.yaml").read_text())
    return list(document["methods"]), set(document["tables"][name]["rows"])


def test_every_table_has_both_layers_and_vgg16():
    assert len(TABLES) == 9


def test_settings_change_keys(tmp_path):
    config = read(tmp_path, settings=["seed=4", "data.root=/elsewhere", "protocol.mask.kind=otsu"])
    assert config.seed == 4
    assert config.data.root == Path("/elsewhere")
    assert config.protocol.mask.kind == "otsu"


def test_the_paper_s_file_is_beside_the_config(tmp_path):
    paper = {"file": "paper_tables.yaml", "table": "table1"}
    assert read(tmp_path, {"paper": paper}).paper.file == tmp_path / "paper_tables.yaml"


BAD = {
    "unknown": ({"metods": []}, "key metods is unknown; nearest: methods"),
    "unknown below": (
        {"protocol": {"mask": {"kindd": "otsu"}}},
        "key protocol.mask.kindd is unknown; nearest: kind",
    ),
    "no list": ({"methods": None}, r"key methods: it must be a list, .*; received None"),
    "type": ({"seed": "many"}, "key seed: .*received 'many'"),
    "negative seed": ({"seed": -1}, "key seed: .*greater than or equal to 0; received -1"),
    "switch": ({"seed": True}, "key seed: .*yes and no .*are no values of it; received True"),
    "switch of data": (
        {"data": {"kind": "folder", "root": "pictures", "sample": True}},
        "key data.sample: yes and no",
    ),
    "switch below": ({"protocol": {"tolerance": False}}, "key protocol.tolerance: .*yes and no"),
    "switch of a mask": ({"protocol": {"mask": {"value": True}}}, "mask.value: .*yes and no"),
    "switch in a list": ({"protocol": {"areas": [0.1, True]}}, "protocol.areas: .*yes and no"),
    "switch of a metric": (
        {"metrics": [{"name": "road", "options": {"seed": True}}]},
        "key metrics: .*option seed: .*yes and no",
    ),
    "choice": ({"protocol": {"fill": "grey"}}, "key protocol.fill: .*'mean', 'black' or 'blur'"),
    "mask": (
        {"protocol": {"mask": {"kind": "otsu", "value": 0.5}}},
        "key protocol.mask: .*'otsu' takes no value",
    ),
    "mask of a preset": (
        {"preset": "torchray", "protocol": {"mask": {"value": 0.3}}},
        "key protocol.mask: .*'otsu' takes no value; received 0.3",
    ),
    "area": ({"protocol": {"areas": [0.1, 10]}}, "key protocol.areas.1: .*less than or equal to 1"),
    "an area twice": (
        {"protocol": {"areas": [0.1, 0.2, 0.1]}},
        "key protocol.areas: .*0.1 is named twice",
    ),
    "a class twice": (
        {"data": {"kind": "voc", "root": "voc", "classes": ["disc", "disc"]}},
        "key data.classes: .*disc is named twice",
    ),
    "missing": ({"data": {"kind": "folder"}}, "key data.root is missing"),
    "empty": ({"methods": []}, "key methods: .*at least 1"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_keys_are_named(tmp_path, name):
    changes, message = BAD[name]
    with pytest.raises(ValueError, match=message):
        read(tmp_path, changes)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["seed"], "must have the form key=value"),
        (["seed.x=1", "seed.x.y=1"], "x is not a group of keys"),
        (["seed=[1"], "the value is not YAML"),
    ],
)
def test_bad_settings_are_named(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, settings=settings)


@pytest.mark.parametrize(
    ("text", "message"), [("[1, 2]", "must hold keys and values"), ("{a", "is not YAML")]
)
def test_bad_files_are_named(tmp_path, text, message):
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path / "bad.yaml", EvaluationConfig)
    with pytest.raises(ValueError, match=r"gone\.yaml cannot be read: No such file"):
        read_config(tmp_path / "gone.yaml", EvaluationConfig)


def test_a_figure_s_configuration_is_said_to_be_one(tmp_path):
    file = tmp_path / "figure.yaml"
    file.write_text("name: a\nkind: comparison\nmethods: [guided]\n", "utf-8")
    with pytest.raises(InputError, match=r"it has kind: 'comparison' and no .*`guidedcam fig"):
        read_config(file, EvaluationConfig)


NOT_YAML = {
    "an alias of itself": ("name: &a [1, *a]\n", "no alias of itself"),
    "an alias of nothing": ("name: *a\n", "is not YAML"),
    "many aliases": (
        "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a, *a]\n"
        "c: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c, *c]",
        "at most 10000 values",
    ),
    "deep nesting": ("name: " + "[" * 5000, "at most 10000 values and 20 levels"),
    "an impossible date": ("name: 2012-02-31\n", "holds a value that YAML cannot read"),
    "a list as a key": ("[a, b]: 1\n", "config .*not YAML|keys and values"),
    "a number as a key": ("1: 2\n", "key 1 is unknown"),
    "a key twice": ("seed: 1\nname: a\nseed: 2\n", "not YAML: key seed is there twice"),
    "a key twice below": ("data:\n  kind: a\n  kind: b\n", "kind is there twice .* from line 2"),
    "NUL": ("name: a\0b\n", "is not YAML"),
    "extends a list": ("extends: [a]\n", "key extends must name a file"),
    "an unknown tag": ("name: !!python/object:os.system {}\n", "is not YAML"),
}


@pytest.mark.parametrize("name", NOT_YAML)
def test_what_yaml_cannot_read_is_said_in_one_line(tmp_path, name):
    text, message = NOT_YAML[name]
    file = tmp_path / "config.yaml"
    file.write_text(text, "utf-8")
    with pytest.raises(InputError, match=message):
        read_config(file, EvaluationConfig)


@pytest.mark.parametrize("value", ["[" * 5000, "2012-02-31", "a\0b", "*a", "{[a]: 1}"])
def test_a_setting_that_yaml_cannot_read_is_named(tmp_path, value):
    file = tmp_path / "config.yaml"
    file.write_text("name: x\n", "utf-8")
    with pytest.raises(InputError, match="setting 'name="):
        read_config(file, EvaluationConfig, [f"name={value}"])


def test_mutated_configs_give_input_errors_only(tmp_path):
    source = (REPOSITORY / "configs" / "table1_voc12_resnet50.yaml").read_bytes()
    generator, file = np.random.default_rng(0), tmp_path / "config.yaml"
    (tmp_path / "paper_tables.yaml").write_text("", "utf-8")
    refused = 0
    for _ in range(500):
        mutated = bytearray(source)
        for place in generator.integers(0, len(source), 3):
            mutated[place] = generator.integers(0, 256)
        file.write_bytes(bytes(mutated))
        try:
            read_config(file, EvaluationConfig, ["data.root=x"])
        except InputError:
            refused += 1
    assert 0 < refused < 500


def test_a_figure_has_the_kind_of_what_it_extends(tmp_path):
    (tmp_path / "base.yaml").write_text("name: base\nkind: guidance\n", "utf-8")
    (tmp_path / "other.yaml").write_text("extends: base.yaml\nname: other\n", "utf-8")
    assert type(read_figure_config(tmp_path / "other.yaml")) is GuidanceConfig
    (tmp_path / "base.yaml").write_text("name: base\n", "utf-8")
    with pytest.raises(InputError, match=r"other.yaml: key kind must be one of .*received None"):
        read_figure_config(tmp_path / "other.yaml")


def test_what_is_named_twice_is_refused(tmp_path):
    five, six = (f"{{name: integrated_gradcam, options: {{steps: {n}}}}}" for n in (5, 6))
    config = read(tmp_path, settings=[f"methods=[{five}, {six}, integrated_gradcam]"])
    assert len(config.methods) == 3
    with pytest.raises(InputError, match=r"key methods: .*\(steps=5\) is named twice"):
        read(tmp_path, settings=[f"methods=[{five}, guided, {five}]"])
    with pytest.raises(InputError, match=r"key metrics: .*dice is named twice"):
        read(tmp_path, {"metrics": ["dice", {"name": "dice"}]})


def test_metrics_take_options(tmp_path):
    insertion = {"name": "insertion", "options": {"start": "mean"}}
    chosen = read(tmp_path, {"metrics": ["dice", insertion]}).chosen_metrics
    assert [metric.label for metric in chosen] == ["dice", "insertion (start=mean)"]
    with pytest.raises(InputError, match=r"key metrics: .*'insertion' has no option 'strat'"):
        read(tmp_path, {"metrics": [{"name": "insertion", "options": {"strat": "mean"}}]})
    with pytest.raises(InputError, match=r"key metrics: .*'insertion' has no option 'name'"):
        read(tmp_path, {"metrics": [{"name": "insertion", "options": {"name": "x"}}]})
    with pytest.raises(InputError, match=r"key metrics: .*'dize' is not known; nearest: dice"):
        read(tmp_path, {"metrics": ["dize"]})


def test_a_comparison_is_with_one_of_the_methods(tmp_path):
    assert read(tmp_path, {"compare_to": "guided"}).compare_to == "guided"
    said = "compare_to must be one of the methods of all pictures, guided, fullgrad"
    part = {"methods": [*GOOD["methods"], {"name": "gradcam", "pictures": 5}]}
    for changes in ({}, part):
        with pytest.raises(InputError, match=said):
            read(tmp_path, {**changes, "compare_to": "gradcam"})


@pytest.mark.parametrize("name", ["", ".", "..", "../esc", "/abs", "a/b", "a\\b", "a\nb", " "])
def test_a_run_s_name_is_a_folder_s(tmp_path, name):
    with pytest.raises(InputError, match=r"key name: .*expected a folder's name"):
        read(tmp_path, {"name": name})
    assert read(tmp_path, {"name": "0.5, v1.2 (mean)"}).name == "0.5, v1.2 (mean)"
