"""An explainer is sent to other processes, as pools and Ray do."""

import copy
import pickle
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam


def sent(explainer):
    return pickle.loads(pickle.dumps(explainer))


@pytest.mark.parametrize("runtime_name", ["tensorflow", "openvino"])
def test_its_maps_are_the_same(toy_images, runtime_name):
    explainer = gcam.Explainer(
        build_toy(), class_names=["ant", "bee", "cow"], runtime=runtime_name
    ).at("conv1")
    found = sent(explainer)
    assert (found.layer, found.network.classes.names) == ("conv1", ("ant", "bee", "cow"))
    assert found.pipeline.runtime.name == runtime_name
    np.testing.assert_allclose(found.maps(toy_images), explainer.maps(toy_images), atol=1e-6)


def test_random_weights_and_changed_ones_go_along(rng):
    images = rng.integers(0, 256, [2, 64, 64, 3], np.uint8)
    explainer = gcam.Explainer("mobilenetv2", weights=None)
    explainer.network.model.set_weights(
        [0.9 * each for each in explainer.network.model.get_weights()]
    )
    np.testing.assert_array_equal(sent(explainer).predict(images), explainer.predict(images))


def test_a_copy_does_not_follow_the_model(toy_images):
    model = build_toy()
    copied = copy.deepcopy(explainer := gcam.Explainer(model))
    before = copied.maps(toy_images)
    model.set_weights([-each for each in model.get_weights()])
    np.testing.assert_array_equal(copied.maps(toy_images), before)
    assert not np.allclose(explainer.maps(toy_images), before)


@pytest.mark.usefixtures("compiled")
def test_a_pool_of_processes_explains(toy_images):
    explainer = gcam.Explainer(build_toy())
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        found = pool.submit(explainer.explain, toy_images[0], [1, 2]).result(timeout=300)
    expected = explainer.explain(toy_images[0], [1, 2])
    np.testing.assert_allclose(found.maps, expected.maps, atol=1e-6)
    assert found.names == expected.names


def test_a_model_s_weights_go_along_once():
    explainer = gcam.Explainer(model := build_toy())
    alone, weights = len(pickle.dumps(model)), len(pickle.dumps(model.get_weights()))
    assert len(pickle.dumps(explainer)) < alone + weights
