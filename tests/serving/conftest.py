"""Exports that several tests share, and photographs."""

import numpy as np
import pytest
from common import build_toy
from serving.local_server import Server

import guidedcam_tf as gcam


@pytest.fixture(scope="session")
def pictures():
    """Five photographs of different sizes, uint8 `[H, W, 3]`: parts of a cat and of a cup."""
    import skimage.data

    generator = np.random.default_rng(6)
    parts = []
    for place in range(5):
        whole = (skimage.data.chelsea(), skimage.data.coffee())[place % 2]
        top, left = generator.integers(0, 60, 2)
        height, width = generator.integers(200, 240, 2)
        parts.append(whole[top : top + height, left : left + width])
    return parts


@pytest.fixture(scope="session")
def toy_explainer():
    """A small network with hidden layers after the explained one, over colour pictures."""
    return gcam.Explainer(
        build_toy("flatten"), preprocess="torch", class_names=["ant", "bee", "große Wespe"]
    )


@pytest.fixture(scope="session")
def toy_export(toy_explainer, tmp_path_factory):
    """The toy's export; pictures over 80,000 pixels are refused."""
    base = tmp_path_factory.mktemp("models") / "toy"
    return gcam.export(toy_explainer, base / "1", max_pixels=80_000)


@pytest.fixture(scope="session")
def toy_server(toy_export):
    """A server of the toy's export."""
    with Server("toy", toy_export) as server:
        yield server


@pytest.fixture(scope="session")
def resnet50_export(resnet50, tmp_path_factory):
    """ResNet50's export with its real weights."""
    return gcam.export(resnet50, tmp_path_factory.mktemp("models") / "guidedcam" / "1")
