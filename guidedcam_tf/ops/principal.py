"""The first principal component of a stack of maps."""

import tensorflow as tf

ROUNDING = 1e-6
"""What is left of a constant channel once its mean is subtracted, as a part of that mean."""


def first_component(maps: tf.Tensor, center: bool = False) -> tf.Tensor:
    """X v, v being the first right singular vector of X, the maps as a matrix `[positions, K]`.

    The sign of v is free in a singular value decomposition. Here it is the one with which X v
    agrees with the maps' sum (their inner product is not negative), so of one map X v is that map.

    Args:
        maps: Float32 `[N, ...spatial, K]`.
        center: Subtract each map's mean first.

    Returns:
        Float32 `[N, ...spatial]`, of both signs.
    """
    count, *extent, channels = tf.unstack(tf.shape(maps))
    positions = tf.reduce_prod(extent)
    x = tf.reshape(maps, [count, positions, channels])
    if center:
        means = tf.reduce_mean(x, axis=1, keepdims=True)
        x = tf.where(tf.abs(x - means) > ROUNDING * tf.abs(means), x - means, 0.0)
    projection = tf.cond(
        positions <= channels, lambda: _from_positions(x), lambda: _from_channels(x)
    )
    agreement = tf.reduce_sum(projection * tf.reduce_sum(x, axis=-1), axis=1, keepdims=True)
    projection = tf.where(agreement < 0, -projection, projection)
    return tf.reshape(projection, [count, *extent])


def _from_positions(x: tf.Tensor) -> tf.Tensor:
    """X v = sigma u from the leading eigenvector u of X Xᵀ, the smaller matrix if h * w <= K."""
    eigenvalues, vectors = tf.linalg.eigh(tf.matmul(x, x, transpose_b=True))
    return tf.sqrt(tf.nn.relu(eigenvalues[:, -1:])) * vectors[:, :, -1]


def _from_channels(x: tf.Tensor) -> tf.Tensor:
    """X v from the leading eigenvector v of Xᵀ X."""
    _, vectors = tf.linalg.eigh(tf.matmul(x, x, transpose_a=True))
    return tf.matmul(x, vectors[:, :, -1:])[:, :, 0]
