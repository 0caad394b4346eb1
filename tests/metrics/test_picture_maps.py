"""Metrics of a map and of what network and method say of other pictures: by hand, by loops."""

import math

import numpy as np
import pytest

from guidedcam_tf import InputError
from guidedcam_tf.metrics import PictureMap
from guidedcam_tf.metrics import get_metric
from guidedcam_tf.metrics.road import NEIGHBOURS
from guidedcam_tf.metrics.road import imputed


def brightness(inputs):
    return inputs.mean(axis=(1, 2, 3)) / 255


def channel_mean(pictures):
    return pictures.mean(axis=-1) / 255


def evidence(saliency, picture=None, probabilities=brightness, maps=channel_mean):
    saliency = np.asarray(saliency, np.float32)
    if picture is None:
        picture = np.full((*saliency.shape, 3), 128, np.float32)
    clean = float(probabilities(picture[None])[0])
    return PictureMap(
        saliency, picture, picture, clean, probabilities, maps, np.zeros(3), np.zeros(3)
    )


def measure(name, *arguments, **options):
    return get_metric(name, **options).measure(evidence(*arguments))


def test_sparseness_is_the_gini_index():
    assert measure("sparseness", np.full((3, 4), 0.5)) == pytest.approx(0)
    single = np.zeros((2, 5))
    single[0, 2] = 1
    assert measure("sparseness", single) == pytest.approx(0.9)
    # Half the mean absolute difference of all pairs, over the mean.
    values = np.random.default_rng(0).random(20)
    pairs = np.abs(values[:, None] - values).mean() / (2 * values.mean())
    assert measure("sparseness", values.reshape(4, 5)) == pytest.approx(pairs, rel=1e-6)


def test_complexity_is_the_entropy():
    single = np.zeros((2, 5))
    single[0, 2] = 0.7
    assert measure("complexity", single) == 0
    assert measure("complexity", np.full((2, 5), 0.3)) == pytest.approx(math.log(10))
    assert measure("complexity", [[0.5, 0.25, 0.25]]) == pytest.approx(1.5 * math.log(2))


@pytest.mark.parametrize("name", ["sparseness", "complexity", "max_sensitivity"])
def test_a_zero_map_is_undefined(name):
    assert math.isnan(measure(name, np.zeros((3, 3))))


def test_max_sensitivity_is_the_largest_of_the_changes(rng):
    picture = rng.uniform(0, 255, (4, 5, 3)).astype(np.float32)
    seen = []

    def maps(pictures):
        seen.append(pictures)
        return channel_mean(pictures)

    saliency = channel_mean(picture)
    value = measure("max_sensitivity", saliency, picture, brightness, maps, radius=3.0, samples=4)
    (around,) = seen
    assert around.shape == (4, 4, 5, 3)
    assert 2 < np.abs(around - picture).max() <= 3 + 1e-4
    assert around.min() >= 0 and around.max() <= 255
    changes = [np.linalg.norm(channel_mean(x) - saliency) for x in around]
    assert value == pytest.approx(max(changes) / np.linalg.norm(saliency), rel=1e-5)
    assert measure("max_sensitivity", saliency, picture, brightness, lambda x: x[..., 0] * 0) == 1


def test_adcc_is_the_harmonic_mean_of_its_parts(rng):
    picture = rng.uniform(50, 200, (4, 5, 3)).astype(np.float32)
    saliency = rng.random((4, 5)).astype(np.float32)
    masked = picture * saliency[..., None]
    coherency = (np.corrcoef(saliency.ravel(), channel_mean(masked).ravel())[0, 1] + 1) / 2
    kept = brightness(masked[None])[0] / brightness(picture[None])[0]
    expected = 3 / (1 / coherency + 1 / (1 - saliency.mean()) + 1 / kept)
    assert measure("adcc", saliency, picture) == pytest.approx(expected, rel=1e-5)
    assert measure("adcc", np.zeros((4, 5)), picture) == 0


def test_imputation_solves_the_equation_of_every_removed_pixel(rng):
    picture = rng.normal(size=(7, 6, 2))
    removed = rng.random((7, 6)) < 0.6
    filled = imputed(picture, removed)
    np.testing.assert_array_equal(filled[~removed], picture[~removed])
    for row, column in np.argwhere(removed):
        near = {
            (row + down, column + right): weight
            for (down, right), weight in NEIGHBOURS.items()
            if 0 <= row + down < 7 and 0 <= column + right < 6
        }
        mean = sum(w * filled[at] for at, w in near.items()) / sum(near.values())
        np.testing.assert_allclose(filled[row, column], mean, atol=1e-9)
    flat = imputed(np.full((7, 6, 2), 3.0), removed)
    np.testing.assert_allclose(flat, 3.0)
    np.testing.assert_array_equal(imputed(picture, np.zeros((7, 6), bool)), picture)


def test_road_prefers_the_map_that_knows_what_matters(rng):
    # The class is the brightness of the left half, and only its pixels are bright.
    picture = np.zeros((6, 6, 3), np.float32)
    picture[:, :3] = rng.uniform(150, 250, (6, 3, 3))

    def left(inputs):
        return np.clip(inputs[:, :, :3].mean(axis=(1, 2, 3)) / 255, 0, 1)

    right_map = np.tile(np.linspace(1, 0, 6, dtype=np.float32), (6, 1))
    good = measure("road", right_map, picture, left, percentiles=[30, 50])
    bad = measure("road", 1 - right_map, picture, left, percentiles=[30, 50])
    assert good > 0.05
    assert bad < -0.05
    constant = measure("road", right_map, picture, lambda inputs: np.full(len(inputs), 0.3))
    assert constant == 0
    assert good == measure("road", right_map, picture, left, percentiles=[30, 50])


def test_options_are_checked():
    with pytest.raises(InputError, match=r"'road': option percentiles: .*less than 100"):
        get_metric("road", percentiles=[100])
    with pytest.raises(InputError, match=r"'max_sensitivity': option samples: .*greater than or"):
        get_metric("max_sensitivity", samples=0)


@pytest.mark.parametrize(
    ("saliency", "message"),
    [
        (np.eye(4) - 0.5, r"saliency must be in \[0, 1\]; received values from -0.5 to 0.5"),
        (np.full((4, 4), 255), "saliency must be in"),
        (np.where(np.eye(4), np.nan, 0.5), "saliency must be finite"),
        (np.zeros((1, 4, 4)), r"must have shape \[H, W\]; received \(1, 4, 4\)"),
    ],
)
def test_a_map_of_another_form_is_an_error(saliency, message):
    """A sparseness of 12 had come out, and an undefined one of NaN."""
    with pytest.raises(InputError, match=message):
        evidence(saliency, np.zeros((4, 4, 3), np.float32))
