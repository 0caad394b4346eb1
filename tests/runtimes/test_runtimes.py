"""Every runtime explains as TensorFlow does, and does not answer with old maps."""

import threading
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_sorting
from common import build_toy
from common import eager

import guidedcam_tf as gcam
from guidedcam_tf.methods import METHODS
from guidedcam_tf.methods import get_method
from guidedcam_tf.runtimes import list_runtimes
from guidedcam_tf.runtimes import open_runtime
from guidedcam_tf.runtimes import openvino_model
from guidedcam_tf.runtimes.fingerprint import Fingerprint

SAME = 1e-4
EVERY = {
    "guided": "early",
    "fullgrad": "early",
    "scorecam": "early",
    "relevance_cam": "late",
    "guided_backprop": "late",
}
"""Methods to try on every operation, one for each way back through a network, and the layer."""
OF_ANY = [name for name, method in METHODS.items() if not method.reads_attention]
FEWER = {
    "cameras": {"sizes": (16, 20)},
    "integrated_gradcam": {"steps": 5},
    "integrated_gradients": {"steps": 5},
    "occlusion": {"size": 5},
    "prediction_difference": {"size": 5, "samples": 2},
    "rise": {"samples": 40},
    "smooth_fullgrad": {"samples": 3},
    "smoothgrad": {"samples": 3},
    "smoothgradcam++": {"samples": 3},
}


def every_operation():
    """A network with what needs teaching: all kinds of pooling, depthwise, squeeze-and-excite."""
    keras.utils.set_random_seed(1)
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(8, 3, padding="same")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.ReLU(name="early")(x)
    x = layers.MaxPooling2D(3, 1, padding="same")(x)
    x = layers.Add()([x, layers.Conv2D(8, 3, padding="same", activation="relu")(x)])
    x = layers.AveragePooling2D(3, 2, padding="same")(x)
    x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(3, strides=2, activation="swish")(x)
    squeezed = layers.GlobalAveragePooling2D(keepdims=True)(x)
    squeezed = layers.Conv2D(8, 1, activation="sigmoid")(squeezed)
    x = layers.Multiply(name="middle")([x, squeezed])
    x = layers.Conv2D(6, 1, use_bias=False)(x)
    x = layers.ReLU(6.0, name="late")(layers.BatchNormalization()(x))
    x = layers.AveragePooling2D(2)(x)
    return keras.Model(inputs, layers.Dense(4)(layers.Flatten()(x)), name="everything")


@pytest.fixture(scope="module")
def model():
    return every_operation()


@pytest.fixture(scope="module")
def explainers(model):
    return {
        (runtime, layer): gcam.Explainer(
            model, layer=layer, preprocess="none", scores="logits", runtime=runtime
        )
        for runtime in list_runtimes()
        for layer in ("early", "late")
    }


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).normal(size=(3, 20, 14, 3)).astype(np.float32)


@pytest.mark.parametrize("runtime", [name for name in list_runtimes() if name != "tensorflow"])
@pytest.mark.parametrize("name", EVERY)
def test_maps_through_every_operation_are_tensorflows(explainers, images, name, runtime):
    """Several pictures and targets, and one picture of another size by itself."""
    targets, layer = np.array([[1, 2], [0, 3], [3, 2]]), EVERY[name]
    ours, theirs = explainers["tensorflow", layer], explainers[runtime, layer]
    check_same(ours, theirs, name, images, targets)
    check_same(ours, theirs, name, images[1:2, :13], targets[1:2, :1])


@pytest.fixture(scope="module")
def toys():
    model = build_toy("gap")
    return {
        runtime: gcam.Explainer(model, preprocess="none", runtime=runtime)
        for runtime in list_runtimes()
    }


@pytest.mark.parametrize("runtime", [name for name in list_runtimes() if name != "tensorflow"])
@pytest.mark.parametrize("name", [name for name in OF_ANY if name not in EVERY])
def test_maps_are_tensorflows(toys, images, name, runtime):
    ours, theirs, targets = toys["tensorflow"], toys[runtime], np.array([[1, 2], [0, 2], [1, 0]])
    check_same(ours, theirs, name, images, targets)


@pytest.mark.parametrize("head", ["one unit", "recurrent"])
def test_heads_that_convert_differently(head, images):
    pytest.importorskip("openvino")
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, strides=2, activation="relu", name="conv")(inputs)
    if head == "one unit":
        x = layers.Dense(1, activation="sigmoid")(layers.Flatten()(x))
    else:
        x = layers.Dense(3, activation="softmax")(layers.LSTM(4)(layers.Reshape((7, 28))(x)))
    model = keras.Model(inputs, x)
    one, other = (
        gcam.Explainer(model, preprocess="none", layer="conv", runtime=runtime)
        for runtime in ("tensorflow", "openvino")
    )
    np.testing.assert_allclose(other.predict(images), one.predict(images), atol=1e-5)
    for name in ("guided", "gradcam", "hirescam", "relevance_cam"):
        if head == "recurrent":
            with pytest.raises(gcam.InputError, match=r"gradient of a loop|no rule"):
                other.maps(images, 1, name)
        else:
            np.testing.assert_allclose(
                other.maps(images, 1, name), one.maps(images, 1, name), atol=SAME
            )


