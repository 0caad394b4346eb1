"""Excitation backprop, LRP and DeepLIFT: by hand, against loops, and what they conserve."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.relevance_numpy import loops_dense
from methods.relevance_numpy import loops_pooling
from methods.toy_numpy import ToyNumpy
from methods.toy_numpy import convolve
from methods.toy_numpy import pool

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method

layers = keras.layers
IDS = [[0, 1], [2, 0], [1, 2]]
METHODS = ("excitation_backprop", "contrastive_excitation_backprop", "lrp", "deeplift")


def awake(sign=1.0):
    """A toy network whose hidden units are all active, so that every class has some for it."""
    model = build_toy("flatten")
    model.get_layer("fc").bias.assign([2.0, 1.5, 2.5, 2.0, 1.8, 2.2])
    kernel, bias = model.get_layer("scores").get_weights()
    kernel = np.random.default_rng(8).normal(size=kernel.shape)
    assert (kernel > 0).any(axis=0).all()
    model.get_layer("scores").set_weights([sign * kernel, bias])
    return model


@pytest.fixture(scope="module")
def explainer():
    return gcam.Explainer(awake())


def run(explainer, images, method, ids=IDS, **options):
    """The kernel's tensors as arrays."""
    kernel = explainer.pipeline.kernel(get_method(method, **options))
    result = kernel(tf.constant(images, tf.float32), tf.constant(ids, tf.int32))
    return {key: tensor.numpy() for key, tensor in result.items()}


@pytest.mark.parametrize("method", METHODS)
def test_pictures_and_targets_are_apart(compiled, explainer, toy_images, method):
    batch = explainer.maps(toy_images, IDS, method, raw=True)
    size = (8, 8) if method in ("lrp", "deeplift") else (4, 4)
    assert batch.shape == (3, 2, *size)
    assert batch.max() > 0
    assert batch.min() >= 0
    for image, targets, maps in zip(toy_images, IDS, batch, strict=True):
        alone = [explainer.maps(image[None], [t], method, raw=True)[0] for t in targets]
        np.testing.assert_allclose(maps, alone, rtol=1e-4, atol=1e-6 * batch.max())
    kernel = explainer.pipeline.kernel(get_method(method))
    assert kernel.experimental_get_tracing_count() == 1


@pytest.mark.parametrize("method", METHODS)
def test_flat_pictures_have_finite_maps(explainer, method):
    images = np.stack([np.zeros((8, 8, 3)), np.full((8, 8, 3), 3)]).astype(np.float32)
    for raw in (True, False):
        maps = explainer.maps(images, [0, 1], method, raw=raw)
        assert np.isfinite(maps).all()
        assert (maps >= 0).all()


def loops_walk(slow, image, start):
    """P at `conv2` from relevance at the hidden units of `fc`, by z+ without biases."""
    second = slow.activations(image[None])[0]
    return loops_dense(second.ravel(), slow["fc/kernel"], start).reshape(second.shape)


def test_excitation_backprop_matches_loops(explainer, toy_images):
    slow = ToyNumpy(explainer.network.model)
    for contrastive in (False, True):
        name = "contrastive_excitation_backprop" if contrastive else "excitation_backprop"
        found = run(explainer, toy_images, name, [[0, 1, 2]] * 3)["saliency"]
        for n, t in np.ndindex(3, 3):
            second = slow.activations(toy_images[n : n + 1].astype(np.float64))[0]
            hidden = np.maximum(second.ravel() @ slow["fc/kernel"] + slow["fc/bias"], 0)
            start = loops_dense(hidden, slow["scores/kernel"], np.eye(3)[t])
            if contrastive:
                start = start - loops_dense(hidden, -slow["scores/kernel"], np.eye(3)[t])
            walk = loops_walk(slow, toy_images[n].astype(np.float64), start).sum(axis=2)
            np.testing.assert_allclose(found[n, t], np.maximum(walk, 0), rtol=1e-3, atol=1e-6)
            if not contrastive:
                assert found[n, t].sum() == pytest.approx(1, abs=1e-5)


