"""CAMERAS: a slow reference, hand computation, which sizes count, identities."""

import cv2
import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.counting import CountRows
from methods.toy_numpy import ToyNumpy

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import get_method

pytestmark = pytest.mark.usefixtures("compiled")
SIZES = (8, 12, 18)


class ToyNumpyAnySize(ToyNumpy):
    """The toy networks for pictures of any even size: a flattened head pools to 4 x 4 first."""

    def logits(self, activations):
        if "fc/kernel" in self.weights:
            length = activations.shape[1]
            cells = [slice(i * length // 4, -(-(i + 1) * length // 4)) for i in range(4)]
            activations = np.stack(
                [
                    np.stack([activations[:, i, j].mean(axis=(1, 2)) for j in cells], axis=1)
                    for i in cells
                ],
                axis=1,
            )
        return super().logits(activations)


def upsampled(maps, size):
    """Half-pixel bilinear, one pixel at a time; outside the grid its edge goes on."""
    height, width = maps.shape[:2]
    result = np.zeros((size, size, *maps.shape[2:]))
    for i, j in np.ndindex(size, size):
        y = np.clip((i + 0.5) * height / size - 0.5, 0, height - 1)
        x = np.clip((j + 0.5) * width / size - 0.5, 0, width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = (1 - (x - left)) * maps[top, left] + (x - left) * maps[top, right]
        lower = (1 - (x - left)) * maps[bottom, left] + (x - left) * maps[bottom, right]
        result[i, j] = (1 - (y - top)) * upper + (y - top) * lower
    return result


def loops_cameras(slow, picture, target, sizes):
    """The formula for one picture, one size and one channel at a time."""
    features, gradients = [], []
    for size in sizes:
        resized = cv2.resize(picture, (size, size), interpolation=cv2.INTER_CUBIC)
        activations = slow.activations(resized[None])
        features.append(upsampled(activations[0], len(picture)))
        gradients.append(upsampled(slow.gradients(activations, [target])[0], len(picture)))
    saliency = np.zeros(picture.shape[:2])
    for k in range(features[0].shape[2]):
        mean_feature = sum(f[:, :, k] for f in features) / len(sizes)
        mean_gradient = sum(g[:, :, k] for g in gradients) / len(sizes)
        saliency += mean_feature * mean_gradient
    return np.maximum(saliency, 0)


@pytest.fixture(scope="module", params=["gap", "flatten"])
def explainer(request):
    """An explainer of each toy network, shared, as every size count is traced anew."""
    return gcam.Explainer(build_toy(request.param))


def cameras(explainer, images, class_ids, sizes=SIZES, **options):
    return explainer.maps(images, class_ids, "cameras", raw=True, sizes=sizes, **options)


def test_matches_slow_reference(explainer, toy_images):
    slow = ToyNumpyAnySize(explainer.network.model)
    maps = cameras(explainer, toy_images[:1], [[0, 1, 2]])
    assert maps.shape == (1, 3, 8, 8)
    assert maps.dtype == np.float32
    assert maps.max() > 0
    for target in range(3):
        expected = loops_cameras(slow, toy_images[0], target, SIZES)
        np.testing.assert_allclose(maps[0, target], expected, rtol=1e-4, atol=1e-6 * maps.max())


def test_hand_computed():
    # One channel, F = x; Y = 3 GAP(F), so at size s x s the gradient is 3 / s^2: 3/4 and 3/16, of
    # mean 15/32. The picture's rows are 0 and 4. At size 4 they are, bicubically, -0.421875,
    # 0.90625, 3.09375, 4.421875 (see tests/ops/test_bicubic.py). U to 2 rows reads half-way between
    # rows 0 and 1, and 2 and 3: 0.2421875 and 3.7578125. With F at size 2, the means are
    # 0.12109375 and 3.87890625; times 15/32: 0.0567626953125 and 1.8182373046875.
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(1, 1, use_bias=False, name="features")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(x))
    model.set_weights([np.ones((1, 1, 1, 1)), np.array([[3.0, -3.0]])])
    picture = np.array([[0.0, 0.0], [4.0, 4.0]], np.float32).reshape(1, 2, 2, 1)
    maps = cameras(gcam.Explainer(model), picture, [[0, 1]], sizes=(2, 4))
    row_0, row_1 = [0.0567626953125] * 2, [1.8182373046875] * 2
    np.testing.assert_allclose(maps[0], [[row_0, row_1], np.zeros((2, 2))], rtol=1e-6)


def test_one_size_multiplies_resized_features_and_gradients(explainer, toy_images):
    forward = explainer.pipeline.view.forward
    inputs = tf.constant(toy_images)
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        features, logits = forward(inputs)
        score = logits[:, 1]
    gradients = tape.gradient(score, features)
    resized = [tf.image.resize(tensor, (8, 8)) for tensor in (features, gradients)]
    expected = tf.nn.relu(tf.reduce_sum(resized[0] * resized[1], axis=-1))
    maps = cameras(explainer, toy_images, [1] * 3, sizes=(8,))
    np.testing.assert_allclose(maps, expected, rtol=1e-5, atol=1e-7)


def test_on_resnet50_it_is_the_mean_of_upsampled_class_activation_maps(resnet50, photographs):
    # The gradient at size s is w / Z_s everywhere, Z_s the number of positions. So the gradients'
    # mean is one factor, and S = mean_s(1 / Z_s) ReLU(mean_s U(sum_k w^k F_s^k)), the ReLU after U.
    inputs = resnet50.network.preprocess(tf.constant(photographs, tf.float32))
    kernel = resnet50.network.model.get_layer("predictions").kernel.numpy()[:, [285, 967]]
    class_activation_maps, areas = [], []
    for size in (224, 324):
        resized = [
            cv2.resize(x.numpy(), (size, size), interpolation=cv2.INTER_CUBIC) for x in inputs
        ]
        features, _ = resnet50.pipeline.view.forward(tf.constant(resized))
        signed = np.einsum("nhwk,kn->nhw", features, kernel)[..., None]
        class_activation_maps.append(tf.image.resize(signed, (224, 224))[..., 0])
        areas.append(features.shape[1] * features.shape[2])
    assert areas == [49, 121]
    expected = np.maximum(np.mean(class_activation_maps, axis=0), 0) * (1 / 49 + 1 / 121) / 2
    maps = cameras(resnet50, photographs, [285, 967], sizes=(224, 324))
    np.testing.assert_allclose(maps, expected, rtol=1e-3, atol=1e-4 * maps.max())


@pytest.fixture(scope="module")
def fickle():
    """An explainer, and pictures whose best class at size 8 is not the best at size 12 or 18."""
    explainer = gcam.Explainer(build_toy("flatten"))
    slow = ToyNumpyAnySize(explainer.network.model)
    images = np.random.default_rng(0).normal(size=(40, 8, 8, 3)).astype(np.float32)
    best = []
    for size in SIZES:
        resized = [cv2.resize(i, (size, size), interpolation=cv2.INTER_CUBIC) for i in images]
        best.append(slow.logits(slow.activations(np.array(resized))).argmax(axis=1))
    best = np.array(best)
    agree = best == best[0]
    chosen = [
        next(n for n in range(40) if tuple(agree[1:, n]) == pattern)
        for pattern in [(True, True), (True, False), (False, True), (False, False)]
    ]
    return explainer, images[chosen], best[0, chosen]


COUNTED = [(8, 12, 18), (8, 12), (8, 18), (8,)]


def test_a_rank_counts_the_sizes_with_the_same_best_class(fickle):
    explainer, images, best = fickle
    maps = cameras(explainer, images, None)
    for n, sizes in enumerate(COUNTED):
        alone = cameras(explainer, images[n : n + 1], best[n : n + 1], sizes=sizes)[0]
        np.testing.assert_allclose(maps[n], alone, rtol=1e-5, atol=1e-6 * maps.max())


def test_a_class_counts_all_sizes_and_so_does_a_rank_if_told(fickle):
    explainer, images, best = fickle
    given = cameras(explainer, images, best)
    ranked = cameras(explainer, images, None, match_top1=False)
    np.testing.assert_array_equal(given, ranked)
    assert np.abs(given[3] - cameras(explainer, images, None)[3]).max() > 0.01 * given.max()


def test_ranks_and_classes_may_stand_side_by_side(fickle):
    explainer, images, best = fickle
    ids = tf.constant(np.stack([np.full(4, -1), best, np.full(4, -2)], axis=1), tf.int32)
    result = explainer.pipeline.kernel(get_method("cameras", sizes=SIZES))(tf.constant(images), ids)
    maps = result["saliency"].numpy()
    np.testing.assert_allclose(maps[:, 0], cameras(explainer, images, None), rtol=1e-5, atol=1e-7)
    np.testing.assert_allclose(maps[:, 1], cameras(explainer, images, best), rtol=1e-5, atol=1e-7)
    ranking = np.argsort(-result["logits"].numpy())
    np.testing.assert_array_equal(result["class_ids"], ranking[:, [0, 0, 1]])
    second = ranking[3:, 1]
    np.testing.assert_allclose(
        maps[3, 2], cameras(explainer, images[3:], second, sizes=(8,))[0], rtol=1e-5, atol=1e-7
    )


def test_the_own_size_decides_even_if_it_is_not_looked_at(fickle):
    explainer, images, best = fickle
    maps = cameras(explainer, images, None, sizes=(12, 18))
    alone = cameras(explainer, images[1:2], best[1:2], sizes=(12,))[0]
    np.testing.assert_allclose(maps[1], alone, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(maps[3], np.zeros((8, 8)))
    result = explainer.pipeline.kernel(get_method("cameras", sizes=(12, 18)))(
        tf.constant(images), tf.constant([[-1]] * 4)
    )
    np.testing.assert_allclose(
        result["logits"], explainer.pipeline.logits(images), rtol=1e-5, atol=1e-6
    )


def test_pictures_and_targets_are_apart(explainer, toy_images):
    ids = np.array([[0, 1], [2, 0], [1, 2]])
    batch = cameras(explainer, toy_images, ids)
    for image, targets, maps in zip(toy_images, ids, batch, strict=True):
        alone = [cameras(explainer, image[None], [target])[0] for target in targets]
        np.testing.assert_allclose(maps, alone, rtol=1e-5, atol=1e-6 * batch.max())


@pytest.mark.parametrize("block_size", [1, 2, 5])
def test_the_block_size_changes_nothing(explainer, toy_images, block_size):
    maps = cameras(explainer, toy_images, None, block_size=block_size)
    np.testing.assert_allclose(maps, cameras(explainer, toy_images, None), rtol=1e-5, atol=1e-7)


def test_one_trace_and_one_pass_a_size(rng):
    inputs = keras.Input((8, 8, 3))
    counter = CountRows()
    x = keras.layers.Conv2D(4, 3, activation="relu")(counter(inputs))
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))
    explainer = gcam.Explainer(model)
    assert explainer.pipeline.view.covered is None  # Found out by running the network, once.
    counter.rows = counter.traces = 0
    images = rng.normal(size=(5, 8, 8, 3)).astype(np.float32)
    cameras(explainer, images[:2], [[0], [1]])
    assert counter.rows == 2 * 3
    cameras(explainer, images, [[0, 1, 2]] * 5)
    cameras(explainer, images[:1], None)
    assert counter.rows == (2 + 5 + 1) * 3
    assert counter.traces == 1


def test_sizes():
    expected = [(size, size) for size in range(224, 925, 100)]
    assert get_method("cameras").sizes_for(224, 224) == expected
    assert get_method("cameras").sizes_for(300, 150)[:2] == [(300, 150), (400, 200)]
    assert get_method("cameras", sizes=[10, 20]).sizes_for(8, 12) == [(10, 15), (20, 30)]
    assert get_method("cameras", sizes=[10, 20]) == get_method("cameras", sizes=(10, 20))


def test_a_network_of_any_size_and_pictures_that_are_not_square(rng):
    explainer = gcam.Explainer(build_toy("gap", size=None))
    image = rng.normal(size=(1, 8, 12, 3)).astype(np.float32)
    maps = cameras(explainer, image, [0], sizes=(8,))
    assert maps.shape == (1, 8, 12)
    both = cameras(explainer, image, [0], sizes=(8, 16))
    turned = cameras(explainer, image.transpose(0, 2, 1, 3), [0], sizes=(12, 24))
    assert both.shape == (1, 8, 12)
    assert turned.shape == (1, 12, 8)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(both, maps, rtol=1e-2)


def test_vgg16_looks_at_two_sizes(small_vgg16, photographs):
    explainer = gcam.Explainer(small_vgg16, preprocess="caffe", layer="block5_pool")
    maps = cameras(explainer, photographs[:1, ::3, ::3][:, :64, :64], [[0]], sizes=(64, 96))
    assert maps.shape == (1, 1, 64, 64)
    assert np.isfinite(maps).all()


@pytest.mark.parametrize("value", [0.0, 3.0])
def test_flat_pictures(explainer, value):
    for raw in (True, False):
        maps = explainer.maps(
            np.full((1, 8, 8, 3), value, np.float32), [[0, 1, 2]], "cameras", raw=raw, sizes=SIZES
        )
        assert maps.shape == (1, 3, 8, 8)
        assert np.isfinite(maps).all()
        assert (maps >= 0).all()


def test_an_unsupported_target_is_empty(toy_images):
    model = build_toy("gap")
    kernel, bias = model.get_layer("scores").get_weights()
    kernel[:, 1] = -np.abs(kernel[:, 1])
    model.get_layer("scores").set_weights([kernel, bias])
    maps = cameras(gcam.Explainer(model), toy_images, [1] * 3)
    np.testing.assert_array_equal(maps, np.zeros((3, 8, 8)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sizes": ()}, r"cameras: sizes must be whole numbers of at least 1.*received \(\)"),
        ({"sizes": (224, 0)}, r"sizes must be whole numbers of at least 1.*received \(224, 0\)"),
        ({"sizes": (224.5,)}, r"sizes must be whole numbers.*received \(224.5,\)"),
        ({"sizes": 224}, r"sizes must be whole numbers.*received 224"),
        ({"sizes": "224"}, r"sizes must be whole numbers.*received '224'"),
        ({"match_top1": 1}, "match_top1 must be True or False; received 1"),
        ({"block_size": 0}, "block_size must be a whole number of at least 1; received 0"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(InputError, match=message):
        get_method("cameras", **options)


def test_sizes_that_a_network_cannot_run_at(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    x = keras.layers.Dense(5)(keras.layers.Reshape((64 * 4,))(x))
    explainer = gcam.Explainer(keras.Model(inputs, x, name="rigid"))
    with pytest.raises(InputError, match="network 'rigid' does not run at 12 x 12; expected sizes"):
        cameras(explainer, toy_images, [0] * 3)


def test_sizes_at_which_nothing_is_left(toy_images):
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, name="conv")(inputs)
    x = keras.layers.Dense(5)(keras.layers.GlobalAveragePooling2D()(x))
    explainer = gcam.Explainer(keras.Model(inputs, x, name="valid"), layer="conv")
    with pytest.raises(InputError, match="network 'valid' does not run at 2 x 2; expected sizes"):
        cameras(explainer, toy_images, [0] * 3, sizes=(8, 2))
