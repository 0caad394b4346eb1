"""What tests of evaluations share: pictures, a run, and a table with numbers of a paper."""

import numpy as np
import pytest
import yaml
from common import build_toy
from evaluation.small_runs import PICTURES
from evaluation.small_runs import WNIDS
from evaluation.small_runs import read
from PIL import Image

from guidedcam_tf.evaluation.run import evaluate


@pytest.fixture
def paper_table(tmp_path, toy_images):
    """The configuration of a run of two methods on three pictures, with a paper's one row."""
    build_toy("flatten").save(tmp_path / "toy.keras")
    (tmp_path / "pictures").mkdir()
    for i, image in enumerate(toy_images.astype("uint8")):
        Image.fromarray(image).save(tmp_path / "pictures" / f"{i}.png")
    paper = {"methods": {"guided": "", "gradcam": ""}, "tables": {"table3": {"rows": {}}}}
    paper["tables"]["table3"]["rows"]["saliency_drop"] = {"values": [0.5, 0.5]}
    (tmp_path / "paper.yaml").write_text(yaml.safe_dump(paper))
    config = {
        "name": "toy",
        "data": {"kind": "folder", "root": str(tmp_path / "pictures")},
        "model": str(tmp_path / "toy.keras"),
        "methods": ["guided", "gradcam"],
        "metrics": ["saliency_drop", "pointing_game"],
        "paper": {"file": "paper.yaml", "table": "table3"},
        "bootstrap": 0,
    }
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(config))
    return tmp_path / "toy.yaml"


@pytest.fixture(scope="session")
def config_file(tmp_path_factory):
    """The configuration of three methods on twelve pictures, of which one cannot be read."""
    folder = tmp_path_factory.mktemp("evaluation")
    build_toy("flatten").save(folder / "toy.keras")
    generator = np.random.default_rng(0)
    (folder / "pictures").mkdir()
    for i in range(PICTURES):
        picture = generator.integers(0, 256, (20 + i, 30, 3), np.uint8)
        Image.fromarray(picture).save(folder / "pictures" / f"{i:02}.png")
    (folder / "pictures" / "05.png").write_text("no picture")
    config = {
        "name": "toy",
        "data": {"kind": "folder", "root": str(folder / "pictures")},
        "model": str(folder / "toy.keras"),
        "methods": ["guided", "gradcam", "scorecam"],
        "metrics": ["saliency_increase", "context_drop", "saliency_drop", "context_increase"],
        "chunk": 2,
        "protocol": {"areas": [0.1, 0.5]},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    return folder / "config.yaml"


@pytest.fixture(scope="session")
def whole(config_file):
    """A run that was never interrupted."""
    return evaluate(read(config_file), config_file.parent / "whole")


@pytest.fixture
def root(tmp_path, rng):
    """Six pictures in folders of three of ImageNet's classes, in `pictures`."""
    for place in range(6):
        folder = tmp_path / "pictures" / WNIDS[place % 3]
        folder.mkdir(parents=True, exist_ok=True)
        pixels = np.kron(rng.integers(0, 256, (3, 4, 3)), np.ones((5, 5, 1)))
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{place}.png")
    return tmp_path
