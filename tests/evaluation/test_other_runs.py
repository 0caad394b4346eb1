"""What makes a run another one: it does not go on in the same folder."""

import importlib

import keras
import numpy as np
import pytest
import yaml
from common import build_toy
from evaluation.small_runs import NAMES
from evaluation.small_runs import run
from evaluation.small_runs import values
from PIL import Image

from guidedcam_tf.errors import InputError
from guidedcam_tf.evaluation.config import EvaluationConfig
from guidedcam_tf.evaluation.run import evaluate
from guidedcam_tf.explainer import Explainer


def test_other_values_of_fixed_inputs_are_another_run(root):
    picture, scale = keras.Input((16, 16, 3)), keras.Input((3,), name="scale")
    maps = keras.layers.Conv2D(4, 3, activation="relu")(picture)
    pooled = keras.layers.GlobalAveragePooling2D()(maps)
    scores = keras.layers.Dense(3)(keras.layers.Concatenate()([pooled, scale]))
    keras.Model([picture, scale], scores).save(root / "two.keras")
    data = {"kind": "folder", "root": root / "pictures"}
    keys = {"metrics": ["saliency_drop"], "fixed_inputs": root / "fixed.npz", "bootstrap": 0}
    for value in (1.0, 50.0):
        np.savez(root / "fixed.npz", scale=np.array([value, 0, 0], np.float32))
        if value == 1:
            run(root, "a", data, root / "two.keras", names=None, **keys)
            continue
        with pytest.raises(InputError, match="holds a run with another fixed inputs;"):
            run(root, "a", data, root / "two.keras", names=None, **keys)


def test_another_module_of_custom_objects_is_another_run(root, monkeypatch):
    """The layers' code is as much of the network as its weights are."""
    monkeypatch.chdir(root)
    module = root / "layers_of_my_own.py"
    code = (
        "import keras\n\n\n@keras.saving.register_keras_serializable('mine')\n"
        "class Scaled(keras.layers.Layer):\n    def call(self, x):\n        return x * 1.0\n"
    )
    module.write_text(code)
    monkeypatch.syspath_prepend(str(root))
    scaled = importlib.import_module(module.stem).Scaled()
    keras.Sequential(
        [
            keras.Input((16, 16, 3)),
            keras.layers.Conv2D(4, 3, activation="relu"),
            scaled,
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(3),
        ]
    ).save(root / "scaled.keras")
    data = {"kind": "folder", "root": root / "pictures"}
    keys = {"metrics": ["saliency_drop"], "custom_objects": module.stem, "bootstrap": 0}
    run(root, "a", data, root / "scaled.keras", names=None, **keys)
    module.write_text(code.replace("1.0", "2.0"))
    with pytest.raises(InputError, match="holds a run with another custom objects;"):
        run(root, "a", data, root / "scaled.keras", names=None, **keys)


def test_weights_that_are_drawn_at_each_start_are_refused(root):
    data = {"kind": "folder", "root": root / "pictures"}
    keys = {"metrics": ["saliency_drop"], "weights": None}
    with pytest.raises(InputError, match=r"weights: null draws other .* save the model"):
        run(root, "a", data, "mobilenetv2", names=None, **keys)
    assert not (root / "runs" / "a").exists()


def test_a_model_that_was_passed_in_and_has_changed_is_another_run(root):
    model = build_toy("flatten")
    explainer = Explainer(model, preprocess="unit")
    config = {"name": "a", "data": {"kind": "folder", "root": str(root / "pictures")}}
    config |= {"methods": ["gradcam"], "metrics": ["saliency_drop"], "bootstrap": 0}
    read = EvaluationConfig.model_validate(config)
    evaluate(read, root / "runs", explainer=explainer)
    evaluate(read, root / "runs", explainer=explainer)
    model.set_weights([weight[..., ::-1] for weight in model.get_weights()])
    with pytest.raises(InputError, match="holds a run with another weights;"):
        evaluate(read, root / "runs", explainer=explainer)


def test_another_content_of_the_same_files_is_another_run(tmp_path, rng):
    """Its rows would be old ones, or mixed, under the new files' hashes."""
    (tmp_path / "pictures").mkdir()
    lines = ["picture,class,x_min,y_min,x_max,y_max"]
    for place in range(3):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(
            tmp_path / "pictures" / f"{place}.png"
        )
        lines.append(f"{place}.png,{NAMES[place]},1,1,9,9")
    files = {
        "weights": tmp_path / "toy.keras",
        "class map": tmp_path / "map.yaml",
        "annotations": tmp_path / "pictures" / "labels.csv",
    }
    toy = build_toy()
    toy.save(files["weights"])
    files["annotations"].write_text("\n".join(lines))
    mapped = {name: {"classes": [f"{at} {name}"]} for at, name in enumerate(NAMES)}
    files["class map"].write_text(yaml.safe_dump({"labels": mapped}))
    data = {"kind": "labels", "root": tmp_path / "pictures", "class_map": files["class map"]}

    def again():
        keys = {"metrics": ["pointing_game"], "bootstrap": 0}
        return run(tmp_path, "own", data, files["weights"], **keys)

    first = values(again())
    assert values(again()).equals(first)
    before = {name: file.read_bytes() for name, file in files.items()}
    toy.set_weights([weight[..., ::-1] for weight in toy.get_weights()])
    toy.save(files["weights"])
    with pytest.raises(InputError, match="holds a run with another weights;"):
        again()
    files["weights"].write_bytes(before["weights"])
    swapped = {**mapped, NAMES[0]: mapped[NAMES[1]], NAMES[1]: mapped[NAMES[0]]}
    files["class map"].write_text(yaml.safe_dump({"labels": swapped}))
    with pytest.raises(InputError, match="holds a run with another class map;"):
        again()
    files["class map"].write_bytes(before["class map"])
    files["annotations"].write_text("\n".join(lines).replace("1,1,9,9", "3,3,9,9"))
    with pytest.raises(InputError, match="holds a run with another annotations;"):
        again()
    files["annotations"].write_bytes(before["annotations"])
    assert values(again()).equals(first)
