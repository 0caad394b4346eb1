"""A file for phones answers as the explainer does, in LiteRT's own interpreter."""

import numpy as np
import pytest
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
