"""Pictures, and the flat model that the other kinds are compared with."""

import numpy as np
import pytest
from models.kinds import flat


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(7).normal(size=(3, 8, 8, 3)).astype(np.float32)


@pytest.fixture(scope="module")
def reference(pictures):
    model = flat()
    generator = np.random.default_rng(5)
    for variable in model.weights:
        noise = 0.2 * generator.normal(size=variable.shape)
        variable.assign(variable + (np.abs(noise) if "variance" in variable.name else noise))
    return model
