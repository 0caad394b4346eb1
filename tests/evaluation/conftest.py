"""What tests of evaluations share: a small table with numbers of a paper."""

import pytest
import yaml
from common import build_toy
from PIL import Image


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
