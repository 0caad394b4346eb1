"""Evaluating networks with classes of their own on data of one's own."""

import json

import keras
import numpy as np
import pytest
import yaml
from common import build_toy
from evaluation.small_runs import NAMES
from evaluation.small_runs import WNIDS
from evaluation.small_runs import run
from evaluation.small_runs import values
from PIL import Image

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.rows import read_left_out
from guidedcam_tf.evaluation.rows import read_rows
from guidedcam_tf.evaluation.run_files import read_table


def test_a_folder_a_class_is_measured_as_imagenet(root, toy_file):
    """Objects' classes and clean predictions alike, on the same pictures.

    One at a time, because the folders' order differs, and last digits depend on the batch.
    """
    pictures = root / "pictures"
    for zone_class in ("top1", "object"):
        keys = {
            "metrics": ["saliency_drop", "context_drop"],
            "protocol": {"zone_class": zone_class},
            "chunk": 1,
        }
        imagenet = run(
            root, f"imagenet {zone_class}", {"kind": "imagenet", "root": pictures}, toy_file, **keys
        )
        for wnid, name in zip(WNIDS, NAMES, strict=True):
            (pictures / wnid).rename(pictures / name)
        folders = run(
            root, f"own {zone_class}", {"kind": "class_folders", "root": pictures}, toy_file, **keys
        )
        for wnid, name in zip(WNIDS, NAMES, strict=True):
            (pictures / name).rename(pictures / wnid)
        expected, found = values(imagenet), values(folders)
        found["image"] = found["image"].replace(
            {f"{name}/": f"{wnid}/" for wnid, name in zip(WNIDS, NAMES, strict=True)}, regex=True
        )
        found = found.sort_values(["image", "method", "metric", "area"])
        assert len(expected) > 6
        assert found.to_numpy().tolist() == expected.to_numpy().tolist()


