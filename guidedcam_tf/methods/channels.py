"""One score for each channel or mask: the loop of the methods that cover or remove something."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from guidedcam_tf.progress import progress


def scores_by_channel(
    block_scores: Callable[[tf.Tensor], tf.Tensor],
    *,
    live: tf.Tensor,
    targets: int,
    block_size: int,
    description: str,
) -> tf.Tensor:
    """Score the channels that matter, a block of them at a time.

    The live channels of all pictures are queued together, so that every block but the last is full
    and no pass is spent on the others.

    Args:
        block_scores: Turns a block of pairs (picture, channel), int64 `[B, 2]`, into the scores of
            each picture's targets, float32 `[B, T]`.
        live: Which channels to score, bool `[N, K]`.
        targets: T.
        block_size: The largest B.
        description: What the progress bar calls the work.

    Returns:
        Float32 `[N, T, K]`, zero for channels that are not live.
    """
    scores = tf.zeros([*live.shape, targets])
    pairs = tf.where(live)
    for start in progress(range(0, len(pairs), block_size), description):
        block = pairs[start : start + block_size]
        scores = tf.tensor_scatter_nd_update(scores, block, block_scores(block))
    return tf.transpose(scores, [0, 2, 1])
