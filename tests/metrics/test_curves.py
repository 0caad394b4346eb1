"""Insertion and deletion: hand computation, a plain loop, identities."""

import numpy as np
import pytest
from common import build_toy
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from metrics.strategies import PROBABILITIES
from metrics.strategies import increasing_pairs
from metrics.strategies import maps
from scipy import integrate

from guidedcam_tf import InputError
from guidedcam_tf import metrics

# Read row by row the pixels are 0.1, 0.2, 0.3, 0.4; by saliency, equal ones in reading order,
# they come as 0.3, 0.2, 0.4, 0.1.
PICTURE = np.array([[[0.1], [0.2]], [[0.3], [0.4]]])
SALIENCY = np.array([[0.0, 0.5], [1.0, 0.5]])


def total(pictures):
    return pictures.sum(axis=(1, 2, 3))


def weighted(pictures):
    """A linear score in [0, 1] for pictures in [0, 1], other for every pixel."""
    weights = np.arange(1, pictures[0].size + 1).reshape(pictures[0].shape)
    return (weights * pictures).sum(axis=(1, 2, 3)) / weights.sum()


def plain_loop(start, finish, saliency, score, step):
    """One picture a step, pixel by pixel."""
    pixels = sorted(np.ndindex(saliency.shape), key=lambda i: (-saliency[i], i))
    picture, scores = start.copy(), [score(start[None])[0]]
    for begin in range(0, len(pixels), step):
        for pixel in pixels[begin : begin + step]:
            picture[pixel] = finish[pixel]
        scores.append(score(picture[None])[0])
    return scores


def test_hand_computed():
    deletion = metrics.deletion(PICTURE, SALIENCY, total, step=1)
    np.testing.assert_allclose(deletion.scores, [1, 0.7, 0.5, 0.1, 0], atol=1e-12)
    np.testing.assert_array_equal(deletion.fractions, [0, 0.25, 0.5, 0.75, 1])
    # (1 / 2 + 0.7 + 0.5 + 0.1 + 0 / 2) / 4
    assert deletion.auc == pytest.approx(0.45)
    insertion = metrics.insertion(PICTURE, SALIENCY, total, step=1, substrate=0.0)
    np.testing.assert_allclose(insertion.scores, [0, 0.3, 0.5, 0.9, 1], atol=1e-12)
    # (0 / 2 + 0.3 + 0.5 + 0.9 + 1 / 2) / 4
    assert insertion.auc == pytest.approx(0.55)


def test_a_short_last_step():
    curve = metrics.deletion(PICTURE, SALIENCY, total, step=3)
    np.testing.assert_array_equal(curve.fractions, [0, 0.75, 1])
    np.testing.assert_allclose(curve.scores, [1, 0.1, 0], atol=1e-12)
    # Steps taken as equal: (0.5 + 0.1) / 2; where they are: 0.75 * 0.55 + 0.25 * 0.05.
    assert curve.auc == pytest.approx(0.3)
    assert metrics.auc(curve.scores, curve.fractions) == pytest.approx(0.425)


@pytest.mark.parametrize("size", [(224, 224), (6, 5)])
def test_rise_counts(size):
    pixels = size[0] * size[1]
    counts = metrics.curve_counts(pixels)
    assert len(counts) == np.ceil(pixels / 224) + 1
    assert (counts[0], counts[-1]) == (0, pixels)


@given(maps, st.integers(1, 60), st.integers(1, 5))
def test_matches_a_plain_loop(saliency, step, batch_size):
    picture = np.linspace(0.2, 1, saliency.size * 2).reshape(*saliency.shape, 2)
    options = {"step": step, "batch_size": batch_size}
    curve = metrics.deletion(picture, saliency, weighted, substrate=[0.1, 0.0], **options)
    floor = np.broadcast_to([0.1, 0.0], picture.shape)
    expected = plain_loop(picture, floor, saliency, weighted, step)
    np.testing.assert_allclose(curve.scores, expected, atol=1e-12)
    curve = metrics.insertion(picture, saliency, weighted, **options)
    expected = plain_loop(metrics.blurred(picture), picture, saliency, weighted, step)
    np.testing.assert_allclose(curve.scores, expected, atol=1e-12)


@given(maps, st.floats(0, 1), st.integers(1, 60))
def test_constant_scores_are_their_own_area(saliency, value, step):
    picture = np.ones((*saliency.shape, 3), np.float32)
    for curve in (metrics.deletion, metrics.insertion):
        result = curve(picture, saliency, lambda block: np.full(len(block), value), step=step)
        assert result.auc == pytest.approx(value)


@given(increasing_pairs(), st.integers(1, 12))
def test_knows_only_the_order(pair, step):
    picture = np.linspace(0.2, 1, pair[0].size).reshape(*pair[0].shape, 1)
    for curve in (metrics.deletion, metrics.insertion):
        first, second = (curve(picture, one, weighted, step=step) for one in pair)
        np.testing.assert_array_equal(first.scores, second.scores)