def test_excitation_backprop_by_hand():
    # Channels a and b at two positions: a = (1, 3), b = (4, 0); W = [[2, -1], [-1, 1]].
    model = keras.Sequential(
        [
            keras.Input((2, 2, 2)),
            layers.Conv2D(2, 1, activation="relu", use_bias=False, name="maps"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(2, name="scores"),
        ]
    )
    model.get_layer("maps").set_weights([np.eye(2)[None, None]])
    model.get_layer("scores").set_weights([np.array([[2, -1], [-1, 1]]), np.array([9, 9])])
    image = np.array([[[[1, 4], [0, 0]], [[3, 0], [0, 0]]]], np.float32)
    # Class 0 walks to a alone: (1/4, 3/4). Its opposite walks to b alone: (1, 0).
    explainer = gcam.Explainer(model, layer="maps")
    plain = explainer.maps(image, [[0, 1]], "excitation_backprop", raw=True)[0]
    np.testing.assert_allclose(plain, [[[1 / 4, 0], [3 / 4, 0]], [[1, 0], [0, 0]]], atol=1e-6)
    contrast = explainer.maps(image, [[0, 1]], "contrastive_excitation_backprop", raw=True)[0]
    np.testing.assert_allclose(contrast, [[[0, 0], [3 / 4, 0]], [[3 / 4, 0], [0, 0]]], atol=1e-6)


def test_the_opposite_class_swaps_the_walks(explainer, toy_images):
    """Of the negated network, the contrast is the other part: together they are all of it."""
    name = "contrastive_excitation_backprop"
    negated = gcam.Explainer(awake(-1.0))
    ours, theirs = (run(each, toy_images, name)["saliency"] for each in (explainer, negated))
    np.testing.assert_allclose(ours.sum(axis=(2, 3)), theirs.sum(axis=(2, 3)), atol=1e-5)
    assert ours.sum() > 0.1
    np.testing.assert_allclose(np.minimum(ours, theirs), 0, atol=1e-6)


def test_one_unit_walks_by_its_negated_weights_for_the_other_class(toy_images):
    model = build_toy("flatten", classes=1, activation="sigmoid")
    model.get_layer("fc").bias.assign(np.full(6, 2.0))
    model.get_layer("scores").kernel.assign([[1], [-1], [2], [-2], [0.5], [-3]])
    found = run(gcam.Explainer(model), toy_images, "excitation_backprop", [[0, 1]] * 3)
    np.testing.assert_allclose(found["saliency"].sum(axis=(2, 3)), 1, atol=1e-5)
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([-kernel, bias])
    swapped = run(gcam.Explainer(model), toy_images, "excitation_backprop", [[1, 0]] * 3)
    np.testing.assert_allclose(found["saliency"], swapped["saliency"], atol=1e-6)


@pytest.mark.parametrize("layer", ["conv5_block3_out", "conv4_block6_out"])
def test_each_of_two_objects_has_its_class_s_walk(resnet50, photographs, layer):
    """A cat on the left and a cup of coffee on the right."""
    targets = ["Egyptian cat", "espresso"]
    method = "contrastive_excitation_backprop"
    raw = resnet50.at(layer).explain(np.hstack(photographs), targets, method).raw
    middle = raw.shape[-1] // 2
    left = raw[:, :, :middle].sum(axis=(1, 2)) / raw.sum(axis=(1, 2))
    assert left[0] > 0.8
    assert left[1] < 0.2


def test_contrastive_excitation_backprop_needs_weights_after_the_layer(toy_images):
    inputs = keras.Input((8, 8, 3))
    maps = layers.Conv2D(3, 3, activation="relu", name="maps")(inputs)
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(maps))
    explainer = gcam.Explainer(model, layer="maps", scores="logits")
    with pytest.raises(gcam.InputError, match=r"negates the weights of the last layer.*'maps'"):
        explainer.maps(toy_images, [0, 1, 2], "contrastive_excitation_backprop")
    plain = run(explainer, toy_images, "excitation_backprop", [[0], [1], [2]])["saliency"]
    assert (np.abs(plain.sum(axis=(2, 3)) - 1) < 1e-5).any()


