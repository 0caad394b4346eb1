"""What users of other packages complain about, one test a thread, named after it.

The numbers are those of the list of public threads that the project keeps. Each test fails in the
way that the thread describes where its cure is taken out. Threads 11, 12 and 20 are the same
complaint as 10, on other models: `models` has every kind of model.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf import ops
from guidedcam_tf.methods import METHODS
from guidedcam_tf.overlay import overlay

pytestmark = pytest.mark.usefixtures("compiled")

layers = keras.layers


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(7).normal(size=(3, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def picture():
    return np.random.default_rng(8).integers(0, 256, (20, 30, 3), np.uint8)


def nested(*head):
    """A base without its top inside a Sequential with a new one, as the guides do it."""
    toy = build_toy("gap")
    base = keras.Model(toy.input, toy.get_layer("conv2").output, name="base")
    return keras.Sequential([keras.Input((8, 8, 3)), base, *(head or default_head())])


def default_head():
    return [layers.GlobalAveragePooling2D(name="pool"), layers.Dense(2, "softmax", name="scores")]


def test_thread_1_the_last_convolution_is_1_x_1():
    """tf-keras-vis 85: MobileNetV3's last Conv2D makes the logits, after pooling."""
    model = keras.applications.MobileNetV3Small((64, 64, 3), weights=None, classes=5)
    last = [layer for layer in model.layers if isinstance(layer, layers.Conv2D)][-1]
    assert last.output.shape[1:3] == (1, 1)
    network = gcam.Explainer(model).network
    chosen = network.view()
    assert chosen.step.shape[1:3] == (2, 2)
    assert isinstance(chosen.step.layer, layers.Activation)
    after = network.graph.downstream(chosen.step)[0]
    assert isinstance(after.layer, layers.GlobalAveragePooling2D)


def test_thread_2_which_layer():
    """tf-explain 99, 97: without being told, it finds the layer, and says which it is.

    As in VGG16, pooling comes last; it only rearranges the feature map.
    """
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.Dropout(0.5)(layers.ZeroPadding2D()(layers.MaxPooling2D()(x)))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    explainer = gcam.Explainer(model)
    assert explainer.layer == "conv"
    assert explainer.network.default_layer_reason.startswith("'conv' (Conv2D, 6 x 6) is the last")


def test_thread_3_a_nested_mobilenet():
    """keras-io 1042: the layer is inside the base, and has to be after its activation."""
    base = keras.applications.MobileNet((64, 64, 3), include_top=False, weights=None, alpha=0.25)
    explainer = gcam.Explainer(keras.Sequential([base, *default_head()]))
    assert explainer.layer == f"{base.name}/conv_pw_13_relu"


def test_threads_10_11_12_20_graph_disconnected(images):
    """tensorflow 44462, tf-keras-vis 63, keras-io 1903: an inner tensor is not the outer model's.

    The inner layer's output belongs to the base's own graph, so Keras cannot build the sub-model
    that the guides build; the maps are those of the base's layers in one flat model.
    """
    model = nested()
    base = model.get_layer("base")
    outer = keras.Input((8, 8, 3))
    outputs = model(outer)
    with pytest.raises(ValueError, match=r"not connected to `inputs`"):
        keras.Model(outer, [base.get_layer("conv2").output, outputs])
    explainer = gcam.Explainer(model)
    assert explainer.layer == "base/conv2"
    pool, scores = model.layers[1:]
    flat = keras.Model(base.input, scores(pool(base.output)))
    model.layers[-1].set_weights([np.linspace(-1, 2, 10).reshape(5, 2), np.zeros(2)])
    both = [[0, 1]] * 3
    expected = gcam.Explainer(flat, layer="conv2").maps(images, both, "layercam", raw=True)
    assert expected.any()
    found = explainer.maps(images, both, "layercam", raw=True)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_thread_13_a_shared_encoder(images):
    """tf-explain 165: in a siamese network the encoder's call on the named picture is explained."""
    toy = build_toy("gap")
    encoder = keras.Model(toy.input, toy.get_layer("conv2").output, name="encoder")
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    pooled = [layers.GlobalAveragePooling2D()(encoder(x)) for x in (left, right)]
    model = keras.Model([left, right], layers.Dense(2)(layers.Concatenate()(pooled)))
    for name in ("left", "right"):
        other = "right" if name == "left" else "left"
        explainer = gcam.Explainer(model, input=name, fixed_inputs={other: images[0]})
        activations = explainer.pipeline.view.forward(tf.constant(images))[0]
        np.testing.assert_allclose(activations, encoder(images), atol=1e-6)


