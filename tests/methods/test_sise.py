"""SISE and Ada-SISE: Otsu's threshold, fusion by hand, and a slow reference."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from common import build_toy
from methods.one_pass import toy_explainer
from methods.test_scorecam import upsampled
from skimage.filters import threshold_otsu

import guidedcam_tf as gcam
from guidedcam_tf.methods import get_method
from guidedcam_tf.methods.otsu import otsu
from guidedcam_tf.methods.sise import block_ends
from guidedcam_tf.methods.sise import fuse

IDS = [[0, 1], [2, 0], [1, 2]]


def test_otsu_by_hand_and_as_in_scikit_image(rng):
    assert otsu(np.array([[5.0, 1], [2, 6]])) == 2
    assert otsu(np.array([0.0, 0, 9])) == 0
    assert otsu(np.array([7.0, 7])) == -np.inf
    assert otsu(np.array([])) == -np.inf
    picture = np.concatenate([rng.integers(0, 110, 500), rng.integers(90, 256, 300)])
    picture = np.concatenate([picture, [0, 255]]).astype(np.uint8)
    assert otsu(picture) == threshold_otsu(picture)


def test_fusion_by_hand():
    before = np.array([[0, 2, 4, 4]] * 4, np.float32)
    deeper = np.array([[8, 0, 6, 0]] * 2 + [[0, 0, 0, 8]] * 2, np.float32)
    # Otsu's threshold of the deeper map is 0: its zeros go. The rest is before / 4 + deeper / 8.
    expected = [[1, 0, 1.75, 0]] * 2 + [[0, 0, 0, 2]] * 2
    fused = fuse(tf.constant(before[None, None]), tf.constant(deeper[None, None]))
    np.testing.assert_allclose(fused[0, 0], expected)
    first = fuse(None, tf.constant(before[None, None]))
    np.testing.assert_allclose(first[0, 0], before / 4)
    silent = fuse(tf.constant(before[None, None]), tf.zeros([1, 1, 4, 4]))
    np.testing.assert_allclose(silent[0, 0], before / 4)


def scaled(array):
    low, high = array.min(), array.max()
    return (array - low) / (high - low) if high > low else np.zeros_like(array)


def slow(model, image, target, keep):
    """SISE of one picture in loops, the kept channels of each layer chosen by `keep`."""
    logits = keras.Model(model.input, model.get_layer("scores").output)
    logits.layers[-1].activation = keras.activations.linear
    fused, kept = None, []
    for name in ("conv1", "conv2"):
        both = keras.Model(model.input, [model.get_layer(name).output, logits.output])
        with tf.GradientTape() as tape:
            activations, scores = both(image[None])
            score = scores[0, target]
        gradients = tape.gradient(score, activations).numpy()[0].mean(axis=(0, 1))
        kept.append(keep(gradients))
        total = np.zeros((8, 8))
        for k in np.flatnonzero(kept[-1]):
            mask = scaled(upsampled(activations.numpy()[0, ..., k], 8))
            seen = np.float32(image * mask[..., None])
            probabilities = tf.nn.softmax(logits(seen[None]))[0]
            total += float(probabilities[target]) * mask
        deeper = scaled(total)
        fused = deeper if fused is None else (scaled(fused) + deeper) * (deeper > otsu(deeper))
    return fused, kept


@pytest.mark.parametrize("method", ["sise", "ada_sise"])
def test_both_match_loops(method, toy_images):
    explainer = toy_explainer("flatten")
    raw = explainer.maps(toy_images, IDS, method, raw=True)
    assert raw.shape == (3, 2, 8, 8)
    for n, t in np.ndindex(3, 2):
        twin = build_toy("flatten")
        expected, _ = slow(twin, toy_images[n], IDS[n][t], get_method(method).kept)
        np.testing.assert_allclose(raw[n, t], expected, atol=1e-4)
    assert raw.any()


def test_ada_sise_keeps_a_part_of_sise_s_channels(rng):
    fewer = 0
    for _ in range(20):
        gradients = rng.normal(size=30).astype(np.float32)
        all_of_them, best = (get_method(name).kept(gradients) for name in ("sise", "ada_sise"))
        assert (all_of_them == (gradients > 0)).all()
        assert best.any()
        assert (all_of_them | best == all_of_them).all()
        assert gradients[best].min() > gradients[all_of_them & ~best].max()
        fewer += best.sum() < all_of_them.sum()
    assert fewer == 20
    assert get_method("sise", mu=0.5).kept(np.array([1.0, 3, 4, -9])).tolist() == [0, 1, 1, 0]
    for name in ("sise", "ada_sise"):
        assert not get_method(name).kept(np.array([-1.0, 0.0])).any()


def test_the_layers_are_the_last_of_each_size():
    names = [step.name for step in block_ends(toy_explainer("gap").pipeline.view)]
    assert names == ["conv1", "conv2"]
    resnet = keras.applications.ResNet50(weights=None, input_shape=(64, 64, 3), classes=4)
    view = gcam.Explainer(resnet, preprocess="caffe").pipeline.view
    expected = [
        "conv1_relu",
        *(f"conv{block}_out" for block in ("2_block3", "3_block4", "4_block6", "5_block3")),
    ]
    assert [step.name for step in block_ends(view)] == expected


def test_the_last_of_a_size_comes_after_the_smaller_ones_before_it():
    """A decoder's layer is masked last, although its encoder has its size too."""
    layers = keras.layers
    inputs = keras.Input((16, 16, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="encoder")(inputs)
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="middle")(
        layers.MaxPooling2D()(x)
    )
    x = layers.Conv2D(4, 3, padding="same", activation="relu", name="decoder")(
        layers.UpSampling2D()(x)
    )
    model = keras.Model(inputs, layers.Dense(3)(layers.GlobalAveragePooling2D()(x)))
    view = gcam.Explainer(model, preprocess="none", scores="logits").pipeline.view
    assert [step.name for step in block_ends(view)] == ["middle", "decoder"]


@pytest.mark.parametrize("method", ["sise", "ada_sise"])
def test_blocks_and_batches_change_nothing(method, toy_images):
    explainer = toy_explainer("gap")
    images = np.concatenate([toy_images, np.zeros((1, 8, 8, 3), np.float32)])
    ids = [*IDS, [0, 1]]
    batch = explainer.maps(images, ids, method, raw=True, block_size=3)
    assert np.isfinite(batch).all()
    whole = explainer.maps(images, ids, method, raw=True)
    np.testing.assert_allclose(whole, batch, rtol=1e-5, atol=1e-6)
    for n, t in np.ndindex(4, 2):
        alone = explainer.maps(images[n : n + 1], [ids[n][t]], method, raw=True)
        np.testing.assert_allclose(alone[0], batch[n, t], atol=1e-5)


def test_a_network_of_any_size_is_refused():
    inputs = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu", name="conv")(inputs)
    x = keras.layers.GlobalAveragePooling2D()(x)
    explainer = gcam.Explainer(keras.Model(inputs, keras.layers.Dense(2)(x), name="any"))
    with pytest.raises(
        gcam.InputError, match=r"sise looks at.*'any' has none.*a height and a width"
    ):
        explainer.maps(np.ones((1, 8, 8, 3)), [0], "ada_sise")