def test_second_derivatives_of_a_normalised_layer_are_tensorflows_or_refused(rng):
    """Sums over one axis have it as a number, no list, which had ended in a TypeError."""
    layers = keras.layers
    keras.utils.set_random_seed(2)
    inputs = keras.Input((16, 20, 3))
    x = layers.Conv2D(8, 4, strides=4, name="target")(inputs)
    x = layers.Reshape((20, 8))(x)
    y = layers.LayerNormalization()(x)
    x = layers.Add()([x, layers.MultiHeadAttention(2, 4)(y, y)])
    x = layers.GlobalAveragePooling1D()(x)
    model = keras.Model(inputs, layers.Dense(3, activation="softmax")(x))
    pictures = rng.normal(size=(2, 16, 20, 3)).astype(np.float32)
    ours, theirs = (
        gcam.Explainer(model, layer="target", preprocess="none", runtime=runtime)
        for runtime in ("tensorflow", "openvino")
    )
    expected = ours.maps(pictures, [0, 2], "shapleycam", raw=True)
    try:
        found = theirs.maps(pictures, [0, 2], "shapleycam", raw=True)
    except gcam.InputError as refused:
        assert "OpenVINO lacks" in str(refused)
    else:
        np.testing.assert_allclose(found, expected, atol=SAME * np.abs(expected).max())


def test_an_operation_that_openvino_lacks_is_named(images):
    explainer = gcam.Explainer(
        build_sorting(), layer="conv2", preprocess="none", scores="logits", runtime="openvino"
    )
    with pytest.raises(gcam.InputError, match=r"'guided' at layer 'conv2'.*SelfAdjointEigV2"):
        explainer.maps(images, 1)


def check_same(ours, theirs, name, images, targets):
    """Compiled by TensorFlow and in the other runtime it gives what the formula does eagerly."""
    options = {"raw": True, **FEWER.get(name, {})}
    with eager():
        expected = ours.maps(images, targets, name, **options)
    assert np.abs(expected).max() > 0
    for each in (ours, theirs):
        found = each.maps(images, targets, name, **options)
        np.testing.assert_allclose(found, expected, rtol=0, atol=SAME * np.abs(expected).max())


@pytest.mark.parametrize(
    "name",
    [
        "scorecam",
        "ablationcam",
        "integrated_gradcam",
        "smoothgrad",
        "smooth_fullgrad",
        "rise",
        "occlusion",
        "prediction_difference",
        "sise",
    ],
)
def test_all_passes_go_through_the_runtime(name, toys, images):
    """Once they are compiled, none sees the live network: its weights may be anything."""
    options = {"raw": True, **FEWER.get(name, {})}
    same_without_weights(
        toys["openvino"], lambda explainer: explainer.maps(images, [0, 1, 2], name, **options)
    )


def test_masked_pictures_go_through_the_runtime(toys, images):
    fitted, masks = toys["openvino"].pipeline.fitted(images), np.eye(8, dtype=bool)[None]
    same_without_weights(
        toys["openvino"],
        lambda explainer: explainer.pipeline.masked_probabilities(fitted, [0], masks, 0.0),
    )


def same_without_weights(explainer, ask):
    model, before = explainer.network.model, ask(explainer)
    weights = model.get_weights()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Fingerprint, "changed", lambda _: False)
        model.set_weights([np.full_like(weight, np.nan) for weight in weights])
        try:
            np.testing.assert_array_equal(ask(explainer), before)
        finally:
            model.set_weights(weights)


