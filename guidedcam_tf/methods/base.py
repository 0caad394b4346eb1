"""What every method is: options, what it returns, and how it is compiled for a network's layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from dataclasses import field
from typing import Any
from typing import ClassVar
from typing import Literal
from typing import get_args
from typing import get_origin
from typing import get_type_hints

import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import LayerView


def option(default: Any, meaning: str) -> Any:
    """Declare an option of a method: a dataclass field with words for `guidedcam methods`."""
    return field(default=default, metadata={"help": meaning})


Maps = dict[str, tf.Tensor]
Kernel = Callable[[tf.Tensor, tf.Tensor], Maps]


@dataclass(frozen=True)
class Method:
    """A way to turn a network's layer and a target into a saliency map.

    A subclass is a frozen dataclass whose fields, declared with `option`, are the method's options,
    so two with the same options are equal and share one compiled kernel.

    Attributes:
        name: What the registry calls it.
        reference: The paper, and its equations.
        outputs: The maps it computes: `"saliency"` first, then intermediates.
        many_passes: What it needs of the network in words, if that is too much for a request to a
            server; empty for one forward pass and at most one gradient a target, compiled as one
            function.
    """

    name: ClassVar[str]
    reference: ClassVar[str]
    outputs: ClassVar[tuple[str, ...]] = ("saliency",)
    many_passes: ClassVar[str] = ""

    def compile(self, view: LayerView) -> Kernel:
        """Return the method for one network and layer.

        The kernel takes pictures, float32 RGB in 0..255 `[N, H, W, 3]` at the network's size, and
        targets, int32 `[N, T]`, where -k means the k-th best class. It returns float32
        `[N, T, h, w]` for each of `outputs`, the resolved targets as `"class_ids"`, int32
        `[N, T]`, and `"logits"`, float32 `[N, classes]`.
        """
        raise NotImplementedError


def check_choices(method: Method) -> None:
    """Check the options that are declared `Literal`.

    Raises:
        InputError: If one of them is none of its choices.
    """
    for name, hint in get_type_hints(type(method)).items():
        value = getattr(method, name)
        if get_origin(hint) is Literal and value not in get_args(hint):
            choices = ", ".join(map(repr, get_args(hint)))
            raise InputError(f"{method.name}: {name} must be one of {choices}; received {value!r}")


def check_count(method: Method, option: str) -> None:
    """Check that an option is a whole number of at least 1.

    Raises:
        InputError: If it is not.
    """
    value = getattr(method, option)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(
            f"{method.name}: {option} must be a whole number of at least 1; received {value!r}"
        )


def check_flag(method: Method, option: str) -> None:
    """Check that an option is `True` or `False`.

    Raises:
        InputError: If it is not.
    """
    value = getattr(method, option)
    if not isinstance(value, bool):
        raise InputError(f"{method.name}: {option} must be True or False; received {value!r}")


class GradientMethod(Method):
    """A method that needs one forward pass, and one gradient of the logit at the layer a target."""

    def maps(self, activations: tf.Tensor, gradients: tf.Tensor) -> Maps:
        """The method's formula.

        Args:
            activations: M, the layer's output, float32 `[N, h, w, K]`.
            gradients: dY/dM for the target's logit Y, float32 `[N, h, w, K]`.

        Returns:
            Float32 `[N, h, w]` for each of `outputs`.
        """
        raise NotImplementedError

    def compile(self, view: LayerView) -> Kernel:
        """Return a kernel that is traced once, whatever the number of pictures and targets."""

        @tf.function(input_signature=kernel_signature(view))
        def kernel(images: tf.Tensor, class_ids: tf.Tensor) -> Maps:
            inputs = view.network.preprocess(images)
            with tf.GradientTape(persistent=True) as tape:
                tape.watch(inputs)
                activations, logits = view.forward(inputs)
            class_ids = resolve_ranks(class_ids, logits)

            def of_target(target: tf.Tensor) -> Maps:
                return self.maps(
                    activations, target_gradients(view, tape, logits, activations, target)
                )

            signature = dict.fromkeys(self.outputs, tf.TensorSpec([None] * 3, tf.float32))
            by_target = tf.map_fn(of_target, tf.transpose(class_ids), fn_output_signature=signature)
            maps = {name: tf.transpose(m, [1, 0, 2, 3]) for name, m in by_target.items()}
            return {**maps, "class_ids": class_ids, "logits": logits}

        return kernel


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
    gradients = tape.gradient(logits, activations, output_gradients=one_hot)
    if gradients is None:
        raise InputError(
            f"no gradient of the scores reaches layer {view.layer!r}: {view.gradient_stopper()} "
            "in between has none; choose a later layer, or a method without gradients (scorecam)"
        )
    return gradients


def resolve_ranks(class_ids: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
    """Replace -k by the class with the k-th highest logit; int32 `[N, T]` to the same."""
    ranking = tf.argsort(logits, direction="DESCENDING", stable=True)
    by_rank = tf.gather(ranking, tf.maximum(-class_ids - 1, 0), batch_dims=1)
    return tf.where(class_ids < 0, by_rank, class_ids)
