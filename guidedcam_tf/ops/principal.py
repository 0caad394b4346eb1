"""The first principal component of a stack of maps."""

import tensorflow as tf

ROUNDING = 1e-6
"""What is left of a constant channel once its mean is subtracted, as a part of that mean."""

SUMMED = 1e-5
"""What is left of a sum of 0 in float32, as a part of what is added up; its sign says nothing."""

SQUARINGS = 24
"""Then eigenvalues that differ by a millionth are told apart, which is what float32 can."""


def first_component(maps: tf.Tensor, center: bool = False) -> tf.Tensor:
    """X v, v being the first right singular vector of X, the maps as a matrix `[positions, K]`.

    The sign of v is free in a singular value decomposition. Here it is the one with which X v
    agrees with the maps' sum (their inner product is not negative), so of one map X v is that map.
    Where the maps add up to 0, as behind a layer normalisation, its highest value is positive.

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
    largest = tf.reduce_max(tf.abs(x), axis=[1, 2], keepdims=True)
    x = tf.math.divide_no_nan(x, largest)  # The squares of what is small may be 0 in float32.
    projection = tf.cond(
        positions <= channels, lambda: _from_positions(x), lambda: _from_channels(x)
    )
    parts = projection * tf.reduce_sum(x, axis=-1)
    agreement = tf.reduce_sum(parts, axis=1, keepdims=True)
    sizes = tf.abs(projection) * tf.reduce_sum(tf.abs(x), axis=-1)
    decided = tf.abs(agreement) > SUMMED * tf.reduce_sum(sizes, axis=1, keepdims=True)
    ends = [end(projection, axis=1, keepdims=True) for end in (tf.reduce_max, tf.reduce_min)]
    projection = tf.where(tf.where(decided, agreement, sum(ends)) < 0, -projection, projection)
    return tf.reshape(projection * largest[:, 0], [count, *extent])


def _from_positions(x: tf.Tensor) -> tf.Tensor:
    """X v = sigma u from the leading eigenvector u of X Xᵀ, the smaller matrix if h * w <= K."""
    leading = _leading_eigenvector(tf.matmul(x, x, transpose_b=True))
    return tf.norm(tf.linalg.matvec(x, leading, transpose_a=True), axis=-1, keepdims=True) * leading


def _from_channels(x: tf.Tensor) -> tf.Tensor:
    """X v from the leading eigenvector v of Xᵀ X."""
    return tf.linalg.matvec(x, _leading_eigenvector(tf.matmul(x, x, transpose_a=True)))


def _leading_eigenvector(matrices: tf.Tensor) -> tf.Tensor:
    """Unit vectors `[N, m]` of positive semidefinite matrices `[N, m, m]`; zero where those are.

    A high power of a matrix is a multiple of u uᵀ, so each of its columns is one of u. Squaring
    needs nothing but products, which every runtime has; a decomposition is in few.
    """
    power = matrices
    for _ in range(SQUARINGS):
        power = tf.math.divide_no_nan(power, tf.reduce_max(power, axis=[1, 2], keepdims=True))
        power = tf.matmul(power, power)
    longest = tf.argmax(tf.reduce_sum(tf.square(power), axis=2), axis=1)
    # A product, because OpenVINO 2026.4 crashes at gathering one row of a batch that is always 1.
    chosen = tf.linalg.matvec(power, tf.one_hot(longest, tf.shape(power)[1]))
    return tf.math.l2_normalize(chosen, axis=-1)
