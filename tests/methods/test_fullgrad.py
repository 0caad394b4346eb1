"""FullGrad: reference, hand computation, completeness."""

import keras
import numpy as np
import pytest
from common import build_toy
from methods.fullgrad_numpy import SlowFullGrad
from methods.fullgrad_numpy import aggregate
from methods.recording import Record

import guidedcam_tf as gcam
from guidedcam_tf import ops
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import FullGrad
from guidedcam_tf.methods import fullgrad_completeness
from guidedcam_tf.methods.fullgrad import aggregate as aggregated
from guidedcam_tf.networks import Network

layers = keras.layers


def randomise(model, seed=11):
    """Give every variable seeded random values; variances stay positive."""
    generator = np.random.default_rng(seed)
    for variable in model.weights:
        value = 0.3 * generator.normal(size=variable.shape)
        if variable.name in ("moving_variance", "gamma"):
            value = 0.5 + np.abs(value)
        variable.assign(value)
    return model


def build_rich(activation="relu"):
    """Branches, a nested model, depthwise convolution, batch normalisation, free of softmax."""
    x = inner_inputs = keras.Input((8, 8, 6))
    x = layers.DepthwiseConv2D(3, padding="same", name="depthwise")(x)
    x = layers.BatchNormalization(name="bn2")(x)
    inner = keras.Model(inner_inputs, layers.Activation(activation)(x), name="inner")
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(6, 3, padding="same", use_bias=False, name="stem")(inputs)
    trunk = layers.ReLU()(layers.BatchNormalization(name="bn1")(x))
    x = layers.Dropout(0.5)(layers.Add()([trunk, inner(trunk)]))
    left = layers.Conv2D(4, 3, strides=2, padding="same", activation="relu", name="left")(x)
    right = layers.MaxPooling2D(2)(layers.Conv2D(3, 1, name="right")(x))
    x = layers.Flatten()(layers.Concatenate()([left, right]))
    x = layers.Dense(5, activation="relu", name="fc")(x)
    return randomise(keras.Model(inputs, layers.Dense(3, name="scores")(x)))


def hand_network():
    """A 3 x 3 picture; z = 2 x - 2 of its upper left 2 x 2 part, ReLU, weights 1 2 3 -4, plus 5."""
    inputs = keras.Input((3, 3, 1))
    x = layers.Conv2D(1, 2, activation="relu", name="conv")(inputs)
    model = keras.Model(inputs, layers.Dense(1, name="scores")(layers.Flatten()(x)))
    kernel = np.array([[2.0, 0.0], [0.0, 0.0]])[:, :, None, None]
    model.get_layer("conv").set_weights([kernel, np.array([-2.0])])
    model.get_layer("scores").set_weights(
        [np.array([[1.0], [2.0], [3.0], [-4.0]]), np.array([5.0])]
    )
    return model


HAND_PICTURE = np.array([[2.0, 3.0, 7.0], [0.0, 4.0, 7.0], [7.0, 7.0, 7.0]])[None, :, :, None]


def test_hand_computed_map():
    # z = 2 4 / -2 6, so dY/dz = 1 2 / 0 -4, dY/dx = 2 4 0 / 0 -8 0 / 0 0 0.
    # Input: |x dY/dx| = 4 12 0 / 0 32 0 / 0 0 0, over 32:
    #   0.125 0.375 0 / 0 1 0 / 0 0 0.
    # Bias: |-2 dY/dz| = 2 4 / 0 8, over 8: 0.25 0.5 / 0 1, from 2 x 2 to 3 x 3:
    #   0.25 0.375 0.5 / 0.125 0.4375 0.75 / 0 0.5 1.
    saliency = gcam.Explainer(hand_network()).maps(HAND_PICTURE, [0], "fullgrad", raw=True)
    expected = [[0.375, 0.75, 0.5], [0.125, 1.4375, 0.75], [0.0, 0.5, 1.0]]
    np.testing.assert_allclose(saliency, [expected], atol=1e-6)


def test_hand_computed_completeness():
    # Y = 2 + 8 + 0 - 24 + 5 = -9; input 4 + 12 - 32 = -16; biases -2 (1 + 2 - 4) + 5 = 7.
    parts = fullgrad_completeness(Network(hand_network()), HAND_PICTURE, [0])
    assert (parts.logits, parts.input_terms, parts.bias_terms) == ([-9.0], [-16.0], [7.0])
    assert parts.residuals == [0.0]


def test_corners_stay_in_the_corners():
    resized = ops.resize_maps_to_corners(np.array([[[0.0, 3.0], [4.0, 7.0]]], np.float32), (3, 4))
    expected = [[0.0, 1.0, 2.0, 3.0], [2.0, 3.0, 4.0, 5.0], [4.0, 5.0, 6.0, 7.0]]
    np.testing.assert_allclose(resized, [expected], atol=1e-6)


