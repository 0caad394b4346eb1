"""Score-CAM and Faster-Score-CAM: a slow reference, hand computation, passes spent, identities."""

import cv2
import keras
import numpy as np
import pytest
from common import build_toy
from methods.counting import CountRows
from methods.one_pass import HEADS
from methods.one_pass import toy_explainer
from methods.toy_numpy import ToyNumpy
from scipy.ndimage import convolve

import guidedcam_tf as gcam
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods import get_method

CHANNELS = 5
BASELINES = ["none", "black", "mean", "blur"]


@pytest.fixture
def pictures(rng):
    """Pictures for the toy networks behind `preprocess="tf"`, float32 `[3, 8, 8, 3]` in 0..255."""
    return rng.uniform(0, 255, size=(3, 8, 8, 3)).astype(np.float32)


def opened_at_features(model):
    """An explainer that knows already where its layer lies, which takes a run of the network."""
    explainer = gcam.Explainer(model, layer="features")
    assert explainer.pipeline.view.covered is None
    return explainer


def build_counting(dead=0, size=8):
    """A network whose layer `features` has 6 channels, the first `dead` of them zero everywhere."""
    keras.utils.set_random_seed(4)
    layers = keras.layers
    inputs = keras.Input((size, size, 3))
    counter = CountRows(name="counter")
    x = layers.Conv2D(6, 3, padding="same", activation="relu", name="features")(counter(inputs))
    x = layers.Flatten()(x)
    outputs = layers.Dense(4, activation="softmax", name="scores")(x)
    model = keras.Model(inputs, outputs)
    kernel, bias = model.get_layer("features").get_weights()
    kernel[..., :dead] = 0
    model.get_layer("features").set_weights([kernel, bias])
    return model, counter


def upsampled(channel, size):
    """Half-pixel bilinear, one pixel at a time; outside the grid its edge goes on."""
    height, width = channel.shape
    result = np.zeros((size, size))
    for i, j in np.ndindex(size, size):
        y = np.clip((i + 0.5) * height / size - 0.5, 0, height - 1)
        x = np.clip((j + 0.5) * width / size - 0.5, 0, width - 1)
        top, left = int(y), int(x)
        bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = (1 - (x - left)) * channel[top, left] + (x - left) * channel[top, right]
        lower = (1 - (x - left)) * channel[bottom, left] + (x - left) * channel[bottom, right]
        result[i, j] = (1 - (y - top)) * upper + (y - top) * lower
    return result


def blurred(picture):
    """An 11 x 11 Gaussian of sigma 5, the edge mirrored."""
    offsets = np.arange(-5, 6)
    window = np.exp(-0.5 * (offsets / 5.0) ** 2)
    kernel = np.outer(window, window) / window.sum() ** 2
    return np.stack([convolve(picture[..., c], kernel, mode="reflect") for c in range(3)], axis=-1)


def slow_scorecam(toy, picture, target, *, score, baseline, normalize_weights):
    """The definition, one channel at a time, in float64."""
    slow = ToyNumpy(toy)
    preprocessed = picture.astype(np.float64) / 127.5 - 1

    def score_of(inputs):
        logits = slow.logits(slow.activations(inputs[None]))[0]
        if score == "logit":
            return logits[target]
        return np.exp(logits[target]) / np.exp(logits).sum()

    reference = {
        "none": 0.0,
        "black": score_of(np.full_like(preprocessed, -1.0)),
        "mean": score_of(np.zeros_like(preprocessed)),
        "blur": score_of(blurred(picture.astype(np.float64)) / 127.5 - 1),
    }[baseline]
    activations = slow.activations(preprocessed[None])[0]
    increases = {}
    for k in range(CHANNELS):
        mask = upsampled(activations[..., k], 8)
        if mask.max() > mask.min():
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            increases[k] = score_of(preprocessed * mask[..., None]) - reference
    if normalize_weights == "channel_softmax":
        total = sum(np.exp(value) for value in increases.values())
        increases = {k: np.exp(value) / total for k, value in increases.items()}
    return np.maximum(sum(increases[k] * activations[..., k] for k in increases), 0)


@pytest.fixture(scope="module", params=HEADS)
def scaling(request):
    """An explainer of each toy network behind `preprocess="tf"`, shared."""
    return gcam.Explainer(build_toy(request.param), preprocess="tf")


@pytest.mark.parametrize(
    ("score", "baseline", "normalize_weights"),
    [
        ("prob", "none", "none"),
        ("logit", "black", "none"),
        ("prob", "mean", "none"),
        ("logit", "blur", "none"),
        ("prob", "mean", "channel_softmax"),
    ],
)
def test_matches_slow_reference(scaling, pictures, score, baseline, normalize_weights):
    options = {"score": score, "baseline": baseline, "normalize_weights": normalize_weights}
    toy = scaling.network.model
    raw = scaling.maps(pictures, [[0, 1, 2]] * 3, "scorecam", raw=True, **options)
    for n, target in np.ndindex(3, 3):
        expected = slow_scorecam(toy, pictures[n], target, **options)
        np.testing.assert_allclose(raw[n, target], expected, rtol=1e-4, atol=1e-6)


