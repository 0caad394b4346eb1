"""How relevance is passed back through one layer: a rule for each class of layer.

Symbols: a layer computes z = f(x); R_j is the relevance of output j, and a rule returns R_i, that
of input i. An upper + or - keeps a number's positive or negative part.

Every rule that weighs its inputs has one form, x * vjp(f)(R / f(x)): input i gets of R_j the share
that its own term has in the sum z_j (Bach et al. 2015, PLOS ONE 10(7), with alpha = 1, beta = 0).
What counts as a layer's terms is as in the code of Relevance-CAM's authors (Lee et al. 2021, CVPR).

The shares of a sum add up to R_j, so relevance is conserved, but for what a convolution's bias
keeps or adds, and for sums that are 0, which pass nothing on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from typing import Literal

import keras
import tensorflow as tf
from keras.src.ops.nn import Relu
from keras.src.ops.numpy import Add

from guidedcam_tf.errors import InputError
from guidedcam_tf.networks.biases import along
from guidedcam_tf.networks.biases import bias_of
from guidedcam_tf.networks.channels_first import channels_last_call
from guidedcam_tf.networks.class_pair import ClassPair
from guidedcam_tf.networks.graph import TARGET
from guidedcam_tf.networks.graph import Slot
from guidedcam_tf.networks.graph import Step

RECTIFIERS = (keras.activations.relu, keras.activations.relu6, tf.nn.relu, tf.nn.relu6)
SMALLEST_SUM = 1e-20
"""Sums nearer to zero pass no relevance on: dividing by them would leave float32's range."""