def test_rescaling_is_of_each_picture_over_all_channels_with_the_authors_epsilon():
    # Absolute values less their minimum, over their largest + 1e-6, then summed over channels:
    # first picture 1 3 | 2 5 less 1, over 4; second 2e-6 0 | 1e-6 0, over 3e-6.
    terms = np.array([[[[1, -3], [2, 5]]], [[[2e-6, 0], [-1e-6, 0]]]], np.float32)
    saliency = aggregated([terms], [lambda maps, size: maps])
    np.testing.assert_allclose(saliency, [[[0.5, 1.25]], [[2 / 3, 1 / 3]]], atol=1e-5)


@pytest.mark.parametrize("align_corners", [True, False])
def test_matches_slow_reference(opened, toy_images, align_corners):
    slow = SlowFullGrad(opened.network.model)
    targets = [[0, 2], [1, 0], [2, 1]]
    raw = opened.maps(toy_images, targets, "fullgrad", raw=True, align_corners=align_corners)
    for image, ids, maps in zip(toy_images, targets, raw, strict=True):
        for class_id, saliency in zip(ids, maps, strict=True):
            terms = slow.terms(image, class_id)
            expected = aggregate([terms[k] for k in ("input", "conv1", "conv2")], align_corners)
            np.testing.assert_allclose(saliency, expected, rtol=2e-4, atol=2e-4)


def test_completeness_matches_slow_reference(toy, toy_images):
    slow = SlowFullGrad(toy)
    parts = fullgrad_completeness(Network(toy), toy_images, [0, 1, 2])
    for row, image in enumerate(toy_images):
        sums = {place: term.sum() for place, term in slow.terms(image, row).items()}
        assert parts.input_terms[row] == pytest.approx(sums.pop("input"), abs=1e-5)
        assert parts.bias_terms[row] == pytest.approx(sum(sums.values()), abs=1e-5)
        assert parts.logits[row] == pytest.approx(slow.forward(image[None])[0][0, row], abs=1e-5)


def assert_complete(parts):
    assert np.all(np.abs(parts.bias_terms) > 1e-3 * np.abs(parts.logits))
    assert np.all(np.abs(parts.residuals) < 1e-4 * np.abs(parts.logits))


def test_completeness_of_toys(toy, toy_images):
    assert_complete(fullgrad_completeness(Network(toy), toy_images, [2, 1, 0]))


def test_completeness_of_branches_nested_depthwise_and_batch_normalization(toy_images):
    assert_complete(fullgrad_completeness(Network(build_rich()), toy_images, [2, 1, 0]))


@pytest.mark.parametrize("axis", [1, 2, -2, -1])
@pytest.mark.parametrize("filters", [5, 6])  # 6 are as many as there are rows.
def test_completeness_of_normalization_along_any_axis(toy_images, axis, filters):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(filters, 3, activation="relu")(inputs)
    x = layers.ReLU()(layers.BatchNormalization(axis=axis)(x))
    model = randomise(keras.Model(inputs, layers.Dense(3)(layers.Flatten()(x))))
    opened = gcam.Explainer(model)
    assert_complete(fullgrad_completeness(opened.network, toy_images, [2, 1, 0]))
    for name, options in (("fullgrad", {}), ("smooth_fullgrad", {"samples": 2})):
        assert opened.maps(toy_images, [2, 1, 0], name, **options).shape == (3, 8, 8)


def test_completeness_of_resnet50(compiled, resnet50, photographs):
    best = resnet50.predict(photographs).argmax(axis=1)
    assert_complete(fullgrad_completeness(resnet50.network, photographs, best))


@pytest.fixture
def vgg16_with_biases(small_vgg16):
    """VGG16 whose biases are random for the time of one test."""
    biases = [variable for variable in small_vgg16.weights if variable.name == "bias"]
    before = [variable.numpy() for variable in biases]
    generator = np.random.default_rng(5)
    for variable in biases:
        variable.assign(0.05 * generator.normal(size=variable.shape))
    yield Network(small_vgg16, preprocess="caffe")
    for variable, value in zip(biases, before, strict=True):
        variable.assign(value)


def test_completeness_of_vgg16(vgg16_with_biases, photographs):
    picture = photographs[:1, 20:148:2, 60:188:2]
    assert_complete(fullgrad_completeness(vgg16_with_biases, picture, [3]))


def test_other_activations_are_mapped_but_not_complete(toy_images):
    model = build_rich("swish")
    parts = fullgrad_completeness(Network(model), toy_images, [0, 1, 2])
    assert np.all(np.abs(parts.residuals) > 1e-3)
    np.testing.assert_allclose(
        parts.logits, parts.input_terms + parts.bias_terms + parts.residuals, rtol=1e-9
    )
    maps = gcam.Explainer(model).maps(toy_images, [0, 1, 2], "fullgrad", raw=True)
    assert np.isfinite(maps).all()
    assert np.all(maps.max(axis=(1, 2)) > 1)


@pytest.mark.parametrize(
    ("images", "ids", "message"),
    [
        (np.zeros((2, 8, 8, 3)), [0], r"\[N, H, W, C\] and class_ids \[N\]; received \(2, 8, 8, 3"),
        (np.zeros((8, 8, 3)), [0], r"received \(8, 8, 3\) and \(1,\)"),
        (np.zeros((1, 8, 8, 3)), [3], "target 3 is out of range"),
    ],
)
def test_completeness_says_what_is_wrong(images, ids, message):
    with pytest.raises(InputError, match=message):
        fullgrad_completeness(Network(build_toy()), images, ids)