def build_by_hand():
    """A 2 x 2 layer of four channels: x, ReLU(3 - x), nothing, 2 everywhere; the first two count.

    The logits are the means of the first two channels.
    """
    inputs = keras.Input((2, 2, 1))
    x = keras.layers.Conv2D(4, 1, activation="relu", name="features")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    outputs = keras.layers.Dense(2, activation="softmax", name="scores")(x)
    model = keras.Model(inputs, outputs)
    kernel = np.array([1, -1, -1, 0], np.float32).reshape(1, 1, 1, 4)
    model.get_layer("features").set_weights([kernel, np.array([0, 3, 0, 2], np.float32)])
    dense = np.array([[1, 0], [0, 1], [0, 0], [0, 0]], np.float32)
    model.get_layer("scores").set_weights([dense, np.zeros(2, np.float32)])
    return model


BY_HAND = np.array([[1, 2], [3, 5]], np.float32).reshape(1, 2, 2, 1)


def test_hand_computed():
    # A^1 = [[1, 2], [3, 5]]   H^1 = (A^1 - 1) / 4 = [[0, 1/4], [1/2, 1]]
    #   x * H^1 = [[0, 0.5], [1.5, 5]]: channels [[0, 0.5], [1.5, 5]] and [[3, 2.5], [1.5, 0]],
    #   means (7 / 4, 7 / 4), probabilities (1/2, 1/2)
    # A^2 = [[2, 1], [0, 0]]   H^2 = A^2 / 2 = [[1, 1/2], [0, 0]]
    #   x * H^2 = [[1, 1], [0, 0]]: channels [[1, 1], [0, 0]] and [[2, 2], [3, 3]],
    #   means (0.5, 2.5), probabilities (1 / (1 + e^2), ...) = (0.11920292, 0.88079708)
    # Channels 3 (0 everywhere) and 4 (2 everywhere) are constant and count nothing.
    # Logits:         target 0: 1.75 A^1 + 0.5 A^2,  target 1: 1.75 A^1 + 2.5 A^2
    # Probabilities:  target 0: 0.5 A^1 + 0.11920292 A^2
    # Baseline black: channels 0 and 3, logits (0, 3): target 1 has 1.75 - 3 and 2.5 - 3, no map;
    #   target 0 loses nothing.
    # Softmax over channels: e^1.75 / (e^1.75 + e^0.5) = 0.77729986 and 0.22270014 for target 0.
    explainer = gcam.Explainer(build_by_hand())

    def saliency(target, **options):
        return explainer.maps(BY_HAND, [target], "scorecam", raw=True, **options)[0]

    first = [[2.75, 4.0], [5.25, 8.75]]
    np.testing.assert_allclose(saliency(0, score="logit"), first, rtol=1e-6)
    second = [[6.75, 6.0], [5.25, 8.75]]
    np.testing.assert_allclose(saliency(1, score="logit"), second, rtol=1e-6)
    probable = [[0.73840584, 1.11920292], [1.5, 2.5]]
    np.testing.assert_allclose(saliency(0), probable, rtol=1e-6)
    np.testing.assert_allclose(saliency(0, score="logit", baseline="black"), first, rtol=1e-6)
    assert not saliency(1, score="logit", baseline="black").any()
    shared = [[1.22270014, 1.77729986], [2.33189958, 3.88649930]]
    softmax = saliency(0, score="logit", normalize_weights="channel_softmax")
    np.testing.assert_allclose(softmax, shared, rtol=1e-6)


def test_faster_by_hand():
    # Standard deviations: A^1 = [[1, 2], [3, 5]] has 1.48, A^2 = [[2, 1], [0, 0]] has 0.83, so one
    # channel means A^1 with its probability 1/2.
    explainer = gcam.Explainer(build_by_hand())
    raw = explainer.maps(BY_HAND, [0], "faster_scorecam", raw=True, max_channels=1)
    np.testing.assert_allclose(raw[0], [[0.5, 1.0], [1.5, 2.5]], rtol=1e-6)


@pytest.mark.parametrize("max_channels", [CHANNELS, 1000])
def test_faster_with_all_channels_is_scorecam(opened, toy_images, max_channels):
    full = opened.maps(toy_images, [0] * 3, "scorecam", raw=True)
    faster = opened.maps(
        toy_images, [0] * 3, "faster_scorecam", raw=True, max_channels=max_channels
    )
    np.testing.assert_array_equal(full, faster)


