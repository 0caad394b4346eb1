"""What a logit is made of: the full gradients of a network, and whether they add up to it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks import Network
from guidedcam_tf.networks.biases import bias_of
from guidedcam_tf.networks.biases import biased_steps
from guidedcam_tf.networks.biases import hidden_steps
from guidedcam_tf.networks.graph import Step

COMPLETE = 0.01
"""The part of a logit that may be left unexplained without a warning."""

ROUNDING = 1e-2
"""The part of all terms, by size, that half precision may lose."""

TermsOf = Callable[[tf.Tensor], list[tf.Tensor]]


def full_gradients(
    network: Network, inputs: tf.Tensor, steps: Sequence[Step]
) -> tuple[tf.Tensor, TermsOf]:
    """Run a network once, and return how a logit is split between its input and its biases.

    Args:
        network: The network.
        inputs: Preprocessed pictures, float32 `[N, H, W, C]`.
        steps: Some of the network's biased steps.

    Returns:
        The logits, float32 `[N, classes]`, and a function from targets, int32 `[N]`, to the terms
        of their logits: x * dY/dx, float32 `[N, H, W, C]`, and b_l * dY/dz_l for each step, float32
        `[N, h, w, c]`, or `[N, c]` after a dense layer.
    """
    graph = network.graph
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = [step.outputs[0] for step in steps]
        *outputs, logits = graph.run({graph.input: inputs}, [*outputs, graph.logits])
        logits = tf.cast(logits, tf.float32)

    def terms_of(targets: tf.Tensor) -> list[tf.Tensor]:
        gradients = tape.gradient(
            logits,
            [inputs, *outputs],
            output_gradients=tf.one_hot(targets, tf.shape(logits)[1]),
            unconnected_gradients=tf.UnconnectedGradients.ZERO,
        )
        factors = [inputs, *map(bias_of, steps)]
        return [f * tf.cast(g, tf.float32) for f, g in zip(factors, gradients, strict=True)]

    return logits, terms_of


@dataclass(frozen=True)
class Completeness:
    """What the full gradients of pictures add up to, float64 `[N]` each.

    Attributes:
        logits: Y, the targets' logits.
        input_terms: The sum of x * dY/dx over the picture.
        bias_terms: The sum of b_l * dY/dz_l over all layers, dense ones too.
    """

    logits: np.ndarray
    input_terms: np.ndarray
    bias_terms: np.ndarray

    @property
    def residuals(self) -> np.ndarray:
        """What of the logits the terms leave unexplained, `[N]`."""
        return self.logits - self.input_terms - self.bias_terms


def fullgrad_completeness(
    network: Network, images: np.ndarray, class_ids: Sequence[int] | np.ndarray
) -> Completeness:
    """Split logits into what the picture and what the biases contribute.

    `logits = input_terms + bias_terms`, up to rounding, for a network of convolutions, dense
    layers, batch normalisations, and layers that are linear through the origin piece by piece:
    ReLU, pooling, padding, sums, concatenations. It does not hold for a network with, say, a
    sigmoid or swish inside, layer normalisation, a product of two branches, or a `Rescaling` with
    an offset after trained layers: the `residuals` tell by how much.

    Args:
        network: The network, such as `explainer.network`.
        images: RGB in 0..255, uint8 or float, `[N, H, W, C]`.
        class_ids: One class index for each picture.

    Raises:
        InputError: If there is not one class for each picture, or a class is out of range.
    """
    ids = [network.classes.check(int(index)) for index in np.ravel(class_ids)]
    if np.ndim(images) != 4 or len(ids) != len(images) or not ids:
        raise InputError(
            "images must be [N, H, W, C] and class_ids [N]; "
            f"received {np.shape(images)} and {np.shape(class_ids)}"
        )
    steps = biased_steps(network.graph)
    rows = []
    for image, index in zip(images, ids, strict=True):
        inputs = network.preprocess(network.fit(tf.convert_to_tensor(image[None])))
        logits, terms_of = full_gradients(network, inputs, steps)
        sums = [float(tf.reduce_sum(term)) for term in terms_of(tf.constant([index]))]
        rows.append((float(logits[0, index]), sums[0], sum(sums[1:])))
    return Completeness(*np.array(rows).T)


def warn_if_incomplete(network: Network, method: str) -> None:
    """Warn where the terms do not add up to the logits of pictures of noise, and say by how much.

    So it is where a bias is in a place that cannot be seen, or where a layer is not linear between
    its ReLUs.
    """
    steps = biased_steps(network.graph)
    logits, terms_of = full_gradients(network, network.noise(), steps)
    best = tf.argmax(tf.abs(logits), axis=1, output_type=tf.int32)
    expected = tf.gather(logits, best, axis=1, batch_dims=1)
    sums = [tf.reduce_sum(term, axis=range(1, len(term.shape))) for term in terms_of(best)]
    missing = tf.abs(tf.add_n(sums) - expected)
    missing = tf.where(missing > ROUNDING * tf.reduce_sum(tf.abs(sums), axis=0), missing, 0.0)
    part = float(tf.reduce_max(tf.math.divide_no_nan(missing, tf.abs(expected))))
    if part <= COMPLETE:
        return
    hidden = [
        f"{each.name!r} ({type(each.layer).__name__})" for each in hidden_steps(network.graph)
    ]
    warnings.warn(
        f"{method} is incomplete for model {network.name!r}: its terms miss {part:.0%} of the "
        "logit of a picture of noise. "
        + (
            f"Biases inside {', '.join(hidden[:3])}{', ...' * (len(hidden) > 3)} cannot be seen"
            if hidden
            else "They add up only where all is linear between ReLUs, but for the biases of layers"
        )
        + ", and what is missing is left out of the map",
        stacklevel=6,
    )
