"""The same file in OpenVINO, which shares no kernel with TensorFlow."""

import numpy as np
import pytest
import tensorflow as tf
from common import build_sorting
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.runtimes.openvino_model import usable_precisions
from guidedcam_tf.serving import openvino

INTEGERS = ("target", "top5_indices")


def images_of(pictures, count):
    return np.stack(
        [np.asarray(Image.fromarray(p).resize((230, 210))) for p in pictures[:count]]
    ).astype(np.float32)


def both(folder, images, class_ids, precisions=("f32",)):
    """What TensorFlow and what OpenVINO, in each precision, answer to one request."""
    inputs = {"images": images, "class_ids": np.array(class_ids, np.int32)}
    explain = tf.saved_model.load(str(folder)).signatures["explain"]
    ours = explain(**{name: tf.constant(value) for name, value in inputs.items()})
    theirs = [openvino.open_export(folder, precision)(inputs) for precision in precisions]
    assert all(set(each) == set(ours) for each in theirs)
    return {name: value.numpy() for name, value in ours.items()}, *theirs


def test_resnet50_agrees_in_f32_and_differs_in_bf16(resnet50, resnet50_export, pictures, capsys):
    """And in TensorFlow it answers as the live Explainer does."""
    images = images_of(pictures, 3)
    precisions = tuple(usable_precisions().values())
    ours, *answers = both(resnet50_export, images, [-1, 967, 281], precisions)
    fitted = resnet50.network.fit(images).numpy()
    probabilities = resnet50.predict(fitted)
    np.testing.assert_array_equal(ours["target"], [probabilities[0].argmax(), 967, 281])
    np.testing.assert_allclose(
        ours["probability"], probabilities[range(3), ours["target"]], atol=1e-5
    )
    np.testing.assert_allclose(ours["saliency"], resnet50.maps(fitted, ours["target"]), atol=1e-5)
    for precision, theirs in zip(precisions, answers, strict=True):
        difference = np.abs(ours["saliency"] - theirs["saliency"]).max()
        with capsys.disabled():
            print(f"\nResNet50 in OpenVINO {precision}: maps differ by up to {difference:.2g}")
        if precision == "bf16":
            assert difference < 0.5
            np.testing.assert_array_equal(ours["target"], theirs["target"])
            continue
        for name, values in ours.items():
            if name == "top5_names":
                assert np.char.decode(values.astype(bytes), "utf-8").tolist() == (
                    theirs[name].tolist()
                )
            else:
                np.testing.assert_allclose(theirs[name], values, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("method", ["guided", "relevance_cam"])
def test_methods_agree(method, pictures, tmp_path):
    explainer = gcam.Explainer(build_toy("gap"), preprocess="torch")
    folder = gcam.export(explainer, tmp_path / "toy", method)
    ours, theirs = both(folder, images_of(pictures, 3), [0, 1, -1])
    np.testing.assert_allclose(theirs["saliency"], ours["saliency"], atol=1e-3)


def test_gradients_through_relu_and_max_pooling(pictures, tmp_path):
    """OpenVINO knows neither; `serving/openvino.py` teaches it. Flat pictures tie in the pools."""
    explainer = gcam.Explainer(build_toy("flatten"), layer="conv1", preprocess="torch")
    folder = gcam.export(explainer, tmp_path / "toy")
    images = np.concatenate([images_of(pictures, 2), np.full((1, 210, 230, 3), 128, np.float32)])
    ours, theirs = both(folder, images, [0, 1, 2])
    np.testing.assert_allclose(theirs["saliency"], ours["saliency"], atol=1e-3)
    np.testing.assert_allclose(theirs["guidance"], ours["guidance"], atol=1e-4, rtol=1e-3)
    assert ours["guidance"][:2].any()


@pytest.mark.parametrize(
    ("size", "padding"), [(2, "VALID"), (2, "SAME"), (3, "SAME"), (3, "VALID")]
)
def test_the_gradient_of_max_pooling_is_tensorflow_s(size, padding, rng, tmp_path):
    """Windows that overlap, that reach over the edge, and whose maxima tie."""
    shape = tf.nn.max_pool2d(tf.zeros([1, 7, 7, 2]), size, 2, padding).shape

    def gradient(x, g):
        pooled = tf.nn.max_pool2d(x, size, 2, padding)
        ksize, strides = [1, size, size, 1], [1, 2, 2, 1]
        return {
            "dx": tf.raw_ops.MaxPoolGrad(
                orig_input=x, orig_output=pooled, grad=g, ksize=ksize, strides=strides,
                padding=padding,
            )
        }  # fmt: skip

    specs = [tf.TensorSpec([None, 7, 7, 2]), tf.TensorSpec([None, *shape[1:]])]
    module = tf.Module()
    module.gradient = tf.function(gradient, input_signature=specs)
    tf.saved_model.save(module, str(tmp_path), signatures=module.gradient.get_concrete_function())
    x = rng.integers(-2, 3, (3, 7, 7, 2)).astype(np.float32)
    g = rng.normal(size=(3, *shape[1:])).astype(np.float32)
    theirs = openvino.open_export(tmp_path)({"x": x, "g": g})["dx"]
    np.testing.assert_allclose(theirs, module.gradient(x, g)["dx"], atol=1e-5)


def test_a_model_that_is_written_out_needs_no_teaching(toy_export, toy_explainer, tmp_path, rng):
    import openvino as library

    library.save_model(
        openvino.read_export(toy_export), tmp_path / "model.xml", compress_to_fp16=False
    )
    compiled = library.Core().compile_model(
        tmp_path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    images = rng.uniform(0, 255, (2, 8, 8, 3)).astype(np.float32)
    answer = compiled({"images": images, "class_ids": np.array([2, 0], np.int32)})
    np.testing.assert_allclose(answer["saliency"], toy_explainer.maps(images, [2, 0]), atol=1e-3)


def test_what_it_cannot_convert_is_named(tmp_path):
    explainer = gcam.Explainer(build_sorting(), layer="conv2", scores="logits")
    folder = gcam.export(explainer, tmp_path / "sorting")
    with pytest.raises(InputError, match=r"OpenVINO cannot convert .*SelfAdjointEigV2"):
        openvino.open_export(folder)