def loops_z_box(x, kernel, relevance):
    """The z-box rule of a convolution with zero padding; bounds are the channels' own."""
    radius, shape = kernel.shape[0] // 2, x.shape
    low, high = x.min(axis=(0, 1)), x.max(axis=(0, 1))
    found = np.zeros((shape[0] + 2 * radius, shape[1] + 2 * radius, shape[2]))
    for i, j, f in np.ndindex(*relevance.shape):
        terms = {}
        for a, b, c in np.ndindex(*kernel.shape[:3]):
            row, column = i + a - radius, j + b - radius
            if 0 <= row < shape[0] and 0 <= column < shape[1]:
                w = kernel[a, b, c, f]
                bound = low[c] if w > 0 else high[c]
                terms[row, column, c] = (x[row, column, c] - bound) * w
        total = sum(terms.values())
        for (row, column, c), term in terms.items():
            found[row, column, c] += term / total * relevance[i, j, f]
    return found[: shape[0], : shape[1]]


def loops_convolution(x, kernel, relevance):
    """z+ of a convolution with zero padding, without its bias."""
    positive, found = np.maximum(kernel, 0), np.zeros_like(x)
    sums = convolve(x[None], positive, 0)[0]
    for i, j, f in np.ndindex(*relevance.shape):
        for a, b, c in np.ndindex(*kernel.shape[:3]):
            row, column = i + a - 1, j + b - 1
            if 0 <= row < x.shape[0] and 0 <= column < x.shape[1] and sums[i, j, f] > 0:
                share = x[row, column, c] * positive[a, b, c, f] / sums[i, j, f]
                found[row, column, c] += share * relevance[i, j, f]
    return found


def test_lrp_matches_loops_and_conserves(explainer, toy_images):
    slow = ToyNumpy(explainer.network.model)
    found = run(explainer, toy_images, "lrp", [[0, 1, 2]] * 3)
    np.testing.assert_allclose(found["attribution"].sum(axis=(2, 3)), 1, atol=1e-4)
    for n, t in ((0, 1), (2, 0)):
        x = toy_images[n].astype(np.float64)
        first = np.maximum(convolve(x[None], slow["conv1/kernel"], slow["conv1/bias"]), 0)[0]
        second = slow.activations(x[None])[0]
        hidden = np.maximum(second.ravel() @ slow["fc/kernel"] + slow["fc/bias"], 0)
        relevance = loops_dense(hidden, slow["scores/kernel"], np.eye(3)[t])
        relevance = loops_walk(slow, x, relevance)
        relevance = loops_convolution(pool(first[None])[0], slow["conv2/kernel"], relevance)
        relevance = loops_pooling(first, relevance)
        expected = loops_z_box(x, slow["conv1/kernel"], relevance).sum(axis=2)
        np.testing.assert_allclose(found["attribution"][n, t], expected, rtol=1e-3, atol=1e-6)
        np.testing.assert_allclose(found["saliency"][n, t], np.maximum(expected, 0), atol=1e-5)


