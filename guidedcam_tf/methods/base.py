"""What every method is: options, what it returns, and how it is compiled for a network's layer."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.methods.options import method
from guidedcam_tf.methods.options import option
from guidedcam_tf.networks import LayerView

Maps = dict[str, tf.Tensor]
Kernel = Callable[[tf.Tensor, tf.Tensor], Maps]


@dataclass(frozen=True)
class Method:
    """A way to turn a network's layer and a target into a saliency map.

    A subclass is made a frozen dataclass by `options.method`; its fields, declared with `option`,
    are the method's options.

    Attributes:
        name: What the registry calls it.
        reference: The paper, and its equations.
        outputs: The maps it computes: `"saliency"` first, then intermediates.
        many_passes: What it needs of the network in words, if that is too much for a request to a
            server; empty for one forward pass and at most one gradient a target, compiled as one
            function.
        needs_layer: Whether it explains layers, and so cannot explain a network without feature
            maps; else it explains the picture.
        of_picture: Whether its maps have the picture's size and lie over all of it, though it
            explains layers.
        any_extent: Whether it explains signals `[N, T, C]` and volumes `[N, D, H, W, C]` as it does
            pictures.
        of_own_layers: Whether it chooses the layers that it explains, whatever the explainer's.
        reads_attention: Whether it explains the attention of all blocks of a transformer, and so
            refuses other networks.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ("saliency",)
    many_passes: ClassVar[str] = ""
    needs_layer: ClassVar[bool] = True
    of_picture: ClassVar[bool] = False
    any_extent: ClassVar[bool] = False
    of_own_layers: ClassVar[bool] = False
    reads_attention: ClassVar[bool] = False

    def check(self, view: LayerView) -> None:
        """Warn of what makes the method doubtful at a layer; called before it is compiled."""

    def compile(self, view: LayerView) -> Kernel:
        """Return the method for one network and layer.

        The kernel takes pictures, float32 RGB in 0..255 `[N, H, W, 3]` at the network's size, and
        targets, int32 `[N, T]`, where -k means the k-th best class. It returns float32
        `[N, T, h, w]` (or `[N, T, ...spatial]`) for each of `outputs`, the resolved targets as
        `"class_ids"`, int32 `[N, T]`, and `"logits"`, float32 `[N, classes]`.
        """
        raise NotImplementedError


@method
class OnePass(Method):
    """A method that is one compiled function of what the model takes.

    Attributes:
        augmented: Average the maps of copies of the picture instead, as `augmenting` says.
    """

    augmented: bool = option(
        default=False,
        meaning="average over six copies: 0.9, 1 and 1.1 times the picture, each mirrored as well",
    )

    def __post_init__(self) -> None:
        """Say that the copies are many passes."""
        if self.augmented:
            passes = "six passes for each picture (augmented=True)"
            object.__setattr__(self, "many_passes", passes)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Compute what the kernel returns from preprocessed pictures, float32 `[N, H, W, C]`."""
        raise NotImplementedError

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that is traced once, whatever the number of pictures and targets."""
        self.check(view)
        if self.augmented:
            from guidedcam_tf.methods.augmenting import augmented_kernel  # It imports this file.

            return augmented_kernel(self, view)

        @view.compiled(kernel_signature(view))
        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            return self.of_inputs(view, view.network.preprocess(images), class_ids)

        return kernel


class GradientMethod(OnePass):
    """A method that needs one forward pass, and one gradient of the logit at the layer a target."""

    any_extent = True

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """The method's formula.

        Args:
            activations: M, the layer's output, float32 `[N, h, w, K]`, or with one or three
                spatial axes, of a signal or a volume.
            gradients: dY/dM for the target's logit Y, of the same shape.

        Returns:
            Float32 `[N, h, w]`, or as many spatial axes, for each of `outputs`.
        """
        raise NotImplementedError

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, and differentiate each target's logit at the layer."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            activations, logits = view.forward(inputs)
        class_ids = resolve_ranks(class_ids, logits)

        def of_target(target: tf.Tensor) -> Maps:
            gradients = target_gradients(view, tape, logits, activations, target)
            return self.maps(activations, gradients)

        maps = by_target(of_target, class_ids, self.outputs, rank=len(view.step.shape) - 1)
        return {**maps, "class_ids": class_ids, "logits": logits}