def test_dense_terms_and_constant_scores_leave_the_map_alone(toy_images):
    model = build_toy("flatten")
    before = gcam.Explainer(model).maps(toy_images, [0, 1, 2], "fullgrad", raw=True)
    scores = model.get_layer("scores")
    scores.bias.assign(scores.bias + 7.0)
    after = gcam.Explainer(model).maps(toy_images, [0, 1, 2], "fullgrad", raw=True)
    np.testing.assert_array_equal(after, before)


def test_layer_does_not_matter(toy_images):
    model = build_toy()
    one, other = (
        gcam.Explainer(model, layer=layer).maps(toy_images, [0, 1, 2], "fullgrad", raw=True)
        for layer in ("conv1", "conv2")
    )
    np.testing.assert_array_equal(one, other)
    assert one.shape == (3, 8, 8)


def test_batch_and_blocks_are_loops(toy_images):
    explainer = gcam.Explainer(build_toy("flatten"))
    apart = [
        [explainer.maps(image[None], [target], "fullgrad", raw=True)[0] for target in (0, 2)]
        for image in toy_images
    ]
    for block_size in (1, 2, 8):
        together = explainer.maps(
            toy_images, [[0, 2]] * 3, "fullgrad", raw=True, block_size=block_size
        )
        np.testing.assert_allclose(together, apart, rtol=1e-5, atol=1e-5)


def test_one_forward_pass_and_one_trace(compiled, toy_images):
    record = Record()
    inputs = keras.Input((8, 8, 3))
    explainer = gcam.Explainer(keras.Model(inputs, build_toy()(record(inputs))))
    explainer.pipeline.kernel(FullGrad(block_size=2))
    record.traces = 0
    for count, targets in ((1, [0]), (3, [0, 1, 2]), (2, [1, 0])):
        record.pictures.clear()
        explainer.maps(toy_images[:count], [targets] * count, "fullgrad", raw=True, block_size=2)
        assert len(record.pictures) == count
    assert record.traces == 1


def test_rank_is_resolved(toy_images):
    explainer = gcam.Explainer(build_toy())
    best = explainer.predict(toy_images).argmax(axis=1)
    np.testing.assert_array_equal(
        explainer.maps(toy_images, None, "fullgrad", raw=True),
        explainer.maps(toy_images, best, "fullgrad", raw=True),
    )


def test_flat_pictures_have_finite_maps(opened):
    images = np.zeros((2, 8, 8, 3), np.float32)
    images[1] = 128.0
    assert np.isfinite(opened.maps(images, [0, 1], "fullgrad", raw=True)).all()
    maps = opened.maps(images, [0, 1], "fullgrad")
    assert 0 <= maps.min() <= maps.max() <= 1


def test_black_picture_without_biases_has_no_saliency():
    model = build_toy(bias=False)
    images = np.zeros((1, 8, 8, 3), np.float32)
    raw = gcam.Explainer(model).maps(images, [0], "fullgrad", raw=True)
    np.testing.assert_array_equal(raw, 0)


def test_network_without_bias_variables_shows_its_input_term(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, activation="relu", use_bias=False)(inputs)
    x = layers.GlobalAveragePooling2D()(x)
    model = randomise(keras.Model(inputs, layers.Dense(3, use_bias=False)(x)))
    maps = gcam.Explainer(model).maps(toy_images, [0, 1, 2], "fullgrad", raw=True)
    assert maps.max() > 1
    parts = fullgrad_completeness(Network(model), toy_images, [0, 1, 2])
    np.testing.assert_array_equal(parts.bias_terms, 0)
    np.testing.assert_allclose(parts.input_terms, parts.logits, rtol=1e-4)


def test_mixed_precision_is_close(toy_images):
    full, mixed = (
        gcam.Explainer(build_toy("flatten", dtype=dtype)).maps(
            toy_images, [0, 1, 2], "fullgrad", raw=True
        )
        for dtype in (None, "mixed_float16")
    )
    assert mixed.dtype == np.float32
    np.testing.assert_allclose(mixed, full, atol=1e-5 * full.max())


def test_model_is_unchanged(toy, toy_images):
    before = [variable.numpy() for variable in toy.weights]
    gcam.Explainer(toy).maps(toy_images, [0, 1, 2], "fullgrad")
    fullgrad_completeness(Network(toy), toy_images, [0, 1, 2])
    for variable, value in zip(toy.weights, before, strict=True):
        np.testing.assert_array_equal(variable, value)
    assert toy.get_layer("conv1").activation is keras.activations.relu


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"align_corners": 1}, "fullgrad: align_corners must be True or False; received 1"),
        (
            {"block_size": 0},
            "fullgrad: block_size must be a whole number of at least 1; received 0",
        ),
    ],
)
def test_bad_options_say_what_is_wrong(options, message):
    with pytest.raises(InputError, match=message):
        FullGrad(**options)
