"""CAMERAS: features and gradients averaged over sizes of the picture."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Annotated
from typing import Any

import numpy as np
import tensorflow as tf
from pydantic import BeforeValidator
from pydantic import Field

from guidedcam_tf import ops
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.methods.base import target_gradients
from guidedcam_tf.methods.options import Count
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView
from guidedcam_tf.networks.calls import traced
from guidedcam_tf.networks.picture_values import compiler_with_values
from guidedcam_tf.progress import progress

SIZE_COUNT = 8
SIZE_STEP = 100
UNFIT = (ValueError, tf.errors.InvalidArgumentError, tf.errors.AbortedError)
"""What Keras, TensorFlow and oneDNN raise where a layer cannot take the extent that comes."""


def _listed(sizes: Any) -> Any:
    """A list, or NumPy's numbers, as the tuple of whole numbers that it stands for."""
    if not isinstance(sizes, (list, tuple)):
        return sizes
    return tuple(int(s) if isinstance(s, np.integer) else s for s in sizes)


Sizes = Annotated[
    Annotated[tuple[Count, ...], Field(min_length=1)] | None,
    BeforeValidator(_listed),
    "whole numbers of at least 1, at least one of them, or None",
]


@method
class CAMERAS(Method):
    """S = ReLU(sum_k mean_s U(F_s)^k * mean_s U(G_s)^k): a map at the network's input size.

    F_s is the layer's output for the picture at size s, G_s = dY/dF_s the gradient of the target's
    logit Y, and U resizes to the input size, bilinearly. With one size, S is HiResCAM whose factors
    are resized before they are multiplied, not after.

    The preprocessed picture is resized, bicubically as in PyTorch, from the network's size to the
    others. That is the same as preprocessing the resized picture where preprocessing is a scale and
    a shift of the colours, as in Keras Applications.

    A target that is a rank ("the best class") follows the authors' code without a class: a size
    counts only if its best class is that of the network's own size. A target that is a class counts
    all sizes.

    One forward pass a picture and size, one backward pass a target more. Features and gradients are
    kept at their own, low, resolution; no tensor holds all channels at full resolution. A network
    with a `Flatten` runs at other sizes as `networks.graph` says there. TensorFlow runs the passes
    whatever the runtime: OpenVINO does not end for some networks at sizes other than their own.

    Raises:
        InputError: If an option has another form; from the kernel, if the network cannot run at one
            of the sizes.
    """

    name = "cameras"
    reference = "Jalwana et al. 2021, CVPR, sizes and selection as in the authors' code"
    many_passes = "a forward and a backward pass for each of several sizes of the picture"
    of_picture = True

    sizes: Sizes = option(
        None,
        "heights of the picture in pixels, the width in proportion; None for the network's own and "
        "seven more, each 100 larger: 224, 324, ..., 924",
    )
    match_top1: bool = option(
        True, "for a target by rank, leave out sizes at which the best class is another"
    )
    block_size: Count = option(16, "columns of the map that are computed at a time")

    def sizes_for(self, height: int, width: int) -> list[tuple[int, int]]:
        """The heights and widths at which a picture of the network's size is looked at."""
        heights = self.sizes or range(height, height + SIZE_COUNT * SIZE_STEP, SIZE_STEP)
        return [(size, max(1, round(size * width / height))) for size in heights]

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures, sizes and blocks of the map's columns."""
        if view.covered is not None:
            raise InputError(
                f"cameras looks at pictures of several sizes, and {view.network.name!r} crops, "
                f"pads or flips them before layer {view.layer!r}: choose another method, or do "
                "that to pictures first"
            )
        look = _compiled_pass(view)
        product = _compiled_product(len(self.sizes) if self.sizes else SIZE_COUNT)

        def explain(picture: tf.Tensor, targets: tf.Tensor) -> Maps:
            own_size = tuple(picture.shape[:2])
            own = look(picture, own_size, targets)
            seen = [
                own if size == own_size else look(picture, size, own["class_ids"])
                for size in progress(self.sizes_for(*own_size), "cameras: sizes")
            ]
            features = [s["features"] for s in seen]
            gradients = [s["gradients"] for s in seen]
            weights = self._weights(own, seen, targets)
            blocks = [
                product(features, gradients, weights, own_size, columns)
                for columns in _blocks(own_size[1], self.block_size)
            ]
            saliency = tf.nn.relu(tf.concat(blocks, axis=2))
            return {"saliency": saliency, "class_ids": own["class_ids"], "logits": own["logits"]}

        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs = view.network.preprocess(images)
            pairs = progress(zip(inputs, class_ids, strict=True), "cameras", total=len(inputs))
            rows = [explain(picture, targets) for picture, targets in pairs]
            return {name: tf.stack([row[name] for row in rows]) for name in rows[0]}

        return kernel

    def _weights(self, own: Maps, seen: list[Maps], targets: tf.Tensor) -> tf.Tensor:
        """What each size counts for each target, `[T, sizes]`: 1 / (how many count), or 0."""
        best = tf.stack([tf.argmax(s["logits"]) for s in seen])
        counts = (best == tf.argmax(own["logits"])) | (targets >= 0)[:, None]
        counts = tf.cast(counts | (not self.match_top1), tf.float32)
        return tf.math.divide_no_nan(counts, tf.reduce_sum(counts, axis=1, keepdims=True))


