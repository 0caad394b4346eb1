"""The check of an export: it passes what is right, and sees what is not."""

import shutil

import pytest
from common import build_sorting
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.runtimes.openvino_model import usable_precisions
from guidedcam_tf.serving.check import check_export


def test_an_export_agrees_with_the_live_explainer(
    toy_export, toy_explainer, pictures, answers_here
):
    rows = check_export(toy_export.parent, toy_explainer, pictures[:2])
    assert {row.signature for row in rows if row.runtime == "TensorFlow"} == {
        "serving_default",
        "explain",
        "explain_uint8",
        "explain_bytes",
        "overlay_bytes",
        "predict",
    }
    in_openvino = {f"OpenVINO {precision}" for precision in usable_precisions().values()}
    assert {row.runtime for row in rows} == {"TensorFlow"} | in_openvino
    assert all(row.right for row in rows)
    assert all((row.allowed is None) == (row.runtime == "OpenVINO bf16") for row in rows
               if "png" not in row.output)  # fmt: skip


def test_another_preprocessing_is_seen(toy_export, toy_explainer, answers_here):
    rows = check_export(toy_export, gcam.Explainer(toy_explainer.network.model, preprocess="tf"))
    wrong = {(row.runtime, row.signature, row.output) for row in rows if not row.right}
    assert ("TensorFlow", "explain", "saliency") in wrong
    assert ("OpenVINO f32", "explain", "saliency") in wrong
    assert ("TensorFlow", "predict", "probabilities") in wrong


def test_an_export_that_does_not_load_is_said_so(toy_export, toy_explainer, tmp_path):
    broken = tmp_path / "toy" / "1"
    shutil.copytree(toy_export, broken)
    (broken / "variables" / "variables.index").unlink()
    with pytest.raises(gcam.InputError, match="does not run in a fresh process"):
        check_export(broken, toy_explainer)


def test_what_openvino_cannot_convert_is_noted_and_the_rest_is_checked(tmp_path, answers_here):
    explainer = gcam.Explainer(build_sorting(), layer="conv2", scores="logits")
    folder = gcam.export(explainer, tmp_path / "sorting")
    with pytest.warns(UserWarning, match="not compared in OpenVINO: .*SelfAdjointEigV2"):
        rows = check_export(folder, explainer)
    assert {row.runtime for row in rows} == {"TensorFlow"}
    assert all(row.right for row in rows)


DIFFERENT = {
    "model 'toy_flatten'; received 'toy_gap'": lambda: gcam.Explainer(build_toy("gap")),
    "layer 'conv2'; received 'conv1'": lambda: gcam.Explainer(build_toy("flatten"), layer="conv1"),
    "postprocessing .*received .*'smoothing_sigma': 0.8": lambda: gcam.Explainer(
        build_toy("flatten"), postprocessing="paper"
    ),
}


@pytest.mark.parametrize("message", DIFFERENT)
def test_another_explainer_is_refused(toy_export, message):
    with pytest.raises(gcam.InputError, match=message):
        check_export(toy_export, DIFFERENT[message]())