def test_lrp_by_hand_within_bounds():
    # Pixels are in 0..255, and each row has w = (1, -1). So x = (51, 204) has the terms 51 and
    # 255 - 204 = 51, half each, and x = (102, 204) has 102 and 51.
    model = keras.Sequential(
        [
            keras.Input((2, 2, 1)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(1, (1, 2), activation="relu", name="maps"),
            layers.Flatten(),
            layers.Dense(2, name="scores"),
        ]
    )
    model.get_layer("maps").set_weights([np.array([[[[1]], [[-1]]]]), np.ones(1)])
    model.get_layer("scores").set_weights([np.eye(2), np.zeros(2)])
    explainer = gcam.Explainer(model, layer="maps", preprocess=lambda x: x)
    image = np.array([[[[51], [204]], [[102], [204]]]], np.float32)
    raw = explainer.maps(image, [[0, 1]], "lrp", raw=True)[0]
    np.testing.assert_allclose(raw, [[[1 / 2, 1 / 2], [0, 0]], [[0, 0], [2 / 3, 1 / 3]]], atol=1e-5)


@pytest.mark.parametrize("kind", ["padding", "depthwise", "residual"])
def test_lrp_conserves_through(kind, toy_images):
    keras.utils.set_random_seed(4)
    inputs = keras.Input((8, 8, 3))
    x = layers.ZeroPadding2D(1)(inputs) if kind == "padding" else inputs
    x = layers.Conv2D(6, 3, activation="relu")(x)
    if kind == "depthwise":
        x = layers.DepthwiseConv2D(3, activation="relu")(x)
    if kind == "residual":
        y = layers.Conv2D(6, 3, padding="same")(x)
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Dense(16, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x)))
    explainer = gcam.Explainer(keras.Model(inputs, layers.Dense(3)(x)), scores="logits")
    found = run(explainer, toy_images, "lrp")["attribution"]
    np.testing.assert_allclose(found.sum(axis=(2, 3)), 1, atol=1e-3)


ACTIVATIONS = ["relu", "tanh", "gelu", "silu", "elu", "relu6", "sigmoid"]


def net(activation, pooling=layers.MaxPooling2D):
    """Convolutions with batch normalisation, a branch, and pooling."""
    keras.utils.set_random_seed(6)
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
    x = layers.Activation(activation)(layers.BatchNormalization()(x))
    y = layers.Conv2D(4, 3, padding="same", activation=activation)(x)
    x = pooling()(layers.Concatenate()([layers.Add()([x, y]), x]))
    if pooling is layers.MaxPooling2D:
        x = layers.Flatten()(x)
    model = keras.Model(inputs, layers.Dense(3)(layers.Dense(8, activation=activation)(x)))
    generator = np.random.default_rng(5)
    for variable in model.weights:
        if "kernel" not in variable.name:
            variable.assign(variable + 0.3 * np.abs(generator.normal(size=variable.shape)))
    return model


