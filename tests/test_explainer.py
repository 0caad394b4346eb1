"""The Explainer's contract: shapes, targets, batches, and what it leaves alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from PIL import Image

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.ops import Postprocessing


@pytest.fixture
def explainer(toy):
    return gcam.Explainer(toy, class_names=["ant", "bee", "wasp"])


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (21, 30, 3), np.uint8)


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


def test_predict_is_the_model_s_own(toy, explainer, toy_images):
    probabilities = explainer.predict(toy_images, batch_size=2)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, toy.predict(toy_images, verbose=0), atol=1e-6)


def test_one_trace_whatever_the_batch(explainer, toy_images, rng):
    for count in (1, 3, 2):
        explainer.maps(toy_images[:count])
        explainer.maps(rng.uniform(0, 255, (count, 11, 9 + count, 3)), [0] * count)
    explainer.explain(rng.integers(0, 256, (20, 30, 3), np.uint8), ["top2", 0])
    assert explainer.pipeline.kernel(get_method("guided")).experimental_get_tracing_count() == 1


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


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_is_near_float32(toy_images, policy):
    full, mixed = build_toy("flatten"), build_toy("flatten", dtype=policy)
    mixed.set_weights(full.get_weights())
    expected = gcam.Explainer(full).maps(toy_images, [0, 1, 2])
    maps = gcam.Explainer(mixed).maps(toy_images, [0, 1, 2])
    assert maps.dtype == np.float32
    np.testing.assert_allclose(maps, expected, atol=1e-2 if policy == "mixed_float16" else 5e-2)


def then(*steps):
    """Make an ending of layers or functions, one after the other."""

    def end(x):
        for step in steps:
            x = step(x)
        return x

    return end


ENDINGS = {
    "none": lambda: then(),
    "layer": lambda: then(keras.layers.Softmax()),
    "activation": lambda: then(keras.layers.Activation("softmax", dtype="float32")),
    "operation": lambda: then(keras.ops.softmax),
    "identity after it": lambda: then(keras.layers.Softmax(), keras.layers.Identity()),
    "linear after it": lambda: then(
        keras.layers.Softmax(), keras.layers.Activation("linear", dtype="float32")
    ),
    "dropout after it": lambda: then(keras.layers.Softmax(), keras.layers.Dropout(0.5)),
    "cast after it": lambda: then(keras.layers.Softmax(), lambda x: keras.ops.cast(x, "float16")),
    # As files of MobileNet from before Keras 3 have it.
    "reshape after it": lambda: then(
        keras.layers.Reshape((1, 1, 3)), keras.layers.Softmax(), keras.layers.Reshape((3,))
    ),
}


@pytest.mark.parametrize("how", ENDINGS)
def test_the_score_is_the_logit_however_the_model_ends(toy_images, how):
    model = build_toy("flatten")
    expected = gcam.Explainer(model).maps(toy_images, raw=True)
    bare = build_toy("flatten", activation=None)
    bare.set_weights(model.get_weights())
    bare = keras.Model(bare.input, ENDINGS[how]()(bare.output))
    explainer = gcam.Explainer(bare)
    np.testing.assert_allclose(explainer.maps(toy_images, raw=True), expected, rtol=1e-5)
    probabilities = model.predict(toy_images, verbose=0)
    np.testing.assert_allclose(explainer.predict(toy_images), probabilities, atol=1e-6)


def test_a_reshape_that_mixes_places_and_classes_is_left_alone(toy_images):
    """The softmax is over each place's classes, so the numbers after it are what there is."""
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(3, 3, padding="same", name="conv")(inputs)
    model = keras.Model(inputs, keras.layers.Reshape((8 * 8 * 3,))(keras.layers.Softmax()(x)))
    logits = gcam.Explainer(model).pipeline.logits(toy_images)
    np.testing.assert_allclose(logits, model(toy_images), atol=1e-6)


def test_a_crop_s_map_lies_in_the_centre(toy, rng):
    picture = rng.integers(0, 256, (20, 50, 3), np.uint8)
    cropped = gcam.Explainer(toy, fit="crop").explain(picture, [0])
    centre = gcam.Explainer(toy).explain(picture[:, 15:35], [0])
    assert cropped.maps.shape == (1, 20, 50)
    np.testing.assert_array_equal(cropped.maps[:, :, 15:35], centre.maps)
    assert not cropped.maps[:, :, :15].any()
    assert not cropped.maps[:, :, 35:].any()


def test_guided_cam_is_the_explainer_in_one_line(toy, toy_images):
    expected = gcam.Explainer(toy).maps(toy_images, [0, 1, 2])
    np.testing.assert_array_equal(gcam.guided_cam(toy, toy_images, [0, 1, 2]), expected)
    earlier = gcam.Explainer(toy, layer="conv1").maps(toy_images)
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


