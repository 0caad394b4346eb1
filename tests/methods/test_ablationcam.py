"""Ablation-CAM: a slow reference, hand computation, closed form, and what crosses the layer."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.counting import CountRows
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import get_method

layers = keras.layers


def slow_ablationcam(activations, head, target):
    """The definition, one channel at a time; `head` gives the logits from activations."""
    (full,) = head(activations[None])
    saliency = np.zeros(activations.shape[:2])
    for k in range(activations.shape[-1]):
        without = activations.copy()
        without[..., k] = 0
        lost = full[target] - head(without[None])[0][target]
        saliency += lost / abs(full[target]) * activations[..., k]
    return np.maximum(saliency, 0)


def normalized(maps):
    return maps / maps.max(axis=(-2, -1), keepdims=True)


def test_matches_slow_reference(toy, toy_images):
    toy.get_layer("scores").bias.assign([1.0, -1.0, 0.3])
    slow = ToyNumpy(toy)
    activations = slow.activations(toy_images)
    assert (slow.logits(activations)[:, 0] > 0).all()
    assert (slow.logits(activations)[:, 1] < 0).all()
    raw = gcam.Explainer(toy).maps(toy_images, [[0, 1, 2]] * 3, "ablationcam", raw=True)
    for n, target in np.ndindex(3, 3):
        expected = slow_ablationcam(activations[n], slow.logits, target)
        np.testing.assert_allclose(raw[n, target], expected, rtol=1e-3, atol=1e-5)


def build_by_hand(bias=(0.0, 0.0)):
    """A 2 x 2 layer of three channels: x, ReLU(3 - x), and 0. The head is not linear."""
    inputs = keras.Input((2, 2, 1))
    x = layers.Conv2D(3, 1, activation="relu", name="features")(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    x = layers.Dense(2, activation="relu", name="hidden")(x)
    outputs = layers.Dense(2, activation="softmax", name="scores")(x)
    model = keras.Model(inputs, outputs)
    kernel = np.array([1, -1, -1], np.float32).reshape(1, 1, 1, 3)
    model.get_layer("features").set_weights([kernel, np.array([0, 3, 0], np.float32)])
    hidden = np.array([[4, 4], [4, -4], [4, 4]], np.float32)
    model.get_layer("hidden").set_weights([hidden, np.array([0, -5], np.float32)])
    scores = np.array([[1, -1], [2, -2]], np.float32)
    model.get_layer("scores").set_weights([scores, np.array(bias, np.float32)])
    return model


BY_HAND = np.array([[1, 2], [3, 5]], np.float32).reshape(1, 2, 2, 1)


def test_hand_computed():
    # A^1 = [[1, 2], [3, 5]], A^2 = [[2, 1], [0, 0]], A^3 = 0; means a = (2.75, 0.75, 0).
    # Hidden: ReLU(4 a1 + 4 a2), ReLU(4 a1 - 4 a2 - 5) = (14, 3)     y_0 = 14 + 6 = 20
    #   without A^1: (3, ReLU(-8) = 0)                               y_0 = 3, lost 17
    #   without A^2: (11, 6)                                          y_0 = 23, lost -3
    # S_0 = ReLU(17/20 A^1 - 3/20 A^2) = 1/20 [[17 - 6, 34 - 3], [51, 85]]
    # y_1 = -20, so the losses are -17 and 3, and over |y_1|
    # S_1 = ReLU(-17/20 A^1 + 3/20 A^2) = 0: everything there speaks against class 1 but A^2, which
    # is never stronger.
    explainer = gcam.Explainer(build_by_hand(), layer="features")
    raw = explainer.maps(BY_HAND, [[0, 1]], "ablationcam", raw=True)[0]
    np.testing.assert_allclose(raw[0], [[0.55, 1.55], [2.55, 4.25]], rtol=1e-5)
    np.testing.assert_array_equal(raw[1], np.zeros((2, 2)))


def test_negative_channels_count():
    # A^1 = x, A^2 = -x, means (2.75, -2.75), y_0 = 2 * 2.75 + 2.75 = 8.25; without A^1 it is 2.75,
    # without A^2 5.5, so S_0 = ReLU(2/3 x - 1/3 x) = x / 3.
    inputs = keras.Input((2, 2, 1))
    x = layers.Conv2D(2, 1, name="features")(inputs)
    outputs = layers.Dense(2, name="scores")(layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, outputs)
    kernel = np.array([1, -1], np.float32).reshape(1, 1, 1, 2)
    model.get_layer("features").set_weights([kernel, np.zeros(2, np.float32)])
    scores = np.array([[2, 0], [-1, 0]], np.float32)
    model.get_layer("scores").set_weights([scores, np.zeros(2, np.float32)])
    raw = gcam.Explainer(model).maps(BY_HAND, [0], "ablationcam", raw=True)[0]
    np.testing.assert_allclose(raw, [[1 / 3, 2 / 3], [1, 5 / 3]], rtol=1e-5)


@pytest.mark.parametrize("bias", [-20.0, -19.9999, -100.0, 100.0])
def test_a_constant_added_to_all_logits_changes_nothing_but_the_scale(bias):
    """Softmax does not see it; y_0 is 20 + bias, so zero, next to it, negative or large."""
    explainer = gcam.Explainer(build_by_hand((bias, bias)), layer="features")
    raw = explainer.maps(BY_HAND, [0], "ablationcam", raw=True)[0]
    assert np.isfinite(raw).all()
    np.testing.assert_allclose(normalized(raw), [[11 / 85, 31 / 85], [0.6, 1]], rtol=1e-4)


def closed_form(activations, class_weights, logits):
    """At global average pooling and one Dense, w^k = W_kc mean(A^k) / |y|."""
    weights = class_weights * activations.mean(axis=(0, 1))
    return np.maximum(activations @ weights, 0) / abs(logits)


def test_closed_form_at_global_pooling(toy_images):
    model = build_toy("gap")
    slow = ToyNumpy(model)
    activations = slow.activations(toy_images)
    raw = gcam.Explainer(model).maps(toy_images, [1] * 3, "ablationcam", raw=True)
    logits = slow.logits(activations)[:, 1]
    expected = [
        closed_form(a, slow["scores/kernel"][:, 1], y)
        for a, y in zip(activations, logits, strict=True)
    ]
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-5)


def test_closed_form_on_resnet50(compiled, resnet50, photographs):
    targets = [285, 967]
    raw = resnet50.maps(photographs[:1], [targets], "ablationcam", raw=True)[0]
    inputs = resnet50.network.preprocess(tf.constant(photographs[:1], tf.float32))
    activations, logits = (tensor.numpy()[0] for tensor in resnet50.pipeline.view.forward(inputs))
    kernel = resnet50.network.model.get_layer("predictions").get_weights()[0].astype(np.float64)
    for saliency, target in zip(raw, targets, strict=True):
        expected = closed_form(activations.astype(np.float64), kernel[:, target], logits[target])
        np.testing.assert_allclose(saliency, expected, atol=1e-3 * expected.max())


def build_crossing(kind):
    """A network whose layer `features` is not a cut of the graph."""
    keras.utils.set_random_seed(8)
    inputs = keras.Input((6, 6, 3))
    counter = CountRows(name="counter")
    x = trunk = layers.Conv2D(4, 3, padding="same", activation="tanh")(counter(inputs))
    if kind == "nested":
        inner_inputs = keras.Input((6, 6, 4))
        y = layers.Conv2D(4, 3, padding="same", activation="relu", name="features")(inner_inputs)
        x = keras.Model(inner_inputs, layers.Add()([inner_inputs, y]), name="block")(x)
    else:
        x = layers.Conv2D(4, 3, padding="same", activation="relu", name="features")(x)
    if kind == "residual":
        x = layers.Add()([trunk, x])
    if kind == "operators":
        x = keras.ops.tanh(trunk) * x + trunk
    if kind == "input":
        x = layers.Concatenate()([x, inputs])
    if kind == "two":
        x = layers.Concatenate()([layers.Add()([trunk, x]), inputs])
    x = layers.Conv2D(4, 3, activation="relu")(x)
    outputs = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    name = "block/features" if kind == "nested" else "features"
    return keras.Model(inputs, outputs), counter, name


CROSSING = {"residual": 1, "operators": 2, "nested": 1, "input": 1, "two": 2}


@pytest.mark.parametrize("kind", CROSSING)
def test_layer_that_is_not_a_cut(kind, rng):
    """The same as ablating inside whole passes, while the trunk sees each picture once."""
    images = rng.normal(size=(2, 6, 6, 3)).astype(np.float32)
    model, counter, name = build_crossing(kind)
    explainer = gcam.Explainer(model, layer=name)
    assert explainer.pipeline.view.covered is None  # Found out by running the network, once.
    counter.rows = 0
    graph, step = explainer.network.graph, explainer.pipeline.view.step
    assert len(graph.frontier(step)) == CROSSING[kind]
    raw = explainer.maps(images, [[0, 1, 2]] * 2, "ablationcam", raw=True, block_size=3)
    assert counter.rows == 2
    activations, _ = explainer.pipeline.view.forward(tf.constant(images))
    for n, target in np.ndindex(2, 3):
        known = {graph.input: images[n : n + 1]}

        def whole_pass(ablated, known=known):
            edits = {step.outputs[0]: lambda _: tf.constant(ablated)}
            return graph.run(known, [graph.logits], edits)[0].numpy()

        expected = slow_ablationcam(activations[n].numpy(), whole_pass, target)
        np.testing.assert_allclose(raw[n, target], expected, rtol=1e-3, atol=1e-5)


def test_frontier_of_a_cut_is_empty(opened):
    assert opened.network.graph.frontier(opened.pipeline.view.step) == []


@pytest.mark.parametrize(
    ("layer", "crossing"),
    [
        ("conv5_block3_out", []),
        ("conv5_block3_3_conv", ["conv5_block2_out"]),
        ("conv5_block1_3_conv", ["conv5_block1_0_bn"]),
    ],
)
def test_frontier_in_resnet50(resnet50, layer, crossing):
    graph = resnet50.network.graph
    step = resnet50.network.view(layer).step
    names = {slot: each.name for each in graph.steps for slot in each.outputs}
    assert [names[slot] for slot in graph.frontier(step)] == crossing


def test_second_output_of_a_step_crosses(rng):
    """The channels of the first half are ablated, the second half reaches the head as it is."""
    keras.utils.set_random_seed(2)
    inputs = keras.Input((4, 4, 6))
    first, second = keras.ops.split(layers.Conv2D(6, 1)(inputs), 2, axis=-1)
    x = layers.Flatten()(layers.Multiply()([first, second]))
    model = keras.Model(inputs, layers.Dense(2)(x))
    explainer = gcam.Explainer(model, layer=first._keras_history.operation.name)
    images = rng.normal(size=(1, 4, 4, 6)).astype(np.float32)
    raw = explainer.maps(images, [0], "ablationcam", raw=True)[0]
    kernel, bias, dense, shift = model.get_weights()
    activations = np.einsum("hwc,cd->hwd", images[0], kernel[0, 0]) + bias

    def head(ablated):
        return (ablated * activations[..., 3:]).reshape(1, -1) @ dense + shift

    expected = slow_ablationcam(activations[..., :3], head, 0)
    np.testing.assert_allclose(raw, expected, rtol=1e-3, atol=1e-5)


def test_dead_channels_cost_no_pass_and_targets_share_them(compiled, toy_images):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3))
    counter = CountRows(name="counter")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(inputs)
    outputs = layers.Dense(4)(layers.Flatten()(counter(x)))
    model = keras.Model(inputs, outputs)
    kernel, bias = model.get_layer("features").get_weights()
    kernel[..., :4] = 0
    bias[3] = 0.5
    model.get_layer("features").set_weights([kernel, bias])
    explainer = gcam.Explainer(model, layer="features")
    counter.rows = counter.traces = 0
    explainer.maps(toy_images, [0, 1, 2], "ablationcam")
    assert counter.rows == 3 + 3 * 3
    explainer.maps(toy_images, [[0, 1, 2, 3]] * 3, "ablationcam")
    explainer.maps(toy_images[:1], [3], "ablationcam")
    assert counter.rows == 2 * (3 + 3 * 3) + 1 + 3
    assert counter.traces == 2


@pytest.mark.parametrize("block_size", [1, 7])
def test_block_size_changes_nothing(opened, toy_images, block_size):
    expected = opened.maps(toy_images, [0] * 3, "ablationcam", raw=True)
    raw = opened.maps(toy_images, [0] * 3, "ablationcam", raw=True, block_size=block_size)
    np.testing.assert_allclose(raw, expected, rtol=1e-4, atol=1e-6)


def test_batch_is_loop_and_targets_one_by_one(opened, toy_images):
    together = opened.maps(toy_images, [[2, 0]] * 3, "ablationcam", raw=True, block_size=4)
    for n, target in np.ndindex(3, 2):
        alone = opened.maps(toy_images[n : n + 1], [[2, 0][target]], "ablationcam", raw=True)
        np.testing.assert_allclose(together[n, target], alone[0], rtol=1e-4, atol=1e-6)


def test_logits_scaled_scale_nothing(toy, toy_images):
    before = gcam.Explainer(toy).maps(toy_images, [0] * 3, "ablationcam", raw=True)
    kernel, bias = toy.get_layer("scores").get_weights()
    toy.get_layer("scores").set_weights([8 * kernel, 8 * bias])
    after = gcam.Explainer(toy).maps(toy_images, [0] * 3, "ablationcam", raw=True)
    np.testing.assert_allclose(before, after, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("value", [0, 255])
def test_flat_pictures_give_finite_maps(opened, value):
    images = np.full((1, 8, 8, 3), value, np.uint8)
    maps = opened.maps(images, [[0, 1, 2]], "ablationcam")
    assert maps.shape == (1, 3, 8, 8)
    assert np.isfinite(maps).all()


def test_a_picture_without_live_channels_gives_zero():
    toy = build_toy("flatten", bias=False)
    raw = gcam.Explainer(toy).maps(np.zeros((2, 8, 8, 3)), [0, 1], "ablationcam", raw=True)
    np.testing.assert_array_equal(raw, np.zeros((2, 4, 4)))


def test_mixed_precision_agrees(toy_images):
    single = toy_explainer("flatten").maps(toy_images, [2] * 3, "ablationcam")
    half = gcam.Explainer(build_toy("flatten", dtype="mixed_float16"))
    np.testing.assert_allclose(half.maps(toy_images, [2] * 3, "ablationcam"), single, atol=1e-5)


@pytest.mark.parametrize("block_size", [0, -3, 1.5, "32", True])
def test_bad_block_size(block_size):
    message = f"ablationcam: block_size must be a whole number of at least 1; .*{block_size}"
    with pytest.raises(InputError, match=message):
        get_method("ablationcam", block_size=block_size)