@pytest.mark.parametrize("baseline", ["black", "mean"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_deeplift_sums_to_the_difference(activation, baseline, toy_images):
    check_sums(net(activation), baseline, toy_images)


def test_deeplift_sums_to_the_difference_after_global_max_pooling(toy_images):
    check_sums(net("relu", layers.GlobalMaxPooling2D), "black", toy_images)


def check_sums(model, baseline, images):
    explainer = gcam.Explainer(model, preprocess=lambda x: 2.0 * x + 0.3, scores="logits")
    found = run(explainer, images, "deeplift", baseline=baseline)
    start = np.full_like(images, 0.3 if baseline == "black" else 0)
    change = found["logits"] - np.asarray(model(start))
    change = np.take_along_axis(change, np.array(IDS), axis=1)
    sums = found["attribution"].sum(axis=(2, 3))
    np.testing.assert_allclose(sums, change, rtol=1e-3, atol=1e-4 * np.abs(change).max())
    np.testing.assert_array_equal(found["saliency"], np.maximum(found["attribution"], 0))


def slow_deeplift(slow, x, target):
    """R of a toy network from zeros, in float64: multipliers through loops of matrices."""

    def forward(x):
        z1 = convolve(x[None], slow["conv1/kernel"], slow["conv1/bias"])[0]
        pooled = pool(np.maximum(z1, 0)[None])[0]
        z2 = convolve(pooled[None], slow["conv2/kernel"], slow["conv2/bias"])[0]
        z3 = np.maximum(z2, 0).ravel() @ slow["fc/kernel"] + slow["fc/bias"]
        return z1, z2, z3

    def chord(z, b):
        moves = np.abs(z - b) > 1e-12
        change = np.maximum(z, 0) - np.maximum(b, 0)
        return np.where(moves, change / np.where(moves, z - b, 1), z > 0)

    def transposed(kernel, m):
        found = np.zeros((*m.shape[:2], kernel.shape[2]))
        for i, j, f in np.ndindex(*m.shape):
            for a, b in np.ndindex(3, 3):
                row, column = i + a - 1, j + b - 1
                if 0 <= row < m.shape[0] and 0 <= column < m.shape[1]:
                    found[row, column] += kernel[a, b, :, f] * m[i, j, f]
        return found

    (z1, z2, z3), (b1, b2, b3) = forward(x), forward(np.zeros_like(x))
    m = slow["scores/kernel"][:, target] * chord(z3, b3)
    m = (slow["fc/kernel"] @ m).reshape(z2.shape) * chord(z2, b2)
    m = transposed(slow["conv2/kernel"], m)
    a1, c1 = np.maximum(z1, 0), np.maximum(b1, 0)
    out, base = pool(a1[None])[0], pool(c1[None])[0]
    highest = np.maximum(out, base)
    parts = loops_pooling(a1, m * (highest - base)) + loops_pooling(c1, m * (out - highest))
    m = np.divide(parts, a1 - c1, out=np.zeros_like(parts), where=np.abs(a1 - c1) > 1e-12)
    return (x * transposed(slow["conv1/kernel"], m * chord(z1, b1))).sum(axis=2)


def test_deeplift_matches_loops(explainer, toy_images):
    slow = ToyNumpy(explainer.network.model)
    found = run(explainer, toy_images, "deeplift")["attribution"]
    for n, t in np.ndindex(3, 2):
        expected = slow_deeplift(slow, toy_images[n].astype(np.float64), IDS[n][t])
        assert np.abs(expected).max() > 1e-3
        np.testing.assert_allclose(found[n, t], expected, rtol=1e-3, atol=1e-5)


def test_deeplift_is_input_times_gradient_without_biases_and_pooling(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", use_bias=False)(inputs)
    x = layers.Dense(5, activation="relu", use_bias=False)(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(3, use_bias=False)(x))
    explainer = gcam.Explainer(model, scores="logits")
    ours, other = (run(explainer, toy_images, m) for m in ("deeplift", "input_x_gradient"))
    assert np.abs(other["attribution"]).max() > 0
    np.testing.assert_allclose(ours["attribution"], other["attribution"], rtol=1e-4, atol=1e-6)


def test_deeplift_by_hand():
    # Y = relu(x - 1), from 0 to 3: the chord's slope is 2/3, so R = 2; the tangent's would be 3.
    inputs = keras.Input((2, 1, 1))
    x = layers.Conv2D(1, 1, name="features")(inputs)
    x = layers.Dense(1, activation="relu", name="unit")(layers.Flatten()(x))
    model = keras.Model(inputs, layers.Dense(2, use_bias=False, name="scores")(x))
    model.get_layer("features").set_weights([np.ones((1, 1, 1, 1)), np.zeros(1)])
    model.get_layer("unit").set_weights([np.array([[1.0], [0]]), np.array([-1.0])])
    model.get_layer("scores").set_weights([np.array([[1.0, -1.0]])])
    explainer = gcam.Explainer(model, scores="logits")
    found = run(explainer, np.array([[[[3.0]], [[7]]]]), "deeplift", [[0, 1]])["attribution"]
    np.testing.assert_allclose(found[0], [[[2], [0]], [[-2], [0]]], atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: layers.LayerNormalization(name="norm"), r"'norm' \(LayerNormalization\)"),
        (lambda: layers.Activation("softmax", name="soft"), r"'soft' \(softmax\)"),
    ],
)
def test_deeplift_names_a_layer_without_a_rule(layer, message, toy_images):
    inputs = keras.Input((8, 8, 3))
    x = layers.Flatten()(layer()(layers.Conv2D(4, 3, name="conv")(inputs)))
    explainer = gcam.Explainer(keras.Model(inputs, layers.Dense(3)(x)), layer="conv")
    with pytest.raises(gcam.InputError, match=f"deeplift has no rule for layer {message}"):
        explainer.maps(toy_images, [0, 1, 2], "deeplift")
    for method in ("lrp", "excitation_backprop"):
        with pytest.raises(gcam.InputError, match=f"{method} has no rule for"):
            explainer.maps(toy_images, [0, 1, 2], method)