def _compiled_pass(view: LayerView) -> Callable[[tf.Tensor, tuple[int, int], tf.Tensor], Maps]:
    """What looks at a preprocessed picture `[H, W, 3]` at a size, for targets int32 `[T]`.

    It returns, columns first, the picture's `"features"` `[w, h, K]` and their `"gradients"`
    `[T, w, h, K]`, and the resolved `"class_ids"` `[T]` and the `"logits"` `[classes]`.
    """
    network = view.network

    def run(picture: tf.Tensor, size: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        inputs = ops.resize_bicubic(picture[None], size)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            features, logits = view.forward(inputs)
        class_ids = resolve_ranks(class_ids[None], logits)[0]

        def gradient_of(target: tf.Tensor) -> tf.Tensor:
            gradients = target_gradients(view, tape, logits, features, target[None])
            return tf.transpose(gradients[0], [1, 0, 2])

        signature = tf.TensorSpec([None, None, features.shape[-1]], tf.float32)
        gradients = tf.map_fn(gradient_of, class_ids, fn_output_signature=signature)
        return {
            "features": tf.transpose(features[0], [1, 0, 2]),
            "gradients": gradients,
            "class_ids": class_ids,
            "logits": logits[0],
        }

    signature = [
        tf.TensorSpec(network.graph.input_shape[1:], tf.float32),
        tf.TensorSpec([2], tf.int32),
        tf.TensorSpec([None], tf.int32),
    ]
    compiled = compiler_with_values(traced, network.graph.specs)(run, signature)

    def look(picture: tf.Tensor, size: tuple[int, int], class_ids: tf.Tensor) -> Maps:
        try:
            seen = compiled(picture, tf.constant(size), class_ids)
            tf.debugging.assert_positive(tf.size(seen["features"]))
        except UNFIT as error:
            raise InputError(
                f"cameras: network {network.name!r} does not run at {size[0]} x {size[1]}; "
                "expected sizes that its layers take"
            ) from error
        return seen

    return look


def _compiled_product(count: int) -> Callable[..., tf.Tensor]:
    """What computes columns of sum_k mean_s U(F_s)^k * mean_s U(G_s)^k, for `count` sizes.

    Resizing is a product with one matrix for the columns and one for the rows. Let X^k_ja be the
    features with their columns resized, j a column of the map and a counting the rows of all sizes,
    Y^k_ja the gradients likewise, and R_ia the rows' matrices side by side, each times what its
    size counts. Then row i and column j of the sum is

        sum_k (sum_a R_ia X^k_ja) (sum_b R_ib Y^k_jb) = sum_ab R_ia (sum_k X^k_ja Y^k_jb) R_ib,

    and on the right the sum over the channels comes before the rows are resized.
    """
    features_spec = [tf.TensorSpec([None] * 3, tf.float32)] * count
    gradients_spec = [tf.TensorSpec([None] * 4, tf.float32)] * count

    @partial(
        traced,
        signature=[
            features_spec,
            gradients_spec,
            tf.TensorSpec([None, count], tf.float32),
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([2], tf.int32),
        ],
    )
    def product(
        features: list[tf.Tensor],
        gradients: list[tf.Tensor],
        weights: tf.Tensor,
        size: tf.Tensor,
        columns: tf.Tensor,
    ) -> tf.Tensor:
        """Return `[T, H, columns]` for the columns from `columns[0]` to before `columns[1]`."""
        rows = [_bilinear(tf.shape(m)[1], size[0]) for m in features]
        resized_features = _resize_columns(features, size[1], columns)

        def of_target(gradients: list[tf.Tensor], shares: tf.Tensor) -> tf.Tensor:
            weighted = zip(tf.unstack(shares), rows, strict=True)
            all_rows = tf.concat([share * matrix for share, matrix in weighted], axis=1)
            resized_gradients = _resize_columns(gradients, size[1], columns)
            over_channels = tf.matmul(resized_features, resized_gradients, transpose_b=True)
            left = tf.matmul(all_rows[None], over_channels)
            return tf.transpose(tf.reduce_sum(left * all_rows, axis=-1))

        return tf.map_fn(
            lambda target: of_target(*target),
            (gradients, weights),
            fn_output_signature=tf.TensorSpec([None, None], tf.float32),
        )

    return product


def _resize_columns(maps: list[tf.Tensor], width: tf.Tensor, columns: tf.Tensor) -> tf.Tensor:
    """Resize maps `[w_s, h_s, K]` to some columns of `[width, h_s, K]`, the rows one after another.

    Returns:
        `[columns, sum of h_s, K]`.
    """
    matrices = [_bilinear(tf.shape(m)[0], width)[columns[0] : columns[1]] for m in maps]
    resized = [tf.einsum("jw,whk->jhk", *pair) for pair in zip(matrices, maps, strict=True)]
    return tf.concat(resized, axis=1)


def _bilinear(length: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The matrix `[size, length]` that resizes an axis, half-pixel bilinear: a resized identity."""
    return tf.image.resize(tf.eye(length)[..., None], tf.stack([size, length]))[..., 0]


def _blocks(length: int, block_size: int) -> list[tf.Tensor]:
    """The bounds of blocks of an axis, int32 `[2]` each."""
    starts = range(0, length, block_size)
    return [tf.constant([start, min(start + block_size, length)]) for start in starts]
