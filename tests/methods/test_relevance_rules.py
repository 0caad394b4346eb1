"""Each rule against dense matrix algebra, and what holds of the sum of relevance.

A layer's matrix J is read off the layer itself, column by column: J_ji is what input i alone adds
to output j. Every rule is then a few lines of NumPy in float64.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.relevance_rules import RULES
from guidedcam_tf.methods.relevance_rules import Call
from guidedcam_tf.methods.relevance_rules import rule_of
from guidedcam_tf.networks.reading import read_graph

layers = keras.layers


@pytest.fixture(autouse=True)
def seeded():
    """The same initial weights in every run."""
    keras.utils.set_random_seed(2)


def step_of(layer, shape, count=1):
    """The place of a layer in a model that calls it with `count` tensors of one shape."""
    inputs = keras.Input(shape)
    tensors = [layers.Identity()(inputs) for _ in range(count)]
    outputs = layer(tensors if count > 1 else tensors[0])
    return read_graph(keras.Model(inputs, outputs)).steps[-1]


def pass_back(step, inputs, relevance, **options):
    """The relevance of each input, by the rule."""
    call = Call(step, [tf.constant(x, tf.float32) for x in inputs], **options)
    shares = rule_of(step)(call)(tf.constant(relevance, tf.float32))
    return [share.numpy() for share in shares]


def matrix_of(layer, shape):
    """J of a layer for one input of that shape, float64 `[outputs, inputs]`."""
    size = int(np.prod(shape))
    zero = np.asarray(layer(np.zeros((1, *shape), np.float32)))
    columns = np.asarray(layer(np.eye(size, dtype=np.float32).reshape(size, *shape)))
    return (columns - zero).reshape(size, -1).T.astype(np.float64)


def share_out(terms, relevance, constant=0.0):
    """R_i = sum_j terms_ji / (sum_i terms_ji + constant_j) R_j, and 0 from a sum that is 0."""
    sums = terms.sum(axis=1) + constant
    ratio = np.divide(relevance, sums, out=np.zeros_like(sums), where=sums != 0)
    return terms.T @ ratio


def draw(rng, *shape):
    """Numbers of both signs."""
    return rng.normal(size=shape).astype(np.float32)


def with_bias(layer, shape, rng):
    """The layer, built, with biases that are small beside its sums, so that no sum is near 0."""
    layer.build((None, *shape))
    if layer.bias is not None:
        layer.bias.assign(rng.uniform(0.1, 0.3, size=layer.bias.shape))
    return layer


LINEAR = {
    "dense": (lambda: layers.Dense(4), (5,)),
    "dense of a map": (lambda: layers.Dense(3), (2, 2, 4)),
    "conv valid": (lambda: layers.Conv2D(3, 3), (4, 5, 2)),
    "conv same": (lambda: layers.Conv2D(3, 3, padding="same"), (4, 4, 2)),
    "conv strides": (lambda: layers.Conv2D(3, (3, 2), strides=2, padding="same"), (5, 5, 2)),
    "conv dilation": (lambda: layers.Conv2D(2, 3, dilation_rate=2), (5, 5, 2)),
    "conv groups": (lambda: layers.Conv2D(4, 2, groups=2), (3, 3, 4)),
    "conv without bias": (lambda: layers.Conv2D(3, 1, use_bias=False), (3, 3, 4)),
    "depthwise": (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        (4, 4, 3),
    ),
    "depthwise strides": (lambda: layers.DepthwiseConv2D(2, strides=2), (4, 4, 3)),
    "depthwise dilation": (lambda: layers.DepthwiseConv2D(3, dilation_rate=2), (5, 5, 2)),
}


@pytest.mark.parametrize("name", LINEAR)
@pytest.mark.parametrize("conv_bias", ["twice", "none"])
@pytest.mark.parametrize("nonnegative", [False, True])
def test_z_plus_is_shares_of_the_positive_products(compiled, name, conv_bias, nonnegative, rng):
    build, shape = LINEAR[name]
    layer = with_bias(build(), shape, rng)
    step, matrix = step_of(layer, shape), matrix_of(layer, shape)
    inputs = draw(rng, 2, *shape)
    inputs = np.abs(inputs) if nonnegative else inputs
    outputs = np.asarray(layer(inputs))
    relevance = draw(rng, *outputs.shape)

    constant = np.zeros(outputs.shape[1:])
    if layer.bias is not None and conv_bias == "twice" and "conv" in type(layer).__name__.lower():
        bias = 2 * np.asarray(layer.bias, np.float64)
        constant += bias
    (found,) = pass_back(step, [inputs], relevance, nonnegative=nonnegative, conv_bias=conv_bias)
    for x, r, share in zip(inputs, relevance, found, strict=True):
        positive = np.maximum(matrix * x.ravel(), 0)
        expected = share_out(positive, r.ravel(), constant.ravel())
        np.testing.assert_allclose(share.ravel(), expected, rtol=1e-4, atol=1e-5)


def test_a_negative_input_counts_through_negative_weights(rng):
    layer = with_bias(layers.Dense(1, use_bias=False), (3,), rng)
    layer.kernel.assign([[2.0], [-3.0], [5.0]])
    # x w = 4, 3 and -5: the first two share R = 7, the third gets nothing.
    (found,) = pass_back(step_of(layer, (3,)), [[[2.0, -1.0, -1.0]]], [[7.0]])
    np.testing.assert_allclose(found, [[4.0, 3.0, 0.0]], rtol=1e-6)


def test_conv_bias_keeps_its_share():
    layer = layers.Conv2D(1, 1)
    step = step_of(layer, (1, 2, 1))
    layer.set_weights([np.full((1, 1, 1, 1), 2.0), np.array([0.5])])
    # At the left x w = 3 and 2 b = 1, so the input gets 3 / 4 of 8; at the right x w = 1: 1 / 2.
    inputs, relevance = [[[[1.5], [0.5]]]], [[[[8.0], [8.0]]]]
    (found,) = pass_back(step, [inputs], relevance)
    np.testing.assert_allclose(found, [[[[6.0], [4.0]]]], rtol=1e-6)
    (found,) = pass_back(step, [inputs], relevance, conv_bias="none")
    np.testing.assert_allclose(found, relevance, rtol=1e-6)


ROUTED = {
    "max": (lambda: layers.MaxPooling2D(2), (4, 4, 2)),
    "max overlapping": (lambda: layers.MaxPooling2D(3, strides=2, padding="same"), (5, 5, 2)),
    "global max": (lambda: layers.GlobalMaxPooling2D(), (3, 3, 2)),
    "padding": (lambda: layers.ZeroPadding2D(((1, 0), (2, 1))), (3, 3, 2)),
    "cropping": (lambda: layers.Cropping2D(1), (4, 4, 2)),
    "flatten": (lambda: layers.Flatten(), (2, 3, 2)),
    "reshape": (lambda: layers.Reshape((6, 2)), (2, 3, 2)),
    "permute": (lambda: layers.Permute((3, 1, 2)), (2, 3, 2)),
}


@pytest.mark.parametrize("name", ROUTED)
def test_routing_gives_each_output_to_the_input_it_came_from(name, rng):
    build, shape = ROUTED[name]
    layer, inputs = build(), rng.permutation(np.arange(1.0, 101.0))[: 2 * int(np.prod(shape))]
    inputs = inputs.reshape(2, *shape)
    outputs = np.asarray(layer(inputs))
    relevance = draw(rng, *outputs.shape)
    (found,) = pass_back(step_of(layer, shape), [inputs], relevance)
    for x, y, r, share in zip(inputs, outputs, relevance, found, strict=True):
        # All inputs differ and none is 0, so an output's value names the input it came from.
        came_from = y.ravel()[:, None] == x.ravel()[None, :]
        np.testing.assert_allclose(share.ravel(), came_from.T @ r.ravel(), rtol=1e-5, atol=1e-6)


def test_concatenation_takes_relevance_apart(rng):
    step = step_of(layers.Concatenate(), (2, 2, 3), count=2)
    relevance = draw(rng, 1, 2, 2, 6)
    found = pass_back(step, [draw(rng, 1, 2, 2, 3)] * 2, relevance)
    np.testing.assert_array_equal(np.concatenate(found, axis=-1), relevance)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (layers.GlobalAveragePooling2D(), (3, 4, 2)),
        (layers.AveragePooling2D(2), (4, 4, 2)),
        (layers.AveragePooling2D(3, strides=1, padding="same"), (4, 4, 2)),
    ],
    ids=["global", "cells", "overlapping"],
)
def test_averaging_shares_by_the_positive_inputs(layer, shape, rng):
    inputs = draw(rng, 2, *shape)
    relevance = draw(rng, *layer(inputs).shape)
    (found,) = pass_back(step_of(layer, shape), [inputs], relevance)
    matrix = matrix_of(layer, shape)
    for x, r, share in zip(inputs, relevance, found, strict=True):
        expected = share_out(matrix * np.maximum(x, 0).ravel(), r.ravel())
        np.testing.assert_allclose(share.ravel(), expected, rtol=1e-4, atol=1e-5)


def test_addition_shares_by_signed_value():
    # 3 of 3 + 1, -1 of -1 + 2, 0 of 0 + 2, and a sum of 0 that passes nothing on.
    first, second = [[3.0, -1.0, 0.0, 1.0]], [[1.0, 2.0, 2.0, -1.0]]
    step = step_of(layers.Add(), (4,), count=2)
    found = pass_back(step, [first, second], [[8.0, 8.0, 8.0, 8.0]])
    np.testing.assert_allclose(found[0], [[6.0, -8.0, 0.0, 0.0]], rtol=1e-6)
    np.testing.assert_allclose(found[1], [[2.0, 16.0, 8.0, 0.0]], rtol=1e-6)


def test_addition_of_a_tensor_to_itself_shares_evenly():
    inputs = keras.Input((2,))
    step = read_graph(keras.Model(inputs, layers.Add()([inputs, inputs]))).steps[-1]
    same = tf.constant([[1.0, 3.0]])
    found = rule_of(step)(Call(step, [same, same]))(tf.constant([[4.0, 6.0]]))
    np.testing.assert_allclose(found, [[[2.0, 3.0]], [[2.0, 3.0]]], rtol=1e-6)


def test_the_plus_sign_and_ops_relu_are_known():
    inputs = keras.Input((2,))
    graph = read_graph(keras.Model(inputs, keras.ops.relu(inputs) + 3.0))
    rectifier, plus = graph.steps
    (found,) = pass_back(rectifier, [[[1.0, -2.0]]], [[5.0, 6.0]])
    np.testing.assert_array_equal(found, [[5.0, 6.0]])
    # The constant keeps its share: 1 of 1 + 3, and 0 of 0 + 3.
    (found,) = pass_back(plus, [[[1.0, 0.0]]], [[8.0, 8.0]])
    np.testing.assert_allclose(found, [[2.0, 0.0]], rtol=1e-6)


@pytest.mark.parametrize("axis", [-1, 1])
def test_batch_normalization_keeps_relevance_but_where_it_saw_nothing(axis):
    layer = layers.BatchNormalization(axis=axis)
    step = step_of(layer, (2, 2))
    layer.set_weights([np.array(v) for v in ([0.0, -2.0], [1.0, 1.0], [3.0, 4.0], [5.0, 6.0])])
    # The scale of the first channel is 0, and so is one input of the second.
    (found,) = pass_back(step, [[[[1.0, 2.0], [3.0, 0.0]]]], [[[5.0, 6.0], [7.0, 8.0]]])
    expected = [[[0.0, 6.0], [0.0, 0.0]]] if axis == -1 else [[[0.0, 0.0], [7.0, 0.0]]]
    np.testing.assert_array_equal(found, expected)


def test_batch_normalization_without_scale_keeps_relevance(rng):
    step = step_of(layers.BatchNormalization(scale=False), (2, 2, 3))
    relevance = draw(rng, 1, 2, 2, 3)
    (found,) = pass_back(step, [draw(rng, 1, 2, 2, 3)], relevance)
    np.testing.assert_array_equal(found, relevance)


@pytest.mark.parametrize(
    "layer",
    [
        layers.ReLU(),
        layers.ReLU(6.0),
        layers.Activation("relu"),
        layers.Activation("relu6"),
        layers.Activation(tf.nn.relu),
        layers.Activation("linear"),
        layers.Dropout(0.5),
        layers.SpatialDropout2D(0.5),
        layers.Identity(),
    ],
    ids=lambda layer: layer.name,
)
def test_elementwise_layers_keep_relevance(layer, rng):
    relevance = draw(rng, 1, 2, 2, 3)
    (found,) = pass_back(step_of(layer, (2, 2, 3)), [draw(rng, 1, 2, 2, 3)], relevance)
    np.testing.assert_array_equal(found, relevance)


def conserving(rng):
    shape = (4, 4, 3)
    # Weights of both signs, and in every sum a positive one: a sum of 0 would pass nothing on.
    mostly_positive = keras.initializers.RandomUniform(-0.2, 1.0, seed=1)
    yield with_bias(layers.Dense(5, kernel_initializer=mostly_positive), (6,), rng), (6,), 1
    yield layers.Conv2D(5, 2, use_bias=False, kernel_initializer=mostly_positive), shape, 1
    yield (
        layers.DepthwiseConv2D(2, use_bias=False, depthwise_initializer=mostly_positive),
        shape,
        1,
    )
    yield layers.MaxPooling2D(2), shape, 1
    yield layers.AveragePooling2D(2), shape, 1
    yield layers.GlobalAveragePooling2D(), shape, 1
    yield layers.Flatten(), shape, 1
    yield layers.Add(), shape, 3
    yield layers.Concatenate(), shape, 2


def test_relevance_is_conserved_where_no_bias_takes_part(rng):
    for layer, shape, count in conserving(rng):
        step = step_of(layer, shape, count)
        inputs = [np.abs(draw(rng, 2, *shape)) + 0.1 for _ in range(count)]
        outputs = layer(inputs if count > 1 else inputs[0])
        relevance = draw(rng, *outputs.shape)
        shares = pass_back(step, inputs, relevance)
        total = sum(share.reshape(2, -1).sum(axis=1) for share in shares)
        expected = relevance.reshape(2, -1).sum(axis=1)
        assert np.abs(expected).min() > 0.1
        np.testing.assert_allclose(total, expected, rtol=1e-4, atol=1e-4, err_msg=layer.name)


def test_conv_bias_and_batch_normalization_do_not_conserve(rng):
    inputs = np.abs(draw(rng, 1, 3, 3, 2))
    conv = with_bias(layers.Conv2D(2, 1, kernel_initializer="ones"), (3, 3, 2), rng)
    (found,) = pass_back(step_of(conv, (3, 3, 2)), [inputs], np.ones((1, 3, 3, 2)))
    assert 0 < found.sum() < 0.95 * 18
    inputs[0, 0, 0, 0] = 0
    step = step_of(layers.BatchNormalization(), (3, 3, 2))
    (found,) = pass_back(step, [inputs], np.ones((1, 3, 3, 2)))
    assert found.sum() == 17


@pytest.mark.parametrize("name", LINEAR)
def test_nothing_comes_from_nothing(compiled, name):
    build, shape = LINEAR[name]
    layer = build()
    step = step_of(layer, shape)
    zeros = np.zeros((1, *shape))
    (found,) = pass_back(step, [zeros], np.ones(np.shape(layer(zeros))))
    np.testing.assert_array_equal(found, zeros)


def test_sums_next_to_zero_do_not_overflow():
    step = step_of(layers.Dense(1, use_bias=False, kernel_initializer="ones"), (2,))
    (found,) = pass_back(step, [[[2e-38, 0.0]]], [[1e3]])
    np.testing.assert_array_equal(found, [[0.0, 0.0]])
    (found,) = pass_back(step, [[[3e-15, 1e-15]]], [[1e3]])
    np.testing.assert_allclose(found, [[750.0, 250.0]], rtol=1e-5)


def test_half_precision_layers_pass_relevance_in_float32():
    # In float16, 1e-6 / 64 would be 0.
    step = step_of(layers.GlobalAveragePooling2D(dtype="mixed_float16"), (8, 8, 1))
    (found,) = pass_back(step, [np.ones((1, 8, 8, 1))], [[1e-6]])
    np.testing.assert_allclose(found, np.full((1, 8, 8, 1), 1e-6 / 64), rtol=1e-5)
    step = step_of(layers.Conv2D(1, 1, dtype="mixed_float16", kernel_initializer="ones"), (2, 2, 1))
    (found,) = pass_back(step, [np.full((1, 2, 2, 1), 2.0)], np.full((1, 2, 2, 1), 1e-9))
    np.testing.assert_allclose(found, np.full((1, 2, 2, 1), 1e-9), rtol=1e-5)


class TwiceConv2D(layers.Conv2D):
    """A convolution whose output is doubled."""

    def call(self, inputs):
        return 2.0 * super().call(inputs)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (layers.LayerNormalization(name="norm"), "layer 'norm' of type LayerNormalization; it has"),
        (layers.LeakyReLU(name="leaky"), "layer 'leaky' of type LeakyReLU; it has rules for Act"),
        (layers.ReLU(negative_slope=0.2, name="slope"), "layer 'slope' of type ReLU"),
        (layers.Activation("gelu", name="act"), r"activation 'gelu' of layer 'act' \(Activation\)"),
        (layers.Dense(2, activation="tanh", name="fc"), r"activation 'tanh' of layer 'fc' \(Dense"),
        (TwiceConv2D(2, 1, name="twice"), "layer 'twice' of type TwiceConv2D"),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_layers_without_a_rule_are_named(layer, message):
    with pytest.raises(InputError, match=f"relevance_cam has no rule for {message}"):
        rule_of(step_of(layer, (2, 2, 3)))


def test_a_layer_of_ones_own_gets_a_rule(monkeypatch, rng):
    step = step_of(TwiceConv2D(2, 1, kernel_initializer="ones"), (2, 2, 3))
    monkeypatch.setitem(RULES, TwiceConv2D, RULES[layers.Conv2D])
    inputs, relevance = np.abs(draw(rng, 1, 2, 2, 3)), draw(rng, 1, 2, 2, 2)
    (found,) = pass_back(step, [inputs], relevance)
    np.testing.assert_allclose(found.sum(), relevance.sum(), rtol=1e-4)


def test_rules_leave_the_layer_as_it_is(rng):
    layer = with_bias(layers.Conv2D(3, 2, activation="relu"), (4, 4, 2), rng)
    before, activation = layer.get_weights(), layer.activation
    linear, _ = read_graph(keras.Sequential([keras.Input((4, 4, 2)), layer])).steps
    pass_back(linear, [draw(rng, 1, 4, 4, 2)], np.ones((1, 3, 3, 3)))
    for was, now in zip(before, layer.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    assert layer.activation is activation