@dataclass(frozen=True, eq=False)
class Call:
    """A layer at work: what a rule knows of it.

    Attributes:
        step: The layer's place in the network's graph.
        inputs: What it is called with, float32.
        nonnegative: Whether no input is ever negative, whatever the picture.
        conv_bias: Whether a convolution's bias is in both halves of z+, or in neither.
        sign: 1, or -1 for the rule of the negated layer, -f(x).
    """

    step: Step
    inputs: list[tf.Tensor]
    nonnegative: bool = False
    conv_bias: Literal["twice", "none"] = "twice"
    sign: float = 1.0

    @property
    def layer(self) -> Any:
        """The layer."""
        return self.step.layer

    def run(self, *inputs: tf.Tensor) -> tf.Tensor:
        """The layer's output for other inputs, in their dtype instead of the layer's own."""
        rest = iter(inputs)
        args, kwargs = keras.tree.map_structure(
            lambda leaf: next(rest) if isinstance(leaf, Slot) else leaf,
            (self.step.args, dict(self.step.kwargs)),
        )
        return self.turned(self.layer.call)(*args, **kwargs)

    def turned(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of what the layer sees, as one of channels last."""
        return channels_last_call(function) if self.step.turned else function


PassBack = Callable[[tf.Tensor], list[tf.Tensor]]
"""From the relevance of a layer's output to that of each of its inputs."""

Rule = Callable[[Call], PassBack]


def shares(function: Callable[..., tf.Tensor], terms: list[tf.Tensor]) -> PassBack:
    """Make the rule x * vjp(f)(R / f(x)) for several terms x; 0 where f(x) is 0.

    f is linear in its terms, but for a constant. What does not depend on R is computed here, once,
    and not each time relevance is passed back.
    """
    terms = [tf.identity(term) for term in terms]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(terms)
        sums = function(*terms)

    def pass_back(relevance: tf.Tensor) -> list[tf.Tensor]:
        nonzero = tf.abs(sums) > SMALLEST_SUM
        ratio = tf.where(nonzero, relevance / tf.where(nonzero, sums, 1.0), 0.0)
        gradients = tape.gradient(sums, terms, output_gradients=ratio)
        return [term * gradient for term, gradient in zip(terms, gradients, strict=True)]

    return pass_back


def positive_terms(call: Call, bias: tf.Tensor | float) -> PassBack:
    """The z+ rule: shares in f(x+, w+) + f(x-, w-) + bias, f being linear in x and in w."""
    (inputs,) = call.inputs
    linear, kernel = linear_of(call), kernel_of(call)
    positive, negative = tf.maximum(kernel, 0.0), tf.minimum(kernel, 0.0)
    if call.nonnegative:
        return shares(lambda x: linear(x, positive) + bias, [inputs])
    halves = shares(
        lambda above, below: linear(above, positive) + linear(below, negative) + bias,
        [tf.maximum(inputs, 0.0), tf.minimum(inputs, 0.0)],
    )
    return lambda relevance: [tf.add_n(halves(relevance))]


def kernel_of(call: Call) -> tf.Tensor:
    """The weights of a layer in `WEIGHTED`, float32, times the call's sign."""
    return call.sign * tf.cast(call.layer.kernel, tf.float32)


def _matmul(call: Call, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return keras.ops.matmul(inputs, kernel)


def _convolve(call: Call, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    return call.layer.convolution_op(inputs, kernel)


def _convolve_each_channel(call: Call, inputs: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    layer = call.layer
    return keras.ops.depthwise_conv(
        inputs,
        kernel,
        strides=layer.strides,
        padding=layer.padding,
        data_format=layer.data_format,
        dilation_rate=layer.dilation_rate,
    )


WEIGHTED: dict[type, Callable[[Call, tf.Tensor, tf.Tensor], tf.Tensor]] = {
    keras.layers.Dense: _matmul,
    keras.layers.Conv2D: _convolve,
    keras.layers.DepthwiseConv2D: _convolve_each_channel,
}
"""The layers with weights, and what each computes of its input and its weights, linear in both."""


def linear_of(call: Call) -> Callable[[tf.Tensor, tf.Tensor], tf.Tensor]:
    """Return the entry of `WEIGHTED` for a layer, or a subclass that has a rule of its own."""
    linear = next(linear for kind, linear in WEIGHTED.items() if isinstance(call.layer, kind))
    return lambda inputs, kernel: call.turned(lambda x: linear(call, x, kernel))(inputs)


def is_weighted(step: Step) -> bool:
    """Whether a step is a layer of `WEIGHTED`, without its activation."""
    return isinstance(step.layer, tuple(WEIGHTED)) and not step.is_activation


def dense(call: Call) -> PassBack:
    """z+ without the bias: all relevance goes to the inputs."""
    return positive_terms(call, bias=0.0)


def convolution(call: Call) -> PassBack:
    """z+ with the bias in both halves, so that 2 b takes a share of the relevance and keeps it.

    Depthwise as well, each channel by itself.
    """
    return positive_terms(call, _bias_of_both_halves(call))


def _bias_of_both_halves(call: Call) -> tf.Tensor | float:
    if call.layer.bias is None or call.conv_bias == "none":
        return 0.0
    return 2.0 * call.sign * bias_of(call.step)


def batch_normalization(call: Call) -> PassBack:
    """R (x w) / (x w), w being the layer's scale: R, but 0 where x or w is 0."""
    (inputs,) = call.inputs
    layer = call.layer
    scale = tf.ones([]) if layer.gamma is None else along(call.step, layer.axis, layer.gamma)
    works = (inputs != 0.0) & (scale != 0.0)
    return lambda relevance: [tf.where(works, relevance, 0.0)]


def unchanged(call: Call) -> PassBack:
    """R: the layer acts on each element by itself."""
    return lambda relevance: [relevance]


def routed(call: Call) -> PassBack:
    """vjp(f)(R): the layer moves its inputs about, or picks some, such as each window's maximum."""
    inputs = [tf.identity(tensor) for tensor in call.inputs]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = call.run(*inputs)
    return lambda relevance: tape.gradient(outputs, inputs, output_gradients=relevance)


def averaged(call: Call) -> PassBack:
    """Shares in the average of x+, or of (-x)+ by the call's sign."""
    return shares(call.run, [tf.maximum(call.sign * tensor, 0.0) for tensor in call.inputs])


def added(call: Call) -> PassBack:
    """Shares x_i / (x_1 + x_2), signed: where branches disagree, one gets more than R.

    A ReLU right after the sum keeps this in bounds, as its relevance grows with the sum. Without
    one, as in pre-activation networks, a sum near 0 of large terms passes on many times R.
    """
    return shares(call.run, call.inputs)


RULES: dict[type, Rule] = {
    keras.layers.Dense: dense,
    keras.layers.Conv2D: convolution,
    keras.layers.DepthwiseConv2D: convolution,
    keras.layers.BatchNormalization: batch_normalization,
    keras.layers.Dropout: unchanged,
    keras.layers.SpatialDropout2D: unchanged,
    keras.layers.Identity: unchanged,
    keras.layers.MaxPooling2D: routed,
    keras.layers.GlobalMaxPooling2D: routed,
    keras.layers.ZeroPadding2D: routed,
    keras.layers.Cropping2D: routed,
    keras.layers.Flatten: routed,
    keras.layers.Reshape: routed,
    keras.layers.Permute: routed,
    keras.layers.Concatenate: routed,
    keras.layers.AveragePooling2D: averaged,
    keras.layers.GlobalAveragePooling2D: averaged,
    keras.layers.Add: added,
    Add: added,
    ClassPair: routed,
}
"""The rule of each class of layer. A class of one's own gets its rule by an entry here.

A subclass does not inherit its base's rule: what its `call` computes is not known.
"""


def rule_of(step: Step, method: str = "relevance_cam") -> Rule:
    """Return the rule of one step of a network; an error says that `method` has none.

    Raises:
        InputError: If there is none for this class of layer, or for its activation function.
    """
    layer = step.layer
    if step.is_activation or isinstance(layer, keras.layers.Activation):
        if layer.activation is keras.activations.linear or _is_rectifier(layer.activation):
            return unchanged
        name = getattr(layer.activation, "__name__", type(layer.activation).__name__)
        raise InputError(
            f"{method} has no rule for activation {name!r} of layer {step.name!r} "
            f"({type(layer).__name__}); it has rules for relu, relu6 and linear"
        )
    if _is_rectifier(layer):
        return unchanged
    if step.name == TARGET:
        raise InputError(
            f"{method} explains classes: it has no rule for a target that is a function"
        )
    if type(layer) not in RULES:
        known = sorted(
            {each.__name__ for each in RULES if each is not ClassPair} | {"Activation", "ReLU"}
        )
        kind = "a function" if layer is None else f"of type {type(layer).__name__}"
        raise InputError(
            f"{method} has no rule for layer {step.name!r} {kind}; it has rules for "
            f"{', '.join(known)}"
        )
    return RULES[type(layer)]


def is_rectifier(step: Step) -> bool:
    """Whether a step is a ReLU, of whichever kind."""
    layer = step.layer
    if step.is_activation or isinstance(layer, keras.layers.Activation):
        return _is_rectifier(layer.activation)
    return _is_rectifier(layer)


def hides_rectifier(step: Step) -> bool:
    """Whether a step is a layer that holds a ReLU, as a user's own block may."""
    if is_rectifier(step) or not isinstance(step.layer, keras.layers.Layer):
        return False
    inner = [each for each in step.layer._flatten_layers() if each is not step.layer]
    return any(
        _is_rectifier(each) or _is_rectifier(getattr(each, "activation", 0)) for each in inner
    )


def _is_rectifier(function: Any) -> bool:
    if isinstance(function, (keras.layers.ReLU, Relu)):
        return not getattr(function, "negative_slope", 0.0)
    return any(function is each for each in RECTIFIERS)
