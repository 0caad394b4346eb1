"""Where a network pools globally after a layer, most methods say the same.

Every logit's gradient is then constant in space, so that Grad-CAM = XGrad-CAM = HiResCAM = G_M, the
proposed map is Grad-CAM squared, Grad-CAM++ and LayerCAM are Grad-CAM with its positive weights
only, and CAM is Grad-CAM times the number of positions.
"""

import numpy as np
import pytest
import tensorflow as tf
from methods.one_pass import together
from methods.one_pass import toy_explainer

import guidedcam_tf as gcam


def check_identities(explainer, images, class_ids, activations, kernel):
    """`kernel` is the last layer's, `[K, classes]`; `activations` are the layer's."""
    maps = together(explainer, images, class_ids)
    gradcam, positions = maps["gradcam"], activations[0, :, :, 0].size
    weights = kernel[:, class_ids].T / positions
    positive = np.einsum("nhwk,nk->nhw", activations, np.maximum(weights, 0))
    cam = explainer.maps(images, class_ids, "cam", raw=True)
    expected = {
        "gradcam": np.maximum(np.einsum("nhwk,nk->nhw", activations, weights), 0),
        "xgradcam": gradcam,
        "hirescam": gradcam,
        "guided": gradcam**2,
        "gradcam++": positive,
        "layercam": positive,
    }
    for name, reference in expected.items():
        assert reference.max() > 0
        np.testing.assert_allclose(
            maps[name], reference, rtol=1e-5, atol=1e-5 * reference.max(), err_msg=name
        )
    np.testing.assert_allclose(cam, positions * gradcam, rtol=1e-5, atol=1e-5 * cam.max())


def test_toy(toy_images):
    explainer = toy_explainer("gap")
    activations, _ = explainer.pipeline.view.forward(toy_images)
    kernel = explainer.network.model.get_layer("scores").kernel.numpy()
    check_identities(explainer, toy_images, [0, 1, 2], activations.numpy(), kernel)


def test_resnet50(resnet50, photographs):
    network = resnet50.network
    images = tf.constant(photographs, tf.float32)
    activations, _ = resnet50.pipeline.view.forward(network.preprocess(images))
    kernel = network.model.get_layer("predictions").kernel.numpy()
    check_identities(resnet50, photographs, [285, 967], activations.numpy(), kernel)


def test_they_differ_where_the_network_does_not_pool(toy_images):
    maps = together(toy_explainer("flatten"), toy_images, [0, 1, 2])
    for name in ("xgradcam", "hirescam", "gradcam++", "layercam"):
        assert np.abs(maps[name] - maps["gradcam"]).max() > 0.1 * maps["gradcam"].max(), name
    with pytest.raises(gcam.InputError, match="'flatten'"):
        toy_explainer("flatten").maps(toy_images, [0, 1, 2], "cam")
