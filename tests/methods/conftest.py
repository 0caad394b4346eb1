"""What the tests of methods share as fixtures."""

import keras
import pytest
from methods.one_pass import HEADS
from methods.one_pass import toy_explainer


@pytest.fixture(params=HEADS)
def opened(request):
    """An explainer of each toy network, the same for all tests, which leave it as it is."""
    return toy_explainer(request.param)


@pytest.fixture(scope="session")
def resnet50_at(resnet50):
    """The network at another layer; what is compiled there is compiled once for all tests."""
    return resnet50.at


@pytest.fixture(scope="session")
def small_vgg16():
    """VGG16 for pictures of 64 x 64 and 20 classes, with seeded random weights."""
    keras.utils.set_random_seed(16)
    return keras.applications.VGG16(weights=None, input_shape=(64, 64, 3), classes=20)
