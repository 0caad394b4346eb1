"""Average pooling to a given extent, whatever the extent of what is pooled."""

import tensorflow as tf


def adaptive_average_pool(maps: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Average feature maps over a grid of cells that covers them.

    Cell i of n along an axis of length m averages the elements from floor(i m / n) up to, and
    without, ceil((i + 1) m / n), as PyTorch's `AdaptiveAvgPool2d` does. Cells overlap where n does
    not divide m, and for n = m nothing changes, to the last bit.

    Args:
        maps: Floating `[N, h, w, K]`; h and w may be unknown until the graph runs.
        size: Height and width of the result.

    Returns:
        `[N, *size, K]` of the same dtype.
    """
    rows = _averaging(tf.shape(maps)[1], size[0], maps.dtype)
    columns = _averaging(tf.shape(maps)[2], size[1], maps.dtype)
    return tf.einsum("ih,nhwk,jw->nijk", rows, maps, columns)


def _averaging(length: tf.Tensor, cells: int, dtype: tf.DType) -> tf.Tensor:
    """The matrix `[cells, length]` that averages over each cell."""
    index, positions = tf.range(cells)[:, None], tf.range(length)[None, :]
    starts, stops = index * length // cells, -(-(index + 1) * length // cells)
    inside = (positions >= starts) & (positions < stops)
    return tf.cast(inside, dtype) / tf.cast(stops - starts, dtype)