def by_colour(root, rng):
    """Pictures 0 and 1 in red, 2 and 3 green, 4 and 5 blue, and a network of these classes."""
    for file in (root / "pictures").rglob("*.png"):
        pixels = rng.integers(0, 100, (15, 20, 3))
        pixels[:8, :, int(file.stem) // 2] += 100
        Image.fromarray(pixels.astype(np.uint8)).save(file)
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(3, 1, use_bias=False, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(3, activation="softmax", name="scores")(x))
    model.get_layer("conv").set_weights([np.eye(3)[None, None]])
    model.get_layer("scores").set_weights([4 * np.eye(3), np.zeros(3)])
    model.save(root / "colours.keras")
    return root / "colours.keras"


def test_classes_of_one_name_are_several_and_an_object_at_several_classes_is_one(root, rng):
    model, names = by_colour(root, rng), ("crane", "crane", "tabby")
    keys = {"metrics": ["saliency_drop"], "names": names}
    data = {"kind": "imagenet", "root": root / "pictures"}
    apart = run(root, "apart", data, model, protocol={"areas": []}, **keys)
    means = read_rows(apart).groupby(["method", "target"])["value"].mean()
    called = {0: "crane (0)", 1: "crane (1)", 2: "tabby"}
    expected = {(method, called[target]): mean for (method, target), mean in means.items()}
    found = read_table(apart / "classes.csv").set_index(["method", "class_name"])["mean"]
    assert len(expected) == 6
    assert found.to_dict() == pytest.approx(expected, abs=1e-6)
    summary = read_table(apart / "table.csv").set_index("method")["class_mean"]
    assert summary["gradcam"] == pytest.approx(means["gradcam"].mean(), abs=1e-6)

    for wnid, name in zip(WNIDS, ("crane", "heron", "stork"), strict=True):
        (root / "pictures" / wnid).rename(root / "pictures" / name)
    entries = {name: {"unmapped": "not wanted"} for name in ("heron", "stork")}
    entries["crane"] = {"classes": ["0 crane", "1 crane"]}
    (root / "map.yaml").write_text(yaml.safe_dump({"class_folders": entries}))
    data = {**data, "kind": "class_folders", "class_map": root / "map.yaml"}
    one = run(root, "one", data, model, protocol={"areas": [], "zone_class": "object"}, **keys)
    assert set(read_rows(one)["target"].dropna()) == {0, 1}
    assert set(read_table(one / "classes.csv")["class_name"]) == {"crane"}


def test_names_that_are_no_class_are_written_for_the_user(root, toy_file):
    data = {"kind": "class_folders", "root": root / "pictures"}
    keys = {"metrics": ["saliency_drop"], "protocol": {"zone_class": "object"}}
    with pytest.raises(InputError, match="none of the 3 class names of class_folders") as caught:
        run(root, "a", data, toy_file, **keys)
    file = root / "runs" / "a" / "class_map.yaml"
    assert str(file) in str(caught.value)
    entries = yaml.safe_load(file.read_text("utf-8"))
    assert set(entries["class_folders"]) == set(WNIDS)
    entries["class_folders"][WNIDS[1]] = {"classes": ["1 Egyptian cat"]}
    file.write_text(yaml.safe_dump(entries), "utf-8")
    folder = run(root, "a", {**data, "class_map": file}, toy_file, **keys)
    assert set(values(folder)["target"].dropna()) == {1}
    assert set(values(folder).query("target.isna()")["note"]) == {"no class of the network"}
    assert json.loads((folder / "manifest.json").read_text())["data"]["class_map_sha256"]


def test_a_class_map_without_the_data_set_s_names_is_refused_or_said(root, toy_file):
    data = {"kind": "class_folders", "root": root / "pictures", "class_map": root / "map.yaml"}
    keys = {"metrics": ["saliency_drop"], "protocol": {"zone_class": "object"}}
    entries = {"cat": {"classes": ["0 tabby"]}}
    (root / "map.yaml").write_text(yaml.safe_dump({"class_folders": entries}))
    with pytest.raises(InputError, match="class_map gives none of the 3 class names of class_fold"):
        run(root, "a", data, toy_file, **keys)
    entries[WNIDS[0]] = {"classes": ["1 Egyptian cat"]}
    entries[WNIDS[1]] = {"unmapped": "not wanted"}
    (root / "map.yaml").write_text(yaml.safe_dump({"class_folders": entries}))
    said = f"1 of 3 class names of the data set are not in data.class_map: {WNIDS[2]}"
    with pytest.warns(UserWarning, match=said):
        folder = run(root, "a", data, toy_file, **keys)
    assert set(values(folder)["target"].dropna()) == {1}


def test_some_names_that_are_no_class_are_said(root, toy_file):
    (root / "pictures" / WNIDS[0]).rename(root / "pictures" / "tabby")
    data = {"kind": "class_folders", "root": root / "pictures"}
    keys = {"metrics": ["saliency_drop"], "protocol": {"zone_class": "object"}}
    with pytest.warns(UserWarning, match="2 of 3 class names of the data set are no class"):
        run(root, "a", data, toy_file, **keys)


def test_classes_do_not_matter_to_the_clean_prediction(root, toy_file):
    data = {"kind": "class_folders", "root": root / "pictures"}
    folder = run(root, "a", data, toy_file, names=None, metrics=["saliency_drop"])
    assert not (folder / "class_map.yaml").exists()
    assert len(values(folder)) > 0


def test_boxes_and_masks_of_a_list(root, toy_file):
    pictures = root / "pictures"
    mask = np.zeros((15, 20), np.uint8)
    mask[3:12, 4:16] = 255
    Image.fromarray(mask).save(pictures / "mask.png")
    lines = [
        f"{WNIDS[0]}/0.png,tabby,4,3,16,12,",
        f"{WNIDS[1]}/1.png,Egyptian cat,,,,,mask.png",
        f"{WNIDS[2]}/2.png,golden retriever,,,,,",
    ]
    header = "picture,class,x_min,y_min,x_max,y_max,mask"
    (pictures / "labels.csv").write_text("\n".join([header, *lines]))
    data = {"kind": "labels", "root": pictures}
    folder = run(root, "a", data, toy_file, metrics=["pointing_game", "iou"])
    rows = values(folder).set_index(["image", "method", "metric"])
    by_mask = "by the mask, as it has no box"
    expected = [("", "no mask"), (by_mask, ""), ("no box and no mask", "no mask")]
    for place, noted in enumerate(expected):
        for metric, note in zip(("pointing_game", "iou"), noted, strict=True):
            row = rows.loc[(f"{WNIDS[place]}/{place}.png", "gradcam", metric)]
            assert row["note"] == note
            assert np.isnan(row["value"]) == note.startswith("no ")
            assert row["target"] == place
    table = (folder / "table.md").read_text()
    for said in (
        f"- pointing_game, 1 of the pairs of picture and object: {by_mask}.",
        "- iou, 2 of the pairs of picture and object: no value, no mask.",
        "- pointing_game, 1 of the pairs of picture and object: no value, no box and no mask.",
    ):
        assert said in table
    masks = {"pointing_truth": "masks"}
    folder = run(root, "b", data, toy_file, metrics=["pointing_game"], protocol=masks)
    assert by_mask not in (folder / "table.md").read_text()


def test_pictures_that_are_not_there_are_named(root, toy_file):
    pictures = root / "pictures"
    (pictures / "labels.csv").write_text(
        f"picture,class\n{WNIDS[0]}/0.png,tabby\ngone.png,tabby\nlost.png,tabby\n"
    )
    (root / "list.txt").write_text(f"{WNIDS[0]}/0.png\ngone.png\nnever.png\n")
    data = {"kind": "labels", "root": pictures, "list": root / "list.txt"}
    folder = run(root, "a", data, toy_file, metrics=["saliency_drop"])
    left_out = read_left_out(folder)
    assert dict(zip(left_out["image"], left_out["reason"], strict=True)) == {
        "gone.png": "missing picture",
        "lost.png": "missing picture",
        "never.png": "not in the data set",
    }
    assert "gone.png is not in" in left_out["message"][0]
    table = (folder / "table.md").read_text()
    assert ", 1 pictures" in table
    assert "3 pictures are left out; skipped.csv names them." in table
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["skipped"] == {"missing picture": 2, "not in the data set": 1}


def test_a_data_set_without_any_picture_says_why(root, toy_file):
    (root / "pictures" / "labels.csv").write_text("picture,class\ngone.png,tabby\n")
    data = {"kind": "labels", "root": root / "pictures"}
    with pytest.raises(InputError, match=r"no picture.*\(missing picture: 1\); .*gone.png is not"):
        run(root, "a", data, toy_file, metrics=["saliency_drop"])


@pytest.mark.parametrize("preprocess", ["unit", "signed", None])
def test_the_mean_that_covers_pixels_is_not_black(root, preprocess):
    """Where preprocessing takes black to 0, each picture's mean colour covers the rest."""
    keras.utils.set_random_seed(3)
    model = build_toy("flatten")
    model.save(root / "m.keras")
    data = {"kind": "folder", "root": root / "pictures"}
    keys = {"metrics": ["context_drop"], "preprocess": preprocess}
    folder = run(root, "a", data, root / "m.keras", names=None, **keys)
    note = "the mean colour is each picture's own"
    assert (note in (folder / "table.md").read_text()) == (preprocess != "signed")


def test_grey_networks_and_networks_of_any_size(root):
    layers = keras.layers
    for name, shape in (("grey", (16, 16, 1)), ("any", (None, None, 3))):
        model = keras.Sequential(
            [
                keras.Input(shape),
                layers.Rescaling(1 / 255),
                layers.Conv2D(6, 3, activation="relu", padding="same"),
                layers.GlobalMaxPooling2D(),
                layers.Dense(3, activation="softmax"),
            ]
        )
        model.save(root / f"{name}.keras")
        Image.new("RGB", (31, 17), "teal").save(root / "pictures" / "other size.png")
        data = {"kind": "folder", "root": root / "pictures"}
        folder = run(root, name, data, root / f"{name}.keras", None, metrics=["saliency_drop"])
        assert len(set(values(folder)["image"])) == 7


def test_means_of_fewer_pairs_and_too_few_resamples_are_said(root):
    """Nothing supports the third class, so its energy is defined for one method only."""
    model = build_toy()
    kernel, bias = model.layers[-1].get_weights()
    kernel[:, 2] = -1
    model.layers[-1].set_weights([kernel, bias])
    model.save(root / "m.keras")
    lines = [
        f"{wnid}/{place}.png,{name},2,2,9,9"
        for place, (wnid, name) in enumerate(zip(WNIDS, NAMES, strict=True))
    ]
    header = "picture,class,x_min,y_min,x_max,y_max"
    (root / "pictures" / "labels.csv").write_text("\n".join([header, *lines]))
    data = {"kind": "labels", "root": root / "pictures"}
    keys = {"metrics": ["energy_pointing_game"], "methods": ("gradcam", "gradient")}
    folder = run(root, "a", data, root / "m.keras", bootstrap=38, **keys)
    said = (
        "energy_pointing_game is the mean of 3 pairs, but that of gradcam of 2, which may be the "
        "easier ones: comparison.csv has the differences on the same pairs."
    )
    manifest = json.loads((folder / "manifest.json").read_text())
    assert said in manifest["remarks"]
    assert f"- {said}" in (folder / "table.md").read_text()
    table = read_table(folder / "table.csv").set_index("method")
    assert table["empty"].to_dict() == {"gradcam": 1, "gradient": 0}
    few = "bootstrap: 10 are too few resamples to tell methods apart"
    folder = run(root, "b", data, root / "m.keras", bootstrap=10, **keys)
    assert few in (folder / "table.md").read_text() and "≈" not in (folder / "table.md").read_text()