class PixelMethod(OnePass):
    """A method that needs one gradient of the target's logit at the model's input.

    Its map has the input's size, and the layer that an explainer is opened at does not matter.
    """

    needs_layer = False
    any_extent = True

    def maps(self, inputs: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """The method's formula: from x and dY/dx, float32 `[N, H, W, C]`, to `[N, H, W]` maps."""
        raise NotImplementedError

    def logits_of(self, view: LayerView, inputs: tf.Tensor) -> tf.Tensor:
        """The forward pass that is differentiated: x to logits, float32 `[N, classes]`."""
        return view.network.logits_of(inputs)

    def of_inputs(self, view: LayerView, inputs: tf.Tensor, class_ids: tf.Tensor) -> Maps:
        """Run the network once, and differentiate each target's logit at the input."""
        with tf.GradientTape(persistent=True) as tape:
            tape.watch(inputs)
            logits = self.logits_of(view, inputs)
        class_ids = resolve_ranks(class_ids, logits)
        maps = by_target(
            lambda target: self.maps(inputs, pixel_gradients(view, tape, logits, inputs, target)),
            class_ids,
            self.outputs,
            rank=len(view.network.graph.input_shape) - 1,
        )
        return {**maps, "class_ids": class_ids, "logits": logits}


def pixel_gradients(
    view: LayerView,
    tape: tf.GradientTape,
    logits: tf.Tensor,
    inputs: tf.Tensor,
    targets: tf.Tensor,
) -> tf.Tensor:
    """The gradient of each picture's target logit at the input, float32 `[N, H, W, C]`.

    Raises:
        InputError: If a layer in between has no gradient.
    """
    one_hot = tf.one_hot(targets, tf.shape(logits)[1])
    gradients = tape.gradient(logits, inputs, output_gradients=one_hot)
    if gradients is None:
        raise InputError(
            f"no gradient of the scores reaches the input of {view.network.name!r}; "
            "choose a method without gradients (rise, occlusion)"
        )
    return gradients


def attributed(attribution: tf.Tensor) -> Maps:
    """What a signed attribution shows, from float32 `[N, H, W, C]`.

    Returns:
        `"attribution"`, its sum over the channels, and `"saliency"`, the part of that which speaks
        for the target, float32 `[N, H, W]` each.
    """
    total = tf.reduce_sum(attribution, axis=-1)
    return {"saliency": tf.nn.relu(total), "attribution": total}


def by_target(
    of_target: Callable[[tf.Tensor], Maps],
    class_ids: tf.Tensor,
    outputs: Sequence[str] = ("saliency",),
    rank: int = 3,
) -> Maps:
    """Compute maps for one target of each picture after another.

    Where the number of targets is known to be one when the kernel is traced, no loop is made, so
    that the kernel holds nothing but plain operations.

    Args:
        of_target: From class indices, int32 `[N]`, to float32 `[N, h, w]` for each of `outputs`.
        class_ids: Int32 `[N, T]`.
        outputs: The maps' names.
        rank: Of the maps: 3 for `[N, h, w]`, 4 where they still have channels, `[N, h, w, K]`.

    Returns:
        Float32 `[N, T, h, w]` for each of `outputs`.
    """
    if class_ids.shape[1] == 1:
        return {name: maps[:, None] for name, maps in of_target(class_ids[:, 0]).items()}
    signature = dict.fromkeys(outputs, tf.TensorSpec([None] * rank, tf.float32))
    maps = tf.map_fn(of_target, tf.transpose(class_ids), fn_output_signature=signature)
    order = [1, 0, *range(2, rank + 1)]
    return {name: tf.transpose(m, order) for name, m in maps.items()}


def kernel_signature(view: LayerView) -> list[tf.TensorSpec]:
    """The arguments of every kernel: pictures at the network's size, and targets."""
    network = view.network
    return [
        tf.TensorSpec([None, *network.input_size, network.channels], tf.float32),
        tf.TensorSpec([None, None], tf.int32),
    ]


def target_gradients(
    view: LayerView,
    tape: tf.GradientTape,
    logits: tf.Tensor,
    activations: tf.Tensor,
    targets: tf.Tensor,
) -> tf.Tensor:
    """The gradient of each picture's target logit at the layer, float32 `[N, h, w, K]`.

    Args:
        view: The network and layer.
        tape: A persistent tape that recorded `view.forward`.
        logits: What that returned, float32 `[N, classes]`.
        activations: What that returned, float32 `[N, h, w, K]`.
        targets: Class indices, int32 `[N]`.

    Raises:
        InputError: If a layer in between has no gradient; the message names it.
    """
    one_hot = tf.one_hot(targets, tf.shape(logits)[1])
    return gradients_at(view, tape, logits, activations, one_hot)


def gradients_at(
    view: LayerView,
    tape: tf.GradientTape,
    logits: tf.Tensor,
    activations: tf.Tensor,
    seed: tf.Tensor,
) -> tf.Tensor:
    """As `target_gradients`, of the sum of the logits times `seed`, float32 `[N, classes]`."""
    gradients = tape.gradient(logits, activations, output_gradients=seed)
    if gradients is None:
        raise InputError(
            f"no gradient of the scores reaches layer {view.layer!r}: {view.gradient_stopper()} "
            "in between has none; choose a later layer, or a method without gradients (scorecam)"
        )
    gradients = tf.convert_to_tensor(gradients)  # That of a gather along the batch is slices.
    gradients.set_shape([None] * len(view.step.shape))  # Not all gradients know their rank.
    return gradients


def resolve_ranks(class_ids: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Replace -k by the class with the k-th highest logit; int32 `[N, T]` to the same."""
    ranking = tf.argsort(logits, direction="DESCENDING", stable=True)
    by_rank = tf.gather(ranking, tf.maximum(-class_ids - 1, 0), batch_dims=1)
    return tf.where(class_ids < 0, by_rank, class_ids)