def test_faster_uses_the_channels_that_vary_most(opened, toy_images):
    """Each picture has channels of its own: with the others cut from the network, nothing moves."""
    slow = ToyNumpy(opened.network.model)
    spread = slow.activations(toy_images).std(axis=(1, 2))
    faster = opened.maps(toy_images, [1] * 3, "faster_scorecam", raw=True, max_channels=2)
    for n in range(3):
        chosen = np.argsort(spread[n])[-2:]
        activations = slow.activations(toy_images[n : n + 1])[0]
        expected = np.zeros((4, 4))
        for k in chosen:
            mask = upsampled(activations[..., k], 8)
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            logits = slow.logits(slow.activations((toy_images[n] * mask[..., None])[None]))[0]
            expected += np.exp(logits[1]) / np.exp(logits).sum() * activations[..., k]
        np.testing.assert_allclose(faster[n], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"baseline": "blur"}, {"score": "logit"}])
def test_all_targets_share_one_pass_a_channel(toy_images, options):
    model, counter = build_counting()
    explainer = opened_at_features(model)
    passes = []
    for targets in ([0], [0, 1, 2, 3]):
        counter.rows = 0
        explainer.maps(toy_images, [targets] * 3, "scorecam", block_size=4, **options)
        passes.append(counter.rows)
    once = 3 * (2 if "baseline" in options else 1)
    assert passes == [once + 3 * 6] * 2


def test_constant_channels_cost_no_pass_and_count_nothing(toy_images):
    model, counter = build_counting(dead=4)
    model.get_layer("features").bias.assign([0, 0, 0.5, 0.5, 0, 0])
    explainer = opened_at_features(model)
    counter.rows = 0
    scorecam = explainer.maps(toy_images, [1] * 3, "scorecam", raw=True)
    assert counter.rows == 3 + 3 * 2
    softmax = explainer.maps(
        toy_images, [1] * 3, "scorecam", raw=True, normalize_weights="channel_softmax"
    )
    x = keras.Model(model.inputs, model.get_layer("features").output).predict(toy_images, verbose=0)
    assert (x[..., 2:4] == 0.5).all()
    without_the_rest = x[..., 4:].max(axis=-1) == 0
    assert without_the_rest.any()
    for maps in (scorecam, softmax):
        assert maps.any()
        assert not maps[without_the_rest].any()
    counter.rows = 0
    explainer.maps(toy_images, [1] * 3, "faster_scorecam", max_channels=1)
    assert counter.rows == 3 + 3


