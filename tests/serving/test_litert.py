"""A file for phones answers as the explainer does, in LiteRT's own interpreter."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.serving.litert import export_litert
from guidedcam_tf.serving.litert import run_litert

PICTURE = np.random.default_rng(2).uniform(0, 255, (1, 8, 8, 3)).astype(np.float32)


@pytest.mark.parametrize(
    ("method", "precision", "allowed"),
    [("guided", "float32", 1e-4), ("gradcam", "float16", 0.05), ("hirescam", "float32", 1e-4)],
)
def test_maps_are_the_explainers(tmp_path, method, precision, allowed):
    explainer = gcam.Explainer(build_toy("gap"), preprocess="none")
    file = export_litert(explainer, tmp_path / "toy.tflite", method, precision=precision)
    probabilities = explainer.predict(PICTURE)
    for target in (-1, 2):
        found = run_litert(file.read_bytes(), PICTURE, target)
        expected = int(probabilities.argmax()) if target < 0 else target
        assert found["target"].tolist() == [expected]
        np.testing.assert_allclose(found["probabilities"], probabilities, atol=allowed)
        maps = explainer.maps(PICTURE, [expected], method)
        np.testing.assert_allclose(found["saliency"], maps, atol=allowed)


@pytest.mark.parametrize("place", ["inside", "outside"])
def test_a_map_lies_over_the_part_that_the_network_sees(tmp_path, place):
    toy = build_toy("gap")
    if place == "outside":
        explainer = gcam.Explainer(toy, preprocess=lambda x: tf.reverse(x, [2]) / 64)
        size = 8
    else:
        inputs, size = keras.Input((12, 16, 3)), (12, 16)
        model = keras.Model(inputs, toy(keras.layers.Cropping2D(((1, 3), (5, 3)))(inputs)))
        explainer = gcam.Explainer(model, preprocess="none")
    picture = np.random.default_rng(2).uniform(0, 255, (1, *np.broadcast_to(size, 2), 3))
    picture = picture.astype(np.float32)
    file = export_litert(explainer, tmp_path / "toy.tflite", "gradcam")
    found = run_litert(file.read_bytes(), picture, 1)["saliency"]
    assert found.any()
    np.testing.assert_allclose(found, explainer.maps(picture, [1], "gradcam"), atol=1e-4)


def test_what_is_refused(tmp_path, capfd):
    explainer = gcam.Explainer(build_toy(), preprocess="none")
    with pytest.raises(gcam.InputError, match="precision must be one of float32, float16"):
        export_litert(explainer, tmp_path / "toy.tflite", precision="int8")
    with pytest.raises(gcam.InputError, match="'scorecam' cannot be exported"):
        export_litert(explainer, tmp_path / "toy.tflite", "scorecam")
    rectified = gcam.Explainer(build_toy("flatten"), preprocess="none")
    with pytest.raises(gcam.InputError, match=r"'guided' at layer 'conv2'.* lacks ReluGrad; give"):
        export_litert(rectified, tmp_path / "toy.tflite")
    smooth = gcam.Explainer(build_toy(), preprocess="none", postprocessing="smooth")
    with pytest.raises(gcam.InputError, match=r"lacks ResizeBicubic; give .* or postprocessing"):
        export_litert(smooth, tmp_path / "toy.tflite")
    assert capfd.readouterr().err == ""
    assert not list(tmp_path.iterdir())
