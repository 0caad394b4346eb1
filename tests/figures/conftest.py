"""Small pictures, configurations and figures that several tests share."""

from functools import partial

import numpy as np
import pytest
import yaml
from figures.small_figures import EXTRA
from PIL import Image

from guidedcam_tf.errors import WeightsError
from guidedcam_tf.figures.config import read_figure_config


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    """A folder with two pictures, `a.png` and `b.png`."""
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(1)
    for name, size in (("a", (20, 30, 3)), ("b", (16, 16, 3))):
        Image.fromarray(generator.integers(0, 256, size, np.uint8)).save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="session")
def written(toy_file, root):
    """Write and read a small figure of a kind in a folder."""

    def read(folder, kind, /, settings=(), **changes):
        raw = {
            "name": "small",
            "kind": kind,
            "root": str(root),
            "model": str(toy_file),
            "pictures": [{"file": "a.png", "targets": [2, 0]}, {"file": "b.png"}],
            "dots_per_inch": 60,
            **EXTRA[kind],
            **changes,
        }
        file = folder / "small.yaml"
        file.write_text(yaml.safe_dump(raw))
        return read_figure_config(file, settings)

    return read


@pytest.fixture
def config(written, tmp_path):
    return partial(written, tmp_path)


@pytest.fixture
def no_weights(monkeypatch):
    """ImageNet weights that no source has."""
    import guidedcam_tf.networks.opening as opening

    def nothing(application):
        raise WeightsError(f"no source has ImageNet weights for {application.name}")

    monkeypatch.setattr(opening, "load_application", nothing)
