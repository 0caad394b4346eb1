"""CAMERAS: features and gradients averaged over sizes of the picture."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral

import tensorflow as tf

from guidedcam_tf import ops
from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.base import Kernel
from guidedcam_tf.methods.base import Maps
from guidedcam_tf.methods.base import Method
from guidedcam_tf.methods.base import check_count
from guidedcam_tf.methods.base import check_flag
from guidedcam_tf.methods.base import option
from guidedcam_tf.methods.base import resolve_ranks
from guidedcam_tf.networks import LayerView
from guidedcam_tf.progress import progress

SIZE_COUNT = 8
SIZE_STEP = 100
UNFIT = (ValueError, tf.errors.InvalidArgumentError, tf.errors.AbortedError)
"""What Keras, TensorFlow and oneDNN raise where a layer cannot take the extent that comes."""


@dataclass(frozen=True)
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
    kept at their own, low, resolution; at full resolution only a block of channels exists at a
    time. A network with a `Flatten` runs at other sizes as `networks.graph` says there.

    Raises:
        InputError: If an option has another form; from the kernel, if the network cannot run at one
            of the sizes.
    """

    name = "cameras"
    reference = "Jalwana et al. 2021, CVPR, sizes and selection as in the authors' code"
    many_passes = "a forward and a backward pass for each of several sizes of the picture"

    sizes: Sequence[int] | None = option(
        None,
        "heights of the picture in pixels, the width in proportion; None for the network's own and "
        "seven more, each 100 larger: 224, 324, ..., 924",
    )
    match_top1: bool = option(
        True, "for a target by rank, leave out sizes at which the best class is another"
    )
    block_size: int = option(128, "channels that are resized at a time")

    def __post_init__(self) -> None:
        if self.sizes is not None:
            object.__setattr__(self, "sizes", _checked_sizes(self.sizes))
        check_flag(self, "match_top1")
        check_count(self, "block_size")

    def sizes_for(self, height: int, width: int) -> list[tuple[int, int]]:
        """The heights and widths at which a picture of the network's size is looked at."""
        heights = self.sizes or range(height, height + SIZE_COUNT * SIZE_STEP, SIZE_STEP)
        return [(size, max(1, round(size * width / height))) for size in heights]

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that loops over pictures, sizes and blocks of channels."""
        look = _compiled_pass(view)
        product = _compiled_product(len(self.sizes) if self.sizes else SIZE_COUNT)

        def explain(picture: tf.Tensor, targets: tf.Tensor) -> Maps:
            own_size = tuple(picture.shape[:2])
            own = look(picture, own_size, targets)
            seen = [
                own if size == own_size else look(picture, size, own["class_ids"])
                for size in progress(self.sizes_for(*own_size), "cameras: sizes")
            ]
            weights = self._weights(own, seen, targets)
            sums = tf.zeros([len(targets), *own_size])
            for start in range(0, seen[0]["features"].shape[-1], self.block_size):
                block = slice(start, start + self.block_size)
                features = [s["features"][..., block] for s in seen]
                gradients = [s["gradients"][..., block] for s in seen]
                sums += tf.stack(
                    [
                        product(features, [g[target] for g in gradients], w, own_size)
                        for target, w in enumerate(weights)
                    ]
                )
            saliency = tf.nn.relu(sums)
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

    It returns the picture's `"features"` `[h, w, K]`, their `"gradients"` `[T, h, w, K]`, the
    resolved `"class_ids"` `[T]` and the `"logits"` `[classes]`.
    """
    network = view.network

    @tf.function(
        input_signature=[
            tf.TensorSpec(network.graph.input_shape[1:], tf.float32),
            tf.TensorSpec([2], tf.int32),
            tf.TensorSpec([None], tf.int32),
        ]
    )
    def run(picture: tf.Tensor, size: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        inputs = ops.resize_bicubic(picture[None], size)
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            features, logits = view.forward(inputs)
        class_ids = resolve_ranks(class_ids[None], logits)[0]

        def gradient_of(target: tf.Tensor) -> tf.Tensor:
            one_hot = tf.one_hot(target[None], tf.shape(logits)[1])
            return tape.gradient(logits, features, output_gradients=one_hot)[0]

        signature = tf.TensorSpec(features.shape[1:], tf.float32)
        gradients = tf.map_fn(gradient_of, class_ids, fn_output_signature=signature)
        return {
            "features": features[0],
            "gradients": gradients,
            "class_ids": class_ids,
            "logits": logits[0],
        }

    def look(picture: tf.Tensor, size: tuple[int, int], class_ids: tf.Tensor) -> Maps:
        try:
            seen = run(picture, tf.constant(size), class_ids)
            tf.debugging.assert_positive(tf.size(seen["features"]))
        except UNFIT as error:
            raise InputError(
                f"cameras: network {network.name!r} does not run at {size[0]} x {size[1]}; "
                "expected sizes that its layers take"
            ) from error
        return seen

    return look


def _compiled_product(count: int) -> Callable[..., tf.Tensor]:
    """What sums mean_s U(F_s)^k * mean_s U(G_s)^k over a block of channels, for `count` sizes."""
    maps = [tf.TensorSpec([None, None, None], tf.float32)] * count

    @tf.function(
        input_signature=[
            maps,
            maps,
            tf.TensorSpec([count], tf.float32),
            tf.TensorSpec([2], tf.int32),
        ]
    )
    def product(
        features: list[tf.Tensor], gradients: list[tf.Tensor], weights: tf.Tensor, size: tf.Tensor
    ) -> tf.Tensor:
        shares = tf.unstack(weights)
        return tf.reduce_sum(
            _blend(features, shares, size) * _blend(gradients, shares, size), axis=-1
        )

    return product


def _blend(maps: list[tf.Tensor], weights: list[tf.Tensor], size: tf.Tensor) -> tf.Tensor:
    """The weighted sum of maps `[h_s, w_s, K]`, each resized to `[*size, K]`.

    Resizing is a product with one matrix for the columns and one for the rows, so the matrices of
    all maps' rows side by side resize and add in one product.
    """
    columns = [tf.matmul(_bilinear(tf.shape(m)[1], size[1])[None], m) for m in maps]
    rows = [w * _bilinear(tf.shape(m)[0], size[0]) for w, m in zip(weights, maps, strict=True)]
    return tf.einsum("ih,hjk->ijk", tf.concat(rows, axis=1), tf.concat(columns, axis=0))


def _bilinear(length: tf.Tensor, size: tf.Tensor) -> tf.Tensor:
    """The matrix `[size, length]` that resizes an axis, half-pixel bilinear: a resized identity."""
    return tf.image.resize(tf.eye(length)[..., None], tf.stack([size, length]))[..., 0]


def _checked_sizes(sizes: Sequence[int]) -> tuple[int, ...]:
    listed = tuple(sizes) if isinstance(sizes, Sequence) and not isinstance(sizes, str) else ()
    whole = [isinstance(size, Integral) and not isinstance(size, bool) for size in listed]
    if not listed or not all(whole) or min(listed) < 1:
        raise InputError(
            "cameras: sizes must be whole numbers of at least 1, at least one of them, or None; "
            f"received {sizes!r}"
        )
    return tuple(int(size) for size in listed)