def test_order_of_channels_changes_nothing(toy_images):
    model = build_toy("gap")
    before = gcam.Explainer(model).maps(toy_images, [2] * 3, "scorecam", raw=True)
    order = [3, 0, 4, 1, 2]
    kernel, bias = model.get_layer("conv2").get_weights()
    model.get_layer("conv2").set_weights([kernel[..., order], bias[order]])
    kernel, bias = model.get_layer("scores").get_weights()
    model.get_layer("scores").set_weights([kernel[order], bias])
    after = gcam.Explainer(model).maps(toy_images, [2] * 3, "scorecam", raw=True)
    np.testing.assert_allclose(before, after, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("block_size", [1, 7])
def test_block_size_changes_nothing(opened, toy_images, block_size):
    expected = opened.maps(toy_images, [0] * 3, "scorecam", raw=True)
    raw = opened.maps(toy_images, [0] * 3, "scorecam", raw=True, block_size=block_size)
    np.testing.assert_allclose(raw, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("method", ["scorecam", "faster_scorecam"])
def test_batch_is_loop_and_targets_one_by_one(opened, toy_images, method):
    together = opened.maps(toy_images, [[2, 0]] * 3, method, raw=True, block_size=4)
    for n, target in np.ndindex(3, 2):
        alone = opened.maps(toy_images[n : n + 1], [[2, 0][target]], method, raw=True)
        np.testing.assert_allclose(together[n, target], alone[0], rtol=1e-5, atol=1e-7)


def test_softmax_over_channels_cancels_the_baseline(scaling, pictures):
    maps = [
        scaling.maps(
            pictures, [1] * 3, "scorecam", raw=True, score="logit",
            baseline=baseline, normalize_weights="channel_softmax",
        )
        for baseline in ("none", "black")
    ]  # fmt: skip
    np.testing.assert_allclose(*maps, rtol=1e-4)


def test_is_traced_once(compiled, toy_images):
    model, counter = build_counting()
    explainer = opened_at_features(model)
    counter.traces = 0
    kernel = explainer.pipeline.kernel(get_method("scorecam", block_size=4))
    kernel(toy_images[:1], np.array([[1]], np.int32))
    traces = counter.traces
    kernel(toy_images, np.array([[1, 2], [-1, 0], [3, 3]], np.int32))
    assert counter.traces == traces == 2


def test_rank_targets_are_resolved(opened, toy_images):
    best = opened.predict(toy_images).argmax(axis=1)
    expected = opened.maps(toy_images, best, "scorecam", raw=True)
    raw = opened.maps(toy_images, None, "scorecam", raw=True)
    np.testing.assert_array_equal(raw, expected)


@pytest.mark.parametrize("baseline", BASELINES)
def test_flat_pictures_give_finite_maps(scaling, baseline):
    black, white = np.zeros((8, 8, 3), np.uint8), np.full((8, 8, 3), 255, np.uint8)
    options = {"score": "logit" if baseline in ("black", "blur") else "prob", "baseline": baseline}
    maps = scaling.maps(np.stack([black, white]), [[0, 1, 2]] * 2, "scorecam", **options)
    assert maps.shape == (2, 3, 8, 8)
    assert np.isfinite(maps).all()


@pytest.mark.parametrize(
    "options",
    [{}, {"normalize_weights": "channel_softmax"}, {"score": "logit", "baseline": "mean"}],
)
@pytest.mark.parametrize("value", [0.0, 0.5])
def test_a_picture_without_live_channels_gives_zero(toy_images, options, value):
    """Also where the constant is not zero: a target with a negative baseline must not show it."""
    model, counter = build_counting(dead=6)
    model.get_layer("features").bias.assign([value] * 6)
    model.get_layer("scores").bias.assign([-9.0] * 4)
    explainer = opened_at_features(model)
    counter.rows = 0
    raw = explainer.maps(toy_images, [0, 1, 2], "scorecam", raw=True, **options)
    np.testing.assert_array_equal(raw, np.zeros((3, 8, 8)))
    assert counter.rows == 3 * (2 if "baseline" in options else 1)


def test_a_target_that_nothing_supports_gives_zero(toy, toy_images):
    toy.get_layer("scores").bias.assign([-50.0, 0.0, 0.0])
    raw = gcam.Explainer(toy).maps(toy_images, [0] * 3, "scorecam", raw=True, score="logit")
    assert not raw.any()


def test_mixed_precision_agrees(toy_images):
    single = toy_explainer("gap").maps(toy_images, [0] * 3, "scorecam")
    half = gcam.Explainer(build_toy("gap", dtype="mixed_float16"))
    np.testing.assert_allclose(half.maps(toy_images, [0] * 3, "scorecam"), single, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("scorecam", {"score": "odds"}, "scorecam: score must be one of 'prob', 'logit'; .*'odds'"),
        ("scorecam", {"baseline": "grey"}, "baseline must be one of 'none', 'black', .*'grey'"),
        ("scorecam", {"normalize_weights": True}, "normalize_weights must be one of .*True"),
        ("scorecam", {"block_size": 0}, "block_size must be a whole number of at least 1; .* 0"),
        ("scorecam", {"block_size": 2.5}, "block_size must be a whole number .* 2.5"),
        ("scorecam", {"max_channels": 3}, "'scorecam' has no option 'max_channels'"),
        ("faster_scorecam", {"max_channels": -1}, "faster_scorecam: max_channels must be .* -1"),
        ("faster_scorecam", {"score": "odds"}, "faster_scorecam: score must be one of"),
    ],
)
def test_bad_options(method, options, message):
    with pytest.raises(InputError, match=message):
        get_method(method, **options)


def test_resnet50_agrees_with_keras_and_opencv(resnet50, photographs):
    """The real network, two targets, against Keras, OpenCV and NumPy alone."""
    network, targets = resnet50.network.model, [285, 967]
    photographs = photographs[:1]
    explained = resnet50.maps(photographs, [targets], "faster_scorecam", raw=True, max_channels=4)
    layer = keras.Model(network.input, network.get_layer(resnet50.layer).output)
    for n, picture in enumerate(photographs):
        inputs = keras.applications.resnet50.preprocess_input(picture[None].astype(np.float32))
        activations = layer(inputs).numpy()[0]
        chosen = np.argsort(-activations.std(axis=(0, 1)), kind="stable")[:4]
        masks = np.stack([cv2.resize(activations[..., k], (224, 224)) for k in chosen])
        low, high = masks.min(axis=(1, 2), keepdims=True), masks.max(axis=(1, 2), keepdims=True)
        masks = (masks - low) / (high - low)
        scores = network(inputs * masks[..., None]).numpy()[:, targets]
        expected = np.maximum(np.einsum("kt,hwk->thw", scores, activations[..., chosen]), 0)
        np.testing.assert_allclose(explained[n], expected, rtol=1e-3, atol=1e-4 * expected.max())