@pytest.mark.parametrize("runtime", list_runtimes())
def test_predictions(explainers, model, images, runtime):
    same_size = images[:, :16, :12]
    fitted = explainers[runtime, "late"].network.fit(same_size)
    expected = keras.ops.softmax(model(fitted))
    np.testing.assert_allclose(
        explainers[runtime, "late"].predict(same_size), expected, rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("runtime", list_runtimes())
def test_eight_threads_give_what_one_gives(explainers, images, runtime):
    explainer = explainers[runtime, "late"]
    pictures = [np.roll(images[:1], shift, axis=1) for shift in range(8)]
    expected = [explainer.maps(picture, "top2") for picture in pictures]
    found = [None] * 8

    def work(place):
        for _ in range(5):
            found[place] = explainer.maps(pictures[place], "top2")

    threads = [threading.Thread(target=work, args=(place,)) for place in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_ranks_are_tensorflows(explainers, images):
    """Also where scores tie."""
    ours, theirs = (explainers[name, "late"] for name in ("tensorflow", "openvino"))
    expected, found = (each.maps(images, "top4", raw=True) for each in (ours, theirs))
    np.testing.assert_allclose(found, expected, atol=SAME * expected.max())
    flat = build_toy()
    for weight in flat.get_layer("scores").weights:
        weight.assign(tf.zeros_like(weight))
    for runtime in ("tensorflow", "openvino"):
        explainer = gcam.Explainer(flat, preprocess="none", runtime=runtime)
        maps = explainer.pipeline.explain(
            get_method("guided"), tf.zeros([1, 8, 8, 3]), tf.constant([[-1, -2, -3]])
        )
        np.testing.assert_array_equal(maps["class_ids"], [[0, 1, 2]])


def test_bfloat16_differs_and_resembles(explainers, model, images):
    if open_runtime("openvino", "bfloat16").precision == "float32":
        pytest.skip("this processor has no bfloat16")
    explainer = gcam.Explainer(
        model,
        layer="late",
        preprocess="none",
        scores="logits",
        runtime="openvino",
        precision="bfloat16",
    )
    expected = explainers["tensorflow", "late"].maps(images, [0, 1, 2])
    found = explainer.maps(images, [0, 1, 2])
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98
    assert np.abs(found - expected).max() > 1e-5


def change(model, how):
    if how == "training":
        model.compile("sgd", "mse")
        model.fit(np.ones((2, 8, 8, 3)), np.ones((2, 3)), verbose=0)
    elif how == "loading":
        model.set_weights([weight + 1 for weight in model.get_weights()])
    else:
        kernel = model.get_layer("conv2").kernel
        kernel.assign(np.where(np.arange(5) == 2, 0, kernel.numpy()))


@pytest.mark.parametrize("how", ["training", "loading", "a filter set to zero"])
def test_a_copy_of_old_weights_does_not_answer(how, images):
    toy = build_toy()
    frozen = gcam.Explainer(toy, preprocess="none", runtime="openvino")
    frozen.maps(images)
    change(toy, how)
    for ask in (frozen.maps, frozen.predict, lambda x: frozen.maps(x, method="scorecam")):
        with pytest.raises(
            gcam.InputError, match=r"weights of 'toy_gap' have changed.*keeps a copy"
        ):
            ask(images)
    live = gcam.Explainer(toy, preprocess="none").maps(images)
    again = gcam.Explainer(toy, preprocess="none", runtime="openvino").maps(images)
    np.testing.assert_allclose(again, live, atol=1e-4)


def test_what_is_refused():
    for given, message in (
        ({"runtime": "onnx"}, "runtime 'onnx' is not known; expected one of tensorflow, openvino"),
        ({"precision": "float16"}, "precision 'float16' is not known"),
        ({"precision": "bfloat16"}, "'bfloat16' needs runtime='openvino'"),
    ):
        with pytest.raises(gcam.InputError, match=message):
            gcam.Explainer(build_toy(), preprocess="none", **given)


def test_without_the_extra(monkeypatch):
    monkeypatch.setattr(openvino_model, "find_spec", lambda name: None)
    with pytest.raises(gcam.InputError, match=r"^OpenVINO is missing; pip install .*\[openvino\]"):
        open_runtime("openvino")


def test_without_bfloat16(monkeypatch):
    import openvino

    monkeypatch.setattr(openvino.Core, "get_property", lambda *_: ["FP32"])
    with pytest.warns(UserWarning, match="does not compute in bfloat16; precision is float32"):
        assert open_runtime("openvino", "bfloat16").precision == "float32"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert open_runtime("openvino").precision == "float32"


def test_an_export_of_it_is_tensorflows(tmp_path, images):
    """A SavedModel is traced of the live network, whatever runs the explainer."""
    toy = build_toy()
    explainer = gcam.Explainer(toy, preprocess="none", runtime="openvino")
    folder = gcam.export(explainer, tmp_path / "toy")
    explain = tf.saved_model.load(str(folder)).signatures["explain"]
    found = explain(images=tf.constant(images), class_ids=tf.constant([0, 1, 2]))["saliency"]
    fitted = explainer.network.fit(images)
    np.testing.assert_allclose(found, explainer.maps(fitted, [0, 1, 2]), atol=1e-4)


def test_the_training_callback_needs_live_weights(images, tmp_path):
    toy = build_toy()
    toy.compile("sgd", "mse")
    callback = gcam.SaliencyCallback(images[:, :8, :8], folder=tmp_path, runtime="openvino")
    with pytest.raises(gcam.InputError, match="keeps a copy of the weights, and training changes"):
        toy.fit(np.ones((2, 8, 8, 3)), np.ones((2, 3)), verbose=0, callbacks=[callback])


def test_records_say_what_ran(images):
    explainer = gcam.Explainer(build_toy(), preprocess="none", runtime="openvino")
    origin = explainer.explain(np.zeros((9, 9, 3), np.uint8)).origin
    assert (origin["runtime"], origin["precision"]) == ("openvino", "float32")