def test_the_reversed_order_mirrors_the_curve_of_a_linear_model(rng):
    picture = rng.random((6, 4, 3))
    saliency = rng.permutation(24).reshape(6, 4) / 24
    forward = metrics.deletion(picture, saliency, weighted, substrate=0.2, step=3)
    backward = metrics.deletion(picture, 1 - saliency, weighted, substrate=0.2, step=3)
    ends = forward.scores[0] + forward.scores[-1]
    np.testing.assert_allclose(backward.scores, ends - forward.scores[::-1])
    assert backward.auc == pytest.approx(ends - forward.auc)


def test_a_network_is_at_its_clean_probability_at_one_end(toy_images):
    model = build_toy("flatten")
    picture = toy_images[0]

    def score(pictures):
        return model.predict_on_batch(pictures)[:, 1]

    saliency = np.abs(picture).max(axis=-1)
    clean, blank, blur = score(
        np.stack([picture, np.zeros_like(picture), metrics.blurred(picture)])
    )
    deletion = metrics.deletion(picture, saliency, score, step=5, batch_size=4)
    insertion = metrics.insertion(picture, saliency, score, step=5, batch_size=4)
    assert len(deletion.scores) == len(insertion.scores) == 14
    np.testing.assert_allclose(deletion.scores[[0, -1]], [clean, blank], rtol=1e-5)
    np.testing.assert_allclose(insertion.scores[[0, -1]], [blur, clean], rtol=1e-5)
    assert 0 < deletion.auc < 1


def test_blocks_keep_to_the_batch_size_and_leave_the_picture_alone(rng):
    picture = rng.normal(size=(8, 8, 3)).astype(np.float32)
    before, saliency = picture.copy(), rng.random((8, 8))
    blocks = list(metrics.curve_inputs(picture, 0.0, saliency, step=8, batch_size=4))
    assert [block.shape for block in blocks] == [(4, 8, 8, 3), (4, 8, 8, 3), (1, 8, 8, 3)]
    assert {block.dtype for block in blocks} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(blocks[0][0], picture)
    assert not blocks[-1].any()
    blocks[0][:] = 7
    np.testing.assert_array_equal(picture, before)


def test_a_flat_map_has_the_order_of_reading():
    np.testing.assert_array_equal(metrics.pixel_order(np.full((2, 3), 0.5)), range(6))
    np.testing.assert_array_equal(metrics.pixel_order(SALIENCY), [2, 1, 3, 0])


@given(hnp.arrays(float, (3, 9), elements=PROBABILITIES))
def test_area_is_scipys_trapezoid_and_linear(curves):
    areas = metrics.auc(curves)
    np.testing.assert_allclose(areas, integrate.trapezoid(curves, dx=1 / 8, axis=-1), atol=1e-12)
    assert ((areas >= 0) & (areas <= 1 + 1e-12)).all()
    assert metrics.auc(curves.mean(axis=0)) == pytest.approx(areas.mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.deletion(PICTURE, SALIENCY, total, step=0), "step must be at least 1"),
        (lambda: metrics.deletion(PICTURE, SALIENCY, total, batch_size=0), "batch_size must be at"),
        (lambda: metrics.deletion(PICTURE, SALIENCY[:1], total), r"map's H and W, \(1, 2\)"),
        (
            lambda: metrics.deletion(PICTURE.astype(int), SALIENCY, total),
            r"must be floats \[H, W, C\].*received int64 \(2, 2, 1\)",
        ),
        (
            lambda: metrics.insertion(PICTURE, SALIENCY, lambda block: block),
            r"score must return 2 finite numbers, one a picture; received shape \(2, 2, 2, 1\)",
        ),
        (
            lambda: metrics.insertion(PICTURE, SALIENCY, lambda block: [np.nan] * len(block)),
            "score must return 2 finite numbers",
        ),
        (lambda: metrics.auc([0.5]), r"scores must have shape \[..., n \+ 1\], n >= 1"),
        (lambda: metrics.auc([0, 1], [0, 0.5, 1]), r"fractions must have shape \(2,\)"),
        (lambda: metrics.auc([0, 1], [1, 0]), r"must rise from 0 to 1; received \[1, 0\]"),
        (lambda: metrics.auc([0, 1], [0, 100]), "fractions must rise from 0 to 1; received"),
        (
            lambda: metrics.deletion(PICTURE, SALIENCY, total, substrate=np.zeros((4, 4, 1))),
            r"substrate must be a number, a colour \[1\] or a picture .*received shape \(4, 4, 1\)",
        ),
    ],
)
def test_bad_arguments_are_errors(call, message):
    with pytest.raises(InputError, match=message):
        call()
