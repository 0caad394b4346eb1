"""Several layers at once: what names and patterns mean, and the fusions by hand."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam
from guidedcam_tf.fusing import matching_layers


@pytest.fixture(scope="module")
def explainer():
    return gcam.Explainer(build_toy(), preprocess="none")


@pytest.fixture
def picture(rng):
    return rng.random((8, 8, 3)).astype(np.float32)


def test_each_layer_has_the_map_that_it_has_alone(explainer, picture):
    found = gcam.explain_layers(explainer, picture, ["conv1", "conv2"], [0, 2], "gradcam")
    assert [each.layer for each in found] == ["conv1", "conv2"]
    for each in found:
        assert each == explainer.at(each.layer).explain(picture, [0, 2], "gradcam")


def test_names_and_patterns(explainer):
    network = explainer.network
    assert matching_layers(network, "conv*") == ["conv1", "conv2"]
    assert matching_layers(network, "conv2, conv?") == ["conv2", "conv1"]
    assert matching_layers(network, ["pool1"]) == ["pool1"]
    with pytest.raises(gcam.InputError, match=r"layer 'block\*' matches no layer .*conv1, pool1"):
        matching_layers(network, "block*")
    with pytest.raises(gcam.InputError, match="layer 'conv9' is not in 'toy_gap'; nearest: conv"):
        matching_layers(network, ["conv9"])


def test_fusions_by_hand(explainer, picture):
    one, other = gcam.explain_layers(explainer, picture, "conv1,conv2", [0, 1], "layercam")
    first = np.zeros((2, 8, 8), np.float32)
    first[0, 1, 2], first[0, 3, 3] = 0.5, 0.25
    second = np.zeros((2, 8, 8), np.float32)
    second[0, 3, 3], second[1, 0, 0] = 0.8, 1.0
    pair = [replace(one, maps=first), replace(other, maps=second)]
    np.testing.assert_allclose(gcam.fuse(pair).maps, (first + second) / 2)
    expected = np.zeros((2, 8, 8))
    expected[0, 1, 2] = expected[0, 3, 3] = expected[1, 0, 0] = np.tanh(2)
    fused = gcam.fuse(pair, "layercam")
    np.testing.assert_allclose(fused.maps, expected, rtol=1e-6)
    assert fused.layer == "conv1 + conv2 (layercam)"
    assert fused.digest() != one.digest()


def test_what_does_not_go_together_is_refused(explainer, picture):
    one, other = gcam.explain_layers(explainer, picture, "conv*", 0, "gradcam")
    with pytest.raises(gcam.InputError, match="fusion must be one of mean, layercam; received 'ma"):
        gcam.fuse([one, other], "max")
    with pytest.raises(gcam.InputError, match="explanations is empty"):
        gcam.fuse([])
    model = keras.models.clone_model(explainer.network.model)
    elsewhere = gcam.Explainer(model, layer="conv1").explain(picture, 0, "gradcam")
    assert elsewhere.model == one.model
    for wrong in (explainer.explain(picture, 1, "gradcam"), elsewhere):
        with pytest.raises(gcam.InputError, match="of one picture, network, method and the same"):
            gcam.fuse([one, wrong])
    for wrong in (one, "ab", [one, "ab"]):
        with pytest.raises(gcam.InputError, match="explanations must be a list of them; received"):
            gcam.fuse(wrong)


@pytest.mark.parametrize("layers", ["", " ,conv1", [], 5, ["conv1", 5]])
def test_what_names_no_layers_is_refused(explainer, picture, layers):
    with pytest.raises(gcam.InputError, match="layers must be names or patterns of layers; rec"):
        gcam.explain_layers(explainer, picture, layers)
