"""Batching inside the graph: rows of concurrent requests run together, once they are known good.

A server's own batching merges requests as they come in, so one bad picture fails all it was merged
with. Here every request is checked and decoded by itself, and only what goes through the network
is merged.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from collections.abc import Sequence

import tensorflow as tf

MAX_REQUEST_ROWS = 4096
"""A request with more rows is refused; one with fewer is split as needed."""

BATCH_THREADS = 2
"""Batches under way at a time: while one computes, the next is put together."""

MAX_WAITING_BATCHES = 64
"""With more than these waiting, a server answers that it is overloaded."""


def merged(
    function: Callable[..., dict[str, tf.Tensor]],
    signature: Sequence[tf.TensorSpec],
    size: int,
) -> Callable[..., dict[str, tf.Tensor]]:
    """Return a function that runs rows of concurrent calls together, at most `size` at a time.

    Nothing waits for company: rows are merged when they queue up while others compute.

    Args:
        function: Tensors `[N, ...]` in, tensors `[N, ...]` out, row by row.
        signature: Its arguments.
        size: The largest batch.
    """
    together = tf.function(
        function, input_signature=signature, autograph=False
    ).get_concrete_function()
    name = f"guidedcam-{uuid.uuid4().hex}"

    def call(*arguments: tf.Tensor) -> dict[str, tf.Tensor]:
        values = tf.raw_ops.BatchFunction(
            in_tensors=list(arguments),
            captured_tensors=together.captured_inputs,
            f=together,
            Tout=[output.dtype for output in together.outputs],
            num_batch_threads=BATCH_THREADS,
            max_batch_size=MAX_REQUEST_ROWS,
            batch_timeout_micros=0,
            max_enqueued_batches=MAX_WAITING_BATCHES,
            allowed_batch_sizes=list(range(1, size + 1)),
            enable_large_batch_splitting=True,
            shared_name=name,
        )
        shaped = [
            tf.ensure_shape(value, output.shape)
            for value, output in zip(values, together.outputs, strict=True)
        ]
        return tf.nest.pack_sequence_as(together.structured_outputs, shaped)

    return call
