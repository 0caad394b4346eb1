"""The one-pass methods at two early layers of ResNet50, against an implementation of their own.

That one opens the model as a Keras user would, takes the gradients with a tape of its own, and
writes the formulas in NumPy, in float64.

It is compiled, as eager TensorFlow rounds otherwise: activations that differ by 1e-7 open and close
the odd ReLU whose input is that near to zero, and one such unit changes the gradient at
`conv3_block4_out` by up to 3 % of its maximum, and the maps by up to 5e-3.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from methods.one_pass import apply
from methods.one_pass import together

LAYERS = ["conv4_block6_out", "conv3_block4_out"]
CLASSES = [285, 967]


def relu(array):
    return np.maximum(array, 0)


FORMULAS = {
    "gradcam": lambda a, g: relu((a * g.mean(axis=(0, 1))).sum(axis=2)),
    "xgradcam": lambda a, g: relu(
        (a * np.nan_to_num((g * a).sum(axis=(0, 1)) / a.sum(axis=(0, 1)))).sum(axis=2)
    ),
    "hirescam": lambda a, g: relu((a * g).sum(axis=2)),
    "layercam": lambda a, g: relu((a * relu(g)).sum(axis=2)),
}


@pytest.fixture(scope="module")
def derivatives(resnet50, photographs):
    """Per layer, the activations and the target logit's gradients, float64 `[2, h, w, K]`."""
    model = resnet50.network.model
    names = [*LAYERS, "avg_pool"]
    opened = keras.Model(model.inputs, [model.get_layer(name).output for name in names])
    kernel, bias = model.get_layer("predictions").weights
    inputs = keras.applications.resnet50.preprocess_input(photographs.astype(np.float32))

    @tf.function
    def differentiate(inputs):
        with tf.GradientTape() as tape:
            *activations, pooled = opened(inputs, training=False)
            logits = tf.matmul(pooled, kernel) + bias
            scores = tf.gather(logits, CLASSES, batch_dims=1)
        return list(zip(activations, tape.gradient(scores, activations), strict=True))

    pairs = differentiate(tf.constant(inputs))
    return {
        name: tuple(tensor.numpy().astype(np.float64) for tensor in pair)
        for name, pair in zip(LAYERS, pairs, strict=True)
    }


def min_max(saliency):
    lowest, highest = saliency.min(axis=(1, 2)), saliency.max(axis=(1, 2))
    assert (highest > lowest).all()
    return (saliency - lowest[:, None, None]) / (highest - lowest)[:, None, None]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
@pytest.mark.parametrize("layer", LAYERS)
def test_agrees_after_normalising(compiled, resnet50_at, photographs, derivatives, layer):
    maps = together(resnet50_at(layer), photographs, CLASSES)
    for name, formula in FORMULAS.items():
        expected = np.stack([formula(a, g) for a, g in zip(*derivatives[layer], strict=True)])
        np.testing.assert_allclose(min_max(maps[name]), min_max(expected), atol=1e-3, err_msg=name)


def test_xgradcam_conserves_the_score_in_float32(derivatives):
    # The weights are linear in the gradient, so the map before ReLU is S(grad) - S(-grad).
    for a, g in zip(*derivatives["conv4_block6_out"], strict=True):
        signed = apply("xgradcam", a, g) - apply("xgradcam", a, -g)
        np.testing.assert_allclose(signed.sum(), (g * a).sum(), rtol=1e-4)
