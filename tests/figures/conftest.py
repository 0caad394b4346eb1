"""Making the helpers beside these tests importable, and small networks and pictures for figures."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A folder with two pictures, `a.png` and `b.png`."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(1)
    for name, size in (("a", (20, 30, 3)), ("b", (16, 16, 3))):
        Image.fromarray(generator.integers(0, 256, size, np.uint8)).save(folder / f"{name}.png")
    return folder
