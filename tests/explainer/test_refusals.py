"""Calls, models and pictures that are refused: the error says what is wrong, and what to do."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam

GOOD = np.zeros((2, 8, 8, 3), np.float32)

BAD_CALLS = {
    "rank": (lambda e: e.maps(GOOD[0]), r"images must have shape \[N, H, W, 3\].*\(8, 8, 3\)"),
    "channels": (lambda e: e.maps(GOOD[..., :2]), r"images must have shape.*\(2, 8, 8, 2\)"),
    "no pictures": (lambda e: e.maps(GOOD[:0]), r"N at least 1; received \(0, 8, 8, 3\)"),
    "text": (lambda e: e.maps(np.full((1, 8, 8, 3), "a")), r"must be an array \[N, H, W, 3\]"),
    "a file": (lambda e: e.maps("cat.png"), r"received 'cat.png': Explainer.explain .* a file"),
    "a data set": (
        lambda e: e.maps(tf.data.Dataset.from_tensor_slices(GOOD).batch(2)),
        r"BatchDataset.*: of a tf.data.Dataset give .*next\(iter\(dataset\)\)",
    ),
    "a batch with labels": (
        lambda e: e.maps((GOOD, np.zeros([2, 1]))),
        r"images must be an array.*give the pictures of one batch",
    ),
    "a label": (lambda e: e.explain(GOOD[0], 1.0), r"an index is a whole number, int\(1.0\)"),
    "nothing": (lambda e: e.maps(None), r"images must be an array .*; received None"),
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
    "half a batch": (lambda e: e.maps(GOOD, batch_size=1.5), "a whole number; received 1.5"),
    "batch size in words": (lambda e: e.predict(GOOD, batch_size="a"), "number; received 'a'"),
    "no batch size": (lambda e: e.predict(GOOD, batch_size=None), "number; received None"),
    "sizes": (
        lambda e: e.maps([GOOD[0], GOOD[0, :5]]),
        "images must be an array, or a list whose parts have one shape.*explain them one by one",
    ),
    "methods": (lambda e: e.maps(GOOD, method=["gradcam"]), r"\['gradcam'\] is not known; nearest"),
    "method's case": (lambda e: e.maps(GOOD, method="GradCAM"), "'GradCAM' is .* nearest: gradcam"),
    "layer": (lambda e: e.at(e.network.model.layers[1]), "must be the name of a layer, as '"),
    "batch": (lambda e: e.explain(GOOD), r"received \(.*\): Explainer.maps takes a batch"),
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


LONG = {
    "numbers": lambda e: e.explain(list(range(100_000))),
    "bytes": lambda e: e.explain(bytes(1_000_000)),
    "path": lambda e: e.explain("x" * 100_000),
    "lines": lambda e: e.explain({"a\nb": np.zeros((30, 30, 3))}),
    "target": lambda e: e.explain(GOOD[0], "x" * 100_000),
    "targets": lambda e: e.explain(GOOD[0], {"x": "x" * 100_000}),
    "ids": lambda e: e.maps(GOOD, list(range(100_000))),
    "batch size": lambda e: e.maps(GOOD, batch_size="x" * 100_000),
    "method": lambda e: e.maps(GOOD, method="x" * 100_000),
    "option": lambda e: e.maps(GOOD, method="gradcam", **{"x" * 100_000: 1}),
    "option's value": lambda e: e.maps(GOOD, method="smoothgrad", samples="x" * 100_000),
    "layer": lambda e: e.at("x" * 100_000),
    "model": lambda e: gcam.Explainer("x" * 100_000),
    "preprocess": lambda e: gcam.Explainer(build_toy(), preprocess="x" * 100_000),
    "output": lambda e: gcam.Explainer(two_outputs(), output="x" * 100_000),
    "fixed inputs": lambda e: gcam.Explainer(build_toy(), fixed_inputs=list(range(100_000))),
    "fixed input": lambda e: gcam.Explainer(build_toy(), fixed_inputs={"x" * 100_000: 1}),
    "class names": lambda e: gcam.Explainer(build_toy(), class_names=["x" * 100_000]),
    "grid": lambda e: gcam.Explainer(build_toy(), grid=list(range(100_000))),
    "runtime": lambda e: gcam.Explainer(build_toy(), runtime="x" * 100_000),
    "postprocessing": lambda e: gcam.Explainer(build_toy(), postprocessing="x" * 100_000),
    "fit": lambda e: gcam.Explainer(build_toy(), fit="x" * 100_000),
    "scores": lambda e: gcam.Explainer(build_toy(), scores="x" * 100_000),
}


@pytest.mark.parametrize("name", LONG)
def test_a_message_is_one_line_whatever_comes(explainer, name):
    with pytest.raises(gcam.InputError) as caught:
        LONG[name](explainer)
    assert len(str(caught.value)) < 1000
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", BAD_CALLS)
def test_bad_calls_say_what_is_wrong(explainer, name):
    call, message = BAD_CALLS[name]
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


SCALED = {
    "0..1": (lambda x: x / 255, "multiply them by 255"),
    "black and white as 0 and 1": (lambda x: (x > 127).astype(np.float64), "multiply them by 255"),
    "-1..1": (lambda x: x / 127.5 - 1, "received -1 to 1: clip them"),
    "caffe": (lambda x: x - 117.0, "give preprocess='none'"),
    "16 bits": (lambda x: x.astype(np.uint16) * 257, "received 0 to 65535"),
}


@pytest.fixture(scope="module", params=["caffe", lambda images: images / 255.0])
def preprocessing(request):
    return gcam.Explainer(build_toy(), preprocess=request.param)


@pytest.mark.parametrize("name", SCALED)
def test_pictures_that_were_scaled_already_are_refused(explainer, preprocessing, name):
    scale, message = SCALED[name]
    pictures = np.linspace(0, 255, 2 * 8 * 8 * 3).reshape(2, 8, 8, 3)
    for call in (preprocessing.maps, preprocessing.predict):
        with pytest.raises(gcam.InputError, match=message):
            call(scale(pictures))
    assert explainer.maps(scale(pictures)).shape == (2, 8, 8)
    assert preprocessing.maps(pictures * 0).shape == (2, 8, 8)


ONE_HOT = {
    "three classes": np.eye(3, dtype=int)[[0, 2]],
    "floats": np.eye(3)[[1, 1]],
    "a list": [[0, 0, 1], [1, 0, 0]],
}


@pytest.mark.parametrize("name", ONE_HOT)
def test_one_hot_labels_are_refused(explainer, toy_images, name):
    with pytest.raises(gcam.InputError, match=r"one-hot labels \(2, 3\).*argmax\(axis=1\)"):
        explainer.maps(toy_images[:2], ONE_HOT[name])


@pytest.mark.parametrize(
    "labels", [np.float32([[0], [1]]), np.float64([1, 0]), [1.0, 0.0], tf.constant([0.0, 1.0])]
)
def test_labels_in_floats_are_refused(explainer, toy_images, labels):
    """As Keras has those of two classes for its binary losses."""
    message = r"class_ids look like labels in floats, \(2,.*: give labels.astype\(int\).ravel\(\)"
    with pytest.raises(gcam.InputError, match=message):
        explainer.maps(toy_images[:2], labels)
    with pytest.raises(gcam.InputError, match=r"must be an index, .*; received 0.5"):
        explainer.maps(toy_images[:2], [0.5, 1.0])


NO_TARGET = {"None": None, "float": 1.5, "bytes": b"bee", "bool": True, "dict": {"bee": 1}}


@pytest.mark.parametrize("name", NO_TARGET)
def test_what_is_no_target_is_refused(explainer, name):
    picture = np.zeros((8, 8, 3), np.uint8)
    with pytest.raises(gcam.InputError, match="must be an index, a class name, a wnid"):
        explainer.explain(picture, NO_TARGET[name])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("what", ["maps", "predict", "explain", "Explainer", "guided_cam"])
def test_arrays_inside_a_tf_function_are_refused(explainer, what):
    model = build_toy()
    calls = {
        "maps": lambda images: explainer.maps(images, 0),
        "predict": explainer.predict,
        "explain": lambda images: explainer.explain(images[0]).maps,
        "Explainer": lambda images: gcam.Explainer(model, preprocess="none").maps(images),
        "guided_cam": lambda images: gcam.guided_cam(model, images),
    }
    step = tf.function(calls[what], autograph=False)
    with pytest.raises(gcam.InputError, match=r"outside of a tf.function and of Dataset.map; ins"):
        step(tf.zeros([1, 8, 8, 3]))


@pytest.mark.parametrize("size", [(8, 8), (40, 9)])
def test_pictures_of_which_nothing_is_left_are_refused(size):
    """Of no values TensorFlow makes scores all the same, or NaN."""
    inputs = x = keras.Input((None, None, 3))
    for _ in range(3):
        x = keras.layers.Conv2D(4, 3, strides=2, activation="relu")(x)
    x = keras.layers.GlobalMaxPooling2D()(keras.layers.MaxPooling2D(name="last")(x))
    explainer = gcam.Explainer(keras.Model(inputs, keras.layers.Dense(3)(x)), scores="logits")
    assert np.isfinite(explainer.predict(np.zeros((1, 31, 47, 3), np.uint8))).all()
    small = np.zeros((1, *size, 3), np.uint8)
    for call in (explainer.predict, explainer.maps, lambda images: explainer.explain(images[0])):
        with pytest.raises(gcam.InputError, match=rf"{size[0]} x {size[1]} do not go thr.*small"):
            call(small)
    assert np.isfinite(explainer.predict(np.zeros((1, 31, 31, 3), np.uint8))).all()