def test_the_paper_preset_smooths(toy, toy_images):
    plain = gcam.Explainer(toy)
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


GOOD = np.zeros((2, 8, 8, 3), np.float32)

BAD_CALLS = {
    "rank": (lambda e: e.maps(GOOD[0]), r"images must have shape \[N, H, W, 3\].*\(8, 8, 3\)"),
    "channels": (lambda e: e.maps(GOOD[..., :2]), r"images must have shape.*\(2, 8, 8, 2\)"),
    "no pictures": (lambda e: e.maps(GOOD[:0]), r"N at least 1; received \(0, 8, 8, 3\)"),
    "text": (lambda e: e.maps(np.full((1, 8, 8, 3), "a")), "images must be uint8 or float"),
    "nan": (lambda e: e.maps(GOOD * np.nan), "images must be finite"),
    "one pixel": (lambda e: e.maps(GOOD[:, :1, :1]), "at least 2 x 2"),
    "ids' length": (
        lambda e: e.maps(GOOD, [0]),
        "class_ids must be one for all.*each of the 2; received 1",
    ),
    "ids' dtype": (
        lambda e: e.maps(GOOD, [0.5, 1]),
        "target must be an index, a class name.*received 0.5",
    ),
    "ids' range": (lambda e: e.maps(GOOD, [0, 3]), "target 3 is out of range.*3 classes, 0 to 2"),
    "negative id": (lambda e: e.maps(GOOD, [0, -1]), "target -1 is out of range"),
    "batch size": (lambda e: e.maps(GOOD, batch_size=0), "batch_size must be at least 1"),
    "method": (lambda e: e.maps(GOOD, method="gradcm"), "'gradcm' is not known; nearest: gradcam"),
    "option": (lambda e: e.maps(GOOD, method="gradcam", x=1), "'gradcam' has no option 'x'"),
    "no target": (lambda e: e.explain(GOOD[0], []), "targets is empty"),
    "target": (
        lambda e: e.explain(GOOD[0], "wasps"),
        "'wasps' is not a class.*nearest names: wasp",
    ),
    "top0": (lambda e: e.explain(GOOD[0], "top0"), "'top0' is out of range"),
    "top4": (lambda e: e.explain(GOOD[0], "top4"), "'top4' is out of range.*3 classes"),
    "kind": (lambda e: e.explain(GOOD[0], [1.5]), "must be an index, a class name.*received 1.5"),
}


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(name):
    call, message = BAD_CALLS[name]
    explainer = gcam.Explainer(build_toy("flatten"), class_names=["ant", "bee", "wasp"])
    with pytest.raises(ValueError, match=message):
        call(explainer)


def two_outputs():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Flatten()(keras.layers.Conv2D(2, 3)(inputs))
    return keras.Model(inputs, [keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)])


def no_space():
    inputs = keras.Input((4, 4, 3))
    return keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs)))


