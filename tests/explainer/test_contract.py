"""The Explainer's contract: shapes, targets, batches, and what it leaves alone."""

import keras
import numpy as np
import pytest
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.ops import Postprocessing


def test_explanation_has_the_contract_s_shapes(explainer, picture):
    explanation = explainer.explain(picture, ["bee", "top3", 0])
    assert len(explanation.targets) == 5
    assert explanation.targets[[0, 4]].tolist() == [1, 0]
    assert explanation.names[0] == "bee"
    assert sorted(explanation.targets[1:4]) == [0, 1, 2]
    assert np.all(np.diff(explanation.probabilities[1:4]) <= 0)
    for array, size in ((explanation.maps, (21, 30)), (explanation.raw, (4, 4))):
        assert array.shape == (5, *size)
        assert array.dtype == np.float32
    assert explanation.guidance.shape == (5, 4, 4)
    assert explanation.maps.min() >= 0
    assert explanation.maps.max() <= 1
    assert explanation.layer == "conv2"
    assert explanation.method == "guided"
    assert explainer.explain(picture, method="gradcam").guidance is None


def test_several_targets_are_one_by_one(explainer, picture):
    together = explainer.explain(picture, [0, 1, 2])
    for index in range(3):
        alone = explainer.explain(picture, index)
        np.testing.assert_allclose(together.maps[index], alone.maps[0], atol=1e-6)
        np.testing.assert_allclose(together.guidance[index], alone.guidance[0], rtol=1e-5)


def test_a_target_that_is_named_twice_has_two_maps(explainer, picture):
    explanation = explainer.explain(picture, [2, 1, 2])
    assert explanation.targets.tolist() == [2, 1, 2]
    np.testing.assert_array_equal(explanation.maps[0], explanation.maps[2])


@pytest.mark.parametrize("method", ["guided", "gradcam"])
def test_batch_is_loop(explainer, toy_images, method):
    ids = [2, 0, 1]
    together = explainer.maps(toy_images, ids, method)
    alone = [
        explainer.maps(image[None], [i], method)[0]
        for image, i in zip(toy_images, ids, strict=True)
    ]
    in_pairs = explainer.maps(toy_images, ids, method, batch_size=2)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    np.testing.assert_allclose(together, in_pairs, atol=1e-5)


def test_maps_and_explain_agree(explainer, picture):
    explanation = explainer.explain(picture, [2, 1])
    maps = explainer.maps(picture[None], [[2, 1]])
    np.testing.assert_array_equal(maps[0], explanation.maps)
    raw = explainer.maps(picture[None].astype(np.float64), [1], raw=True)
    np.testing.assert_allclose(raw[0], explanation.raw[1], rtol=1e-5)


def test_default_target_is_the_best_class(explainer, toy_images):
    best = explainer.predict(toy_images).argmax(axis=1)
    np.testing.assert_array_equal(explainer.maps(toy_images), explainer.maps(toy_images, best))


def test_predict_is_the_model_s_own(explainer, toy_images):
    probabilities = explainer.predict(toy_images, batch_size=2)
    assert probabilities.dtype == np.float32
    model = explainer.network.model
    np.testing.assert_allclose(probabilities, model.predict(toy_images, verbose=0), atol=1e-6)


@pytest.mark.usefixtures("compiled")
def test_one_trace_whatever_the_batch(explainer, toy_images, rng):
    for count in (1, 3, 2):
        explainer.maps(toy_images[:count])
        explainer.maps(rng.uniform(0, 255, (count, 11, 9 + count, 3)), [0] * count)
    explainer.explain(rng.integers(0, 256, (20, 30, 3), np.uint8), ["top2", 0])
    assert explainer.pipeline.kernel(get_method("guided")).experimental_get_tracing_count() == 1


@pytest.mark.usefixtures("compiled")
def test_many_methods_do_not_make_tensorflow_warn_of_retracing(explainer, toy_images, caplog):
    caplog.set_level("WARNING", logger="tensorflow")
    for method in ("gradcam", "gradcam++", "xgradcam", "guided", "hirescam", "layercam"):
        explainer.maps(toy_images, method=method)
    assert "retracing" not in caplog.text


FEW_PASSES = {
    "cameras": {"sizes": (8, 12)},
    "rise": {"samples": 8},
    "smooth_fullgrad": {"samples": 2},
    "smoothgrad": {"samples": 2},
}


@pytest.mark.usefixtures("compiled")
def test_many_networks_do_not_make_tensorflow_warn_of_retracing(toy_images, caplog):
    caplog.set_level("WARNING", logger="tensorflow")
    for method, options in FEW_PASSES.items():
        for _ in range(6):
            gcam.Explainer(build_toy("flatten")).maps(toy_images[:1], [0], method, **options)
    assert "retracing" not in caplog.text


def test_the_model_passed_in_is_unchanged(toy, toy_images):
    toy.layers[1].trainable = False
    config, weights = toy.get_config(), toy.get_weights()
    trainable = [layer.trainable for layer in toy.layers]
    activation, nodes = toy.layers[-1].activation, [len(la._inbound_nodes) for la in toy.layers]
    images = toy_images.copy()
    explainer = gcam.Explainer(toy)
    explainer.maps(images, [0, 1, 2])
    explainer.maps(images, method="gradcam")
    explainer.predict(images)
    assert toy.get_config() == config
    for before, after in zip(weights, toy.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    assert [layer.trainable for layer in toy.layers] == trainable
    assert toy.layers[-1].activation is activation
    assert [len(layer._inbound_nodes) for layer in toy.layers] == nodes
    np.testing.assert_array_equal(images, toy_images)


def test_a_frozen_model_is_explained_alike(toy, toy_images):
    before = gcam.Explainer(toy).maps(toy_images)
    toy.trainable = False
    np.testing.assert_allclose(gcam.Explainer(toy).maps(toy_images), before, atol=1e-6)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "bfloat16"])