def test_thread_14_none_gradients(images):
    """tensorflow 62797, tf-explain 102: an error that names the layer, not a None further on."""
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(3, 3, activation="relu", name="conv")(inputs)
    aside = layers.Conv2D(3, 3, name="aside")(inputs)
    gate = layers.Lambda(tf.stop_gradient, name="gate")(x)
    scores = layers.Dense(2)(layers.Flatten()(gate))
    model = keras.Model(inputs, {"scores": scores, "other": aside})
    with pytest.raises(gcam.InputError, match=r"reaches layer 'conv': layer 'gate' \(Lambda\)"):
        gcam.Explainer(model, output="scores", layer="conv").maps(images)
    with pytest.raises(gcam.InputError, match=r"'aside' cannot.*no spatial extent before the"):
        gcam.Explainer(model, output="scores", layer="aside")


def saturated(activation="softmax"):
    """A network whose softmax is 1 for one class and 0 for the others, to the last bit."""
    model = build_toy("flatten", activation=activation)
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([1e4 * kernel, bias])
    return model


def test_thread_15_the_activation_is_not_taken_off_the_model(images):
    """tf-explain 54: the cure there sets the last activation to None, in the user's own model."""
    model = saturated()
    assert gcam.Explainer(model).maps(images, raw=True).any()
    assert model.layers[-1].activation is keras.activations.softmax
    np.testing.assert_allclose(model.predict(images, verbose=0).sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("method", ["guided", "gradcam", "layercam"])
def test_threads_16_17_softmax_saturates(images, method):
    """keras-io 370, keras 5881: the probability's gradient is zero where the network is sure."""
    model = saturated()
    with tf.GradientTape() as tape:
        inputs = tf.constant(images)
        tape.watch(inputs)
        best = tf.reduce_max(model(inputs), axis=1)
    assert not tape.gradient(best, inputs).numpy().any()
    np.testing.assert_allclose(
        gcam.Explainer(model).maps(images, method=method),
        gcam.Explainer(saturated(None)).maps(images, method=method),
        atol=1e-5,
    )
    assert gcam.Explainer(model).maps(images, method=method).any()


def test_thread_18_the_default_path_of_keras_3(images):
    """tf-explain 191, 192: `layer.output_shape` is gone; shapes come from the graph."""
    model = nested()
    assert not hasattr(model.layers[0].layers[1], "output_shape")
    shapes = {name: step.shape for name, step in gcam.Explainer(model).network.layers.items()}
    assert shapes["base/conv2"] == (None, 4, 4, 5)
    assert gcam.guided_cam(model, images).shape == (3, 8, 8)


def test_thread_19_a_sequential_that_was_never_called(images):
    """keras 20116: without an Input it has no defined output; once called, all is there."""
    model = keras.Sequential([layers.Conv2D(3, 3, activation="relu"), *default_head()])
    with pytest.raises(gcam.InputError, match=r"not built: begin it with keras.Input"):
        gcam.guided_cam(model, images)
    model(images)
    assert gcam.guided_cam(model, images).shape == (3, 8, 8)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_threads_21_22_mixed_precision(tmp_path, picture, policy):
    """tf-keras-vis 41, xplique 155, pytorch-grad-cam 96: half floats end in zeros or in errors."""
    explanation = gcam.Explainer(build_toy("flatten", dtype=policy)).explain(picture, "top3")
    assert explanation.maps.dtype == explanation.raw.dtype == np.float32
    assert explanation.probabilities.dtype == np.float32
    assert explanation.maps.any()
    explanation.save(tmp_path)


def test_thread_23_score_cam_s_passes_are_bounded(images):
    """tf-keras-vis 75: the channels go through in blocks, and a zero channel takes no pass."""
    model, sizes = build_toy("flatten"), []
    kernel, bias = model.get_layer("conv2").get_weights()
    model.get_layer("conv2").set_weights([kernel, bias - [0, 0, 0, 0, 1e3]])
    explainer = gcam.Explainer(model)
    assert not explainer.pipeline.view.forward(tf.constant(images))[0].numpy()[..., 4].any()
    forward = type(explainer.pipeline.view).forward

    class Counting(type(explainer.pipeline.view)):
        def forward(self, inputs):
            tf.py_function(lambda count: sizes.append(int(count)), [tf.shape(inputs)[0]], [])
            return forward(self, inputs)

    view = Counting(explainer.network, explainer.pipeline.view.step)
    METHODS["scorecam"](block_size=2).compile(view)(tf.constant(images), tf.constant([[0]] * 3))
    assert sizes == [3] + [2] * 6
    assert explainer.maps(images, method="scorecam").any()


@pytest.mark.parametrize(
    ("classes", "activation"), [(1, "sigmoid"), (1, None), (3, "sigmoid"), (3, "softmax")]
)
def test_thread_24_score_cam_weights_are_the_model_s_probabilities(images, classes, activation):
    """tf-keras-vis 103: a softmax over one unit, or over probabilities, makes all weights equal."""
    model = build_toy("flatten", classes=classes, activation=activation)
    explainer = gcam.Explainer(model, scores=None if activation else "logits")
    activations = explainer.pipeline.view.forward(tf.constant(images))[0]
    weights = []
    for channel in range(activations.shape[-1]):
        masks = ops.min_max(ops.resize_maps(activations[..., channel], (8, 8)))
        outputs = model(images * masks[..., None])[:, 0]
        weights.append(outputs if activation else tf.sigmoid(outputs))
    assert np.ptp(weights, axis=0).min() > 1e-3
    np.testing.assert_allclose(
        explainer.maps(images, [int(classes == 1)] * 3, method="scorecam", raw=True),
        np.einsum("nhwk,kn->nhw", activations, weights),
        atol=1e-5,
    )


def test_thread_29_raw_scores_and_colours(images):
    """pytorch-grad-cam 267, 123, 114: the method's own numbers; and hot is hot, in RGB."""
    model = build_toy("flatten")
    explainer = gcam.Explainer(model)
    raw, shown = explainer.maps(images, [0, 1, 2], raw=True), explainer.maps(images, [0, 1, 2])
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([2 * kernel, bias])
    # The map is of second degree in the gradient.
    doubled = explainer.maps(images, [0, 1, 2], raw=True)
    np.testing.assert_allclose(doubled, 4 * raw, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(explainer.maps(images, [0, 1, 2]), shown, atol=1e-5)
    grey = np.full((8, 8, 3), 128, np.uint8)
    saliency = np.zeros((8, 8), np.float32)
    saliency[4:] = 1
    for colour_map in ("inferno", "jet"):
        red, _, blue = overlay(grey, saliency, colour_map)[6, 6].astype(int)
        assert red > blue


def test_thread_29_a_map_of_zeros_is_not_nan(images):
    """torch-cam 156, 186: normalising the map of a class that nothing supports divides 0 by 0."""
    model = build_toy("flatten")
    model.get_layer("scores").set_weights([np.zeros((6, 3)), np.zeros(3)])
    np.testing.assert_array_equal(gcam.Explainer(model).maps(images, [0, 1, 2]), 0)


DIFFERENT = {
    "guided": {},
    "eigencam": {},
    "relevance_cam": {},
    "guided_backprop": {},
    "fullgrad": {},
    "smooth_fullgrad": {"samples": 2},
    "integrated_gradcam": {"steps": 2},
    "cameras": {"sizes": (8,)},
    "scorecam": {},
    "ablationcam": {},
    "rise": {"samples": 20},
}
"""A method of each way through a network, with options that keep it short."""


def test_thread_30_one_shape_and_the_same_map_each_time(images):
    """tf-explain 187, 153, tf-keras-vis 50: shapes differ by method; maps change by dropout.

    The dropout here is on in inference too, as its own model calls it.
    """
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.Dropout(0.5)(x, training=True)
    outputs = layers.Dense(3, name="scores")(layers.GlobalAveragePooling2D()(x))
    explainer = gcam.Explainer(keras.Model(inputs, outputs))
    for method in DIFFERENT:
        maps = explainer.maps(images, [0, 1, 2], method, **DIFFERENT[method])
        assert maps.shape == (3, 8, 8)
        assert maps.dtype == np.float32
        again = explainer.maps(images, [0, 1, 2], method, **DIFFERENT[method])
        np.testing.assert_array_equal(maps, again)


def test_thread_30_several_inputs_have_one_map(images):
    """tf-keras-vis 96: two inputs that are joined before the layer gave a map for each of them."""
    left, right = keras.Input((8, 8, 3), name="left"), keras.Input((8, 8, 3), name="right")
    conv, scores = layers.Conv2D(4, 3, activation="relu", name="conv"), layers.Dense(3)

    def joined(left, right):
        return scores(layers.Flatten()(conv(layers.Concatenate()([left, right]))))

    explainer = gcam.Explainer(
        keras.Model([left, right], joined(left, right)),
        input="left",
        fixed_inputs={"right": images[0]},
    )
    assert explainer.layer == "conv"
    one = keras.Model(left, joined(left, keras.ops.zeros_like(left) + images[0]))
    expected = gcam.Explainer(one).maps(images, [0, 1, 2])
    assert expected.any()
    np.testing.assert_allclose(explainer.maps(images, [0, 1, 2]), expected, atol=1e-5)


def test_thread_32_the_explanation_in_a_saved_model(tmp_path, images):
    """tensorflow 47292, ml4ir 284, keras 21258: the map is served, and by the default signature.

    A gradient that is taken outside of the model is lost when the model is saved; and a model of
    several outputs cannot be saved with a signature.
    """
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = layers.Flatten()(x)
    outputs = {"scores": layers.Dense(3, "softmax")(x), "age": layers.Dense(1)(x)}
    explainer = gcam.Explainer(keras.Model(inputs, outputs), output="scores")
    folder = gcam.export(explainer, tmp_path / "two_outputs")
    expected = explainer.maps(images, [0, 1, 2])
    assert expected.any()
    signatures = tf.saved_model.load(str(folder)).signatures
    for name in ("serving_default", "explain"):
        answer = signatures[name](images=tf.constant(images), class_ids=tf.constant([0, 1, 2]))
        np.testing.assert_allclose(answer["saliency"], expected, atol=1e-5)
