"""An explainer of each toy network, and a picture."""

import numpy as np
import pytest
from common import build_toy

import guidedcam_tf as gcam


@pytest.fixture(scope="module", params=["gap", "flatten"])
def explainer(request):
    """Of each toy network, the same for all tests, which leave it as it is."""
    return gcam.Explainer(build_toy(request.param), class_names=["ant", "bee", "wasp"])


@pytest.fixture
def picture(rng):
    return rng.integers(0, 256, (21, 30, 3), np.uint8)