BAD_MODELS = {
    "name": (lambda: gcam.Explainer("resnet51"), "'resnet51' is not known; expected resnet50"),
    "file": (lambda: gcam.Explainer("no.keras"), "model file no.keras does not exist"),
    "type": (lambda: gcam.Explainer(3), "model must be a keras.Model.*received builtins.int"),
    "helper": (lambda: gcam.guided_cam("resnet50", GOOD), "must be a keras.Model; received str"),
    "outputs": (
        lambda: gcam.Explainer(two_outputs()).explain(np.zeros((8, 8, 3), np.uint8)),
        "has 2 outputs.*expected output= with the name of one",
    ),
    "space": (
        lambda: gcam.Explainer(no_space()).maps(np.zeros((1, 4, 4, 3), np.float32)),
        "method 'guided' explains a layer, and .*methods that explain the picture need none: ",
    ),
    "layer": (
        lambda: gcam.Explainer(build_toy(), layer="conv3"),
        "layer 'conv3' is not in 'toy_gap'; nearest: conv.*the default is 'conv2'",
    ),
    "flat layer": (
        lambda: gcam.Explainer(build_toy(), layer="gap"),
        r"layer 'gap' cannot be explained: it has no spatial extent.*\(None, 5\)",
    ),
    "preprocess": (
        lambda: gcam.Explainer(build_toy(), preprocess="cafe"),
        "preprocess 'cafe' is not known.*caffe, tf, torch",
    ),
    "postprocessing": (
        lambda: gcam.Explainer(build_toy(), postprocessing="papers"),
        "'papers' is not known; expected default, paper",
    ),
    "fit": (lambda: gcam.Explainer(build_toy(), fit="stretch"), "fit must be 'squash' or 'crop'"),
    "names": (
        lambda: gcam.Explainer(build_toy(), class_names=["a"]),
        "class_names has 1 names, the network 3 classes",
    ),
    "weights of a model": (
        lambda: gcam.Explainer(build_toy(), weights="x.h5"),
        "weights goes with a network by name",
    ),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models_say_what_is_wrong(name):
    call, message = BAD_MODELS[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_a_subclassed_model_says_what_is_expected():
    class Custom(keras.Model):
        def call(self, inputs):
            return inputs

    with pytest.raises(ValueError, match="no graph that Keras can show: expected a functional"):
        gcam.Explainer(Custom())


def test_accuracy_on_imagenet_validation_pictures(resnet50, data_folder, capsys):
    import csv

    folder = data_folder / "imagenet_val_227"
    rows = list(csv.DictReader((folder / "labels.csv").open()))[::4]
    images = np.stack([np.asarray(Image.open(folder / "images" / r["file"])) for r in rows])
    labels = np.array([int(row["index"]) for row in rows])
    accuracy = (resnet50.predict(images).argmax(axis=1) == labels).mean()
    with capsys.disabled():
        print(f"\nResNet50 top-1 on {len(rows)} ImageNet validation pictures: {accuracy:.4f}")
    assert accuracy >= 0.75


def test_the_mosaic_s_maxima_lie_on_the_objects(resnet50):
    import skimage.data
    from PIL import ImageOps

    halves = [
        np.asarray(ImageOps.fit(Image.fromarray(photograph), (300, 300)))
        for photograph in (skimage.data.chelsea(), skimage.data.coffee())
    ]
    explanation = resnet50.explain(np.hstack(halves), ["Egyptian cat", "espresso"])
    columns = explanation.maps.max(axis=1).argmax(axis=1)
    assert columns[0] < 300 <= columns[1]


SCALED = {
    "0..1": (lambda x: x / 255, "multiply them by 255"),
    "black and white as 0 and 1": (lambda x: (x > 127).astype(np.float64), "multiply them by 255"),
    "-1..1": (lambda x: x / 127.5 - 1, "received -1 to 1: clip them"),
    "caffe": (lambda x: x - 117.0, "give preprocess='none'"),
    "16 bits": (lambda x: x.astype(np.uint16) * 257, "received 0 to 65535"),
}


@pytest.mark.parametrize("name", SCALED)
@pytest.mark.parametrize("preprocess", ["caffe", lambda images: images / 255.0])
def test_pictures_that_were_scaled_already_are_refused(toy, name, preprocess):
    scale, message = SCALED[name]
    pictures = np.linspace(0, 255, 2 * 8 * 8 * 3).reshape(2, 8, 8, 3)
    explainer = gcam.Explainer(toy, preprocess=preprocess)
    for call in (explainer.maps, explainer.predict):
        with pytest.raises(gcam.InputError, match=message):
            call(scale(pictures))
    assert gcam.Explainer(toy).maps(scale(pictures)).shape == (2, 8, 8)
    assert explainer.maps(pictures * 0).shape == (2, 8, 8)


ONE_HOT = {
    "three classes": np.eye(3, dtype=int)[[0, 2]],
    "floats": np.eye(3)[[1, 1]],
    "a list": [[0, 0, 1], [1, 0, 0]],
}


@pytest.mark.parametrize("name", ONE_HOT)
def test_one_hot_labels_are_refused(toy, toy_images, name):
    with pytest.raises(gcam.InputError, match=r"one-hot labels \(2, 3\).*argmax\(axis=1\)"):
        gcam.Explainer(toy).maps(toy_images[:2], ONE_HOT[name])


def test_targets_of_all_pictures_and_of_each(toy, toy_images):
    explainer = gcam.Explainer(toy, class_names=["ant", "bee", "wasp"])
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


NO_TARGET = {"None": None, "float": 1.5, "bytes": b"bee", "bool": True, "dict": {"bee": 1}}


@pytest.mark.parametrize("name", NO_TARGET)
def test_what_is_no_target_is_refused(toy, name):
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(gcam.InputError, match="must be an index, a class name, a wnid"):
        gcam.Explainer(toy).explain(picture, NO_TARGET[name])


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


def test_arrays_inside_a_tf_function_are_refused(toy):
    explainer = gcam.Explainer(toy)

    @tf.function(autograph=False)
    def step(images):
        return explainer.maps(images, 0)

    with pytest.raises(
        gcam.InputError, match=r"cannot run inside a tf.function; call them outside"
    ):
        step(tf.zeros([1, 8, 8, 3]))
