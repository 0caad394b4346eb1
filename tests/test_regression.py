"""A regression has values, not probabilities, wherever its numbers are shown."""

import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.cli import main
from guidedcam_tf.figures.style import shown_probability

layers = keras.layers


@pytest.fixture
def ages(rng):
    """A network of two ages, and a picture with what it gives."""
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, activation="relu")(layers.Rescaling(1 / 255)(inputs))
    outputs = layers.Dense(2, bias_initializer=keras.initializers.Constant(40.0))(
        layers.Flatten()(x)
    )
    model = keras.Model(inputs, outputs, name="ages")
    picture = rng.integers(0, 256, (16, 16, 3)).astype(np.uint8)
    return model, picture, model.predict(picture[None].astype(np.float32), verbose=0)[0]


def test_an_explanation_has_values(ages, tmp_path):
    model, picture, expected = ages
    explainer = gcam.Explainer(model, scores="regression", class_names=["mother", "child"])
    np.testing.assert_allclose(explainer.predict(picture[None])[0], expected, rtol=1e-5)
    explanation = explainer.explain(picture, [1, 0])
    np.testing.assert_allclose(explanation.probabilities, expected[[1, 0]], rtol=1e-5)
    assert explanation.quantity == "value"
    assert f"child {expected[1]:.4g}" in repr(explanation)
    (first, second) = json.loads(explanation.save(tmp_path)[-1].read_text())["targets"]
    assert (first["value"], second["value"]) == pytest.approx(tuple(expected[[1, 0]]), rel=1e-5)
    assert "probability" not in first
    assert shown_probability(float(expected[0]), "value") == f"{expected[0]:.4g}"


def test_a_function_of_the_output_has_a_value(ages):
    model, picture, expected = ages
    explainer = gcam.Explainer(model, scores="logits")
    explanation = explainer.explain(picture, lambda outputs: outputs[:, 0] - outputs[:, 1])
    assert explanation.quantity == "value"
    assert explanation.probabilities[0] == pytest.approx(expected[0] - expected[1], abs=1e-4)


def test_the_command_line_prints_values(ages, tmp_path, monkeypatch, capsys):
    model, picture, expected = ages
    model.save(tmp_path / "ages.keras")
    Image.fromarray(picture).save(tmp_path / "a.png")
    call = ["guidedcam", "explain", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    call += ["--model", str(tmp_path / "ages.keras"), "--scores", "regression", "--target", "1"]
    monkeypatch.setattr(sys, "argv", call)
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    printed = capsys.readouterr().out
    assert "value" in printed
    assert "probability" not in printed
    assert f"{expected[1]:.4g}" in printed


@pytest.mark.filterwarnings("ignore:not compared in OpenVINO")
def test_an_export_gives_values(ages, tmp_path):
    model, picture, expected = ages
    explainer = gcam.Explainer(model, scores="regression")
    signatures = tf.saved_model.load(str(gcam.export(explainer, tmp_path / "ages"))).signatures
    images = tf.constant(picture[None], tf.float32)
    predicted = signatures["predict"](images=images)
    np.testing.assert_allclose(predicted["values"], expected[None], rtol=1e-5)
    assert not [name for name in predicted if "probabilit" in name]
    explained = signatures["explain"](images=images, class_ids=tf.constant([1]))
    np.testing.assert_allclose(explained["value"], expected[1:], rtol=1e-5)
    assert "probability" not in explained