def test_half_floats_are_computed_in_float32(toy_images, policy):
    full, mixed = build_toy("flatten"), build_toy("flatten", dtype=policy)
    full.set_weights([weight.astype(np.float32) for weight in mixed.get_weights()])
    expected = gcam.Explainer(full).maps(toy_images, [0, 1, 2])
    maps = gcam.Explainer(mixed).maps(toy_images, [0, 1, 2])
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-5)
    assert mixed(toy_images).dtype == policy.removeprefix("mixed_")


def test_a_crop_s_map_lies_in_the_centre(explainer, rng):
    picture = rng.integers(0, 256, (20, 50, 3), np.uint8)
    cropped = gcam.Explainer(explainer.network.model, fit="crop").explain(picture, [0])
    centre = explainer.explain(picture[:, 15:35], [0])
    assert cropped.maps.shape == (1, 20, 50)
    np.testing.assert_array_equal(cropped.maps[:, :, 15:35], centre.maps)
    assert not cropped.maps[:, :, :15].any()
    assert not cropped.maps[:, :, 35:].any()


def test_guided_cam_is_the_explainer_in_one_line(explainer, toy_images):
    toy, expected = explainer.network.model, explainer.maps(toy_images, [0, 1, 2])
    np.testing.assert_array_equal(gcam.guided_cam(toy, toy_images, [0, 1, 2]), expected)
    earlier = explainer.at("conv1").maps(toy_images)
    np.testing.assert_array_equal(gcam.guided_cam(toy, toy_images, layer="conv1"), earlier)


def test_preprocess_runs_inside(toy_images):
    model = build_toy("flatten")
    explainer = gcam.Explainer(model, preprocess=lambda images: images / 20 - 5)
    expected = gcam.Explainer(model).maps(toy_images)
    np.testing.assert_allclose(explainer.maps(20 * (toy_images + 5)), expected, atol=1e-5)


def test_caffe_preprocessing_is_keras_s(toy_images):
    images = np.abs(toy_images) * 50
    model = build_toy("flatten")
    expected = model.predict(keras.applications.resnet50.preprocess_input(images.copy()), verbose=0)
    explainer = gcam.Explainer(model, preprocess="caffe")
    np.testing.assert_allclose(explainer.predict(images), expected, atol=1e-5)


def test_the_paper_preset_smooths(explainer, toy_images):
    plain, toy = explainer, explainer.network.model
    smooth = gcam.Explainer(toy, postprocessing="paper")
    same = gcam.Explainer(toy, postprocessing=Postprocessing(smoothing_sigma=0.8))
    assert np.abs(plain.maps(toy_images) - smooth.maps(toy_images)).max() > 0.05
    np.testing.assert_array_equal(smooth.maps(toy_images), same.maps(toy_images))


def test_a_grey_network_takes_pictures(picture):
    inputs = keras.Input((8, 8, 1))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(x)))
    explanation = gcam.Explainer(model).explain(picture)
    grey = np.asarray(Image.fromarray(picture).convert("L"))[None, :, :, None]
    np.testing.assert_array_equal(explanation.maps[0], gcam.Explainer(model).maps(grey)[0])


def test_a_network_of_any_size_takes_pictures_as_they_are(picture):
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(inputs)
    outputs = keras.layers.Dense(2)(keras.layers.GlobalAveragePooling2D()(x))
    explanation = gcam.Explainer(keras.Model(inputs, outputs)).explain(picture)
    assert explanation.raw.shape == (1, 10, 14)
    assert explanation.maps.shape == (1, 21, 30)


@pytest.mark.parametrize("value", [0, 255])
def test_a_constant_picture_is_finite(explainer, value):
    maps = explainer.explain(np.full((9, 9, 3), value, np.uint8), [0, 1, 2]).maps
    assert np.isfinite(maps).all()


def test_a_picture_smaller_than_the_map(explainer, rng):
    explanation = explainer.explain(rng.integers(0, 256, (2, 3, 3), np.uint8), [0])
    assert explanation.maps.shape == (1, 2, 3)


def test_targets_of_all_pictures_and_of_each(explainer, toy_images):
    for_all = explainer.maps(toy_images, "bee")
    np.testing.assert_array_equal(for_all, explainer.maps(toy_images, [1] * len(toy_images)))
    each = explainer.maps(toy_images[:2], [["bee", "top1"], [2, 0]])
    for place, (bee, other) in enumerate([(1, None), (2, [0])]):
        one = toy_images[place : place + 1]
        np.testing.assert_allclose(each[place, 0], explainer.maps(one, [bee])[0], atol=1e-6)
        np.testing.assert_allclose(each[place, 1], explainer.maps(one, other)[0], atol=1e-6)
    best = explainer.maps(toy_images, "top3")
    assert best.shape[:2] == (len(toy_images), 3)
    np.testing.assert_allclose(best[:, 0], explainer.maps(toy_images), atol=1e-6)


def test_at_keeps_weights_names_and_options(toy, rng):
    toy_images = rng.integers(0, 256, (2, 8, 8, 3), np.uint8)
    names = ["ant", "bee", "wasp"]
    explainer = gcam.Explainer(toy, class_names=names, preprocess="tf", postprocessing="paper")
    other = explainer.at("conv1")
    assert (explainer.layer, other.layer) == ("conv2", "conv1")
    same = {"class_names": names, "preprocess": "tf", "postprocessing": "paper"}
    expected = gcam.Explainer(toy, layer="conv1", **same).maps(toy_images, "wasp")
    np.testing.assert_array_equal(other.maps(toy_images, "wasp"), expected)
    assert explainer.at("conv1").pipeline is other.pipeline
